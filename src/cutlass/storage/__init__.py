"""DynamoDB: keys, items, expressions, and the repositories over them. `open_store` is the way in."""

from cutlass.storage.store import Store, open_store

__all__ = ["Store", "open_store"]
