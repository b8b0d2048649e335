"""Identifiers: the form every id has, request ids that carry a time, and what is remembered of them."""

import hashlib
import re
import secrets
import uuid
from dataclasses import dataclass

ID_PATTERN = re.compile(r"[A-Za-z0-9._:@-]{1,128}")
"""What organisations, users, features, grants and request ids may be called; `fullmatch` it."""

FRESH_MS = 5_000
"""How far a request id's time may be from ours for the single write alone to decide it."""

MAX_AHEAD_MS = 86_400_000
"""How far a request id may lie ahead of our time: as far as a clock in the wrong time zone, and no further."""

_EARLIEST_MS, _LATEST_MS = 1_577_836_800_000, 4_102_444_800_000  # 2020 to 2100: outside it is no clock


def new_request_id(now_ms: int) -> str:
    """Make a UUIDv7 (RFC 9562, section 5.7) of the given time in milliseconds since 1970."""
    random = secrets.randbits(74)
    value = now_ms << 80 | 7 << 76 | (random >> 62) << 64 | 2 << 62 | random & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def request_time(request_id: str) -> int:
    """Milliseconds since 1970 that a request id carries; 0 for an id that carries none (opaque)."""
    try:
        value = uuid.UUID(request_id)
    except ValueError:
        return 0
    if value.version != 7:
        return 0
    millis = value.int >> 80
    return millis if _EARLIEST_MS <= millis < _LATEST_MS else 0


def digest(*parts: str) -> bytes:
    """Hash several strings unambiguously (BLAKE2b, 32 bytes); no part may contain a zero byte."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=32).digest()


@dataclass(frozen=True, slots=True)
class RequestIdentity:
    """What is remembered of one request, so that it is never charged twice.

    Attributes
    ----------
    request_id : str
        The caller's id, or one made here.
    time_ms : int
        The time it carries, 0 when it carries none.
    fingerprint : int
        24 bits of the request's body, to tell a replay from the same id with another body.
    """

    request_id: str
    time_ms: int
    fingerprint: int

    @classmethod
    def of(cls, request_id: str, *body: str) -> "RequestIdentity":
        """Identify a request by its id and the parts of its body that change the answer."""
        return cls(request_id, request_time(request_id), int.from_bytes(digest(*body)[:3]))

    @property
    def mark(self) -> bytes:
        """The 12 bytes an allotment's ring keeps: the time (48 bits), so marks sort by it, and a hash (48)."""
        return self.time_ms.to_bytes(6) + digest(self.request_id)[:6]

    def fresh(self, now_ms: int) -> bool:
        """Whether the id's time is near enough to ours to trust the ring alone."""
        return abs(now_ms - self.time_ms) <= FRESH_MS


def mark_time(mark: bytes) -> int:
    """Milliseconds since 1970 in a mark of a ring."""
    return int.from_bytes(mark[:6])


def decision_id(org_id: str, user_id: str, meter: str, request_id: str) -> str:
    """Name the decision on a request: the same request always has the same decision id."""
    return digest("decision", org_id, user_id, meter, request_id)[:16].hex()
