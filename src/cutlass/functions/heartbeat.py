"""On a schedule: marks how far this region's figures have come."""

from cutlass.storage import open_store


def handler(_event: object, _context: object) -> None:
    """Write this region's heartbeat."""
    open_store().usage.beat()
