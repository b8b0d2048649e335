"""Values to and from DynamoDB's typed JSON: str, int, bool, None, bytes, byte sets, lists and maps.

boto3 has a serializer too, but it brings boto3 (a third of a second at a cold start) and Decimals.
"""

import base64
from collections.abc import Mapping
from typing import Any

Item = dict[str, Any]
"""An item as Python values."""

Wire = dict[str, Any]
"""An item or a value in DynamoDB's typed JSON."""


def encode(value: Any) -> Wire:  # noqa: PLR0911 - one line per type
    """Encode one value; raises `TypeError` for a type no item of ours has."""
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": value}
        case int():
            return {"N": str(value)}
        case bytes():
            return {"B": base64.b64encode(value).decode()}
        case set() | frozenset():
            return {"BS": sorted(base64.b64encode(v).decode() for v in value)}
        case list() | tuple():
            return {"L": [encode(v) for v in value]}
        case Mapping():
            return {"M": {k: encode(v) for k, v in value.items()}}
    raise TypeError(f"no item holds a {type(value).__name__}")


def decode(wire: Wire) -> Any:  # noqa: PLR0911 - one line per type
    """Decode one value; numbers are integers, as every number of ours is."""
    ((kind, value),) = wire.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return int(value)
        case "NULL":
            return None
        case "B":
            return base64.b64decode(value)
        case "BS":
            return frozenset(base64.b64decode(v) for v in value)
        case "L":
            return [decode(v) for v in value]
        case "M":
            return decode_item(value)
    raise TypeError(f"no item of ours has a value of type {kind}")


def encode_item(item: Mapping[str, Any]) -> Wire:
    """Encode a whole item; attributes that are None are left out."""
    return {name: encode(value) for name, value in item.items() if value is not None}


def decode_item(wire: Mapping[str, Wire]) -> Item:
    """Decode a whole item."""
    return {name: decode(value) for name, value in wire.items()}
