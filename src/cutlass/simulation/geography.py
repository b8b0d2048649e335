"""Where the regions lie, and how long a message takes between them."""

import math
from collections.abc import Mapping
from types import MappingProxyType

PLACES: Mapping[str, tuple[str, float, float]] = MappingProxyType(
    {
        "london": ("eu-west-2", 51.5, -0.1),
        "sydney": ("ap-southeast-2", -33.9, 151.2),
        "oregon": ("us-west-2", 45.9, -119.3),
        "virginia": ("us-east-1", 38.9, -77.4),
        "tokyo": ("ap-northeast-1", 35.7, 139.7),
        "mumbai": ("ap-south-1", 19.1, 72.9),
        "saopaulo": ("sa-east-1", -23.5, -46.6),
        "frankfurt": ("eu-central-1", 50.1, 8.7),
        "capetown": ("af-south-1", -33.9, 18.4),
        "singapore": ("ap-southeast-1", 1.4, 103.8),
    }
)
"""AWS's name, latitude and longitude of every region that scenarios know."""

_EARTH_KM = 6371.0
_KM_PER_MS = 64.0
_LEAST_MS = 5.0


def round_trip_ms(one: str, other: str) -> float:
    """Milliseconds there and back: 5, and 1 per 64 km of great circle (London–Sydney: 270)."""
    if one == other:
        return 0.0
    _, lat1, long1 = PLACES[one]
    _, lat2, long2 = PLACES[other]
    a, b = math.radians(lat1), math.radians(lat2)
    half = math.sin((b - a) / 2) ** 2
    half += math.cos(a) * math.cos(b) * math.sin(math.radians(long2 - long1) / 2) ** 2
    return _LEAST_MS + 2 * _EARTH_KM * math.asin(math.sqrt(half)) / _KM_PER_MS
