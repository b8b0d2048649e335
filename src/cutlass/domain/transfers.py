"""Transfers: rights that move between regions, as cumulative counters of which each side writes its own.

The sender counts what it ever sent, the receiver what it ever accepted. The number may arrive by a direct
answer, by replication, twice, late or out of order: accepting the same number again changes nothing
(bounded counters: Balegas et al., "Extending Eventually Consistent Cloud Databases for Enforcing Numeric
Invariants", 2015).
"""

from collections.abc import Mapping
from dataclasses import replace

from cutlass.domain.allotments import Allotment
from cutlass.domain.pools import Pool

IDLE_MS = 10_000
"""An allotment that took no decision for so long is idle: what it holds may serve elsewhere."""


def send(pool: Pool, to: str, units: int) -> Pool:
    """Move units out of a pool, towards another region."""
    return replace(pool, available=pool.available - units, sent=_add(pool.sent, to, units))


def accept(pool: Pool, origin: str, cumulative: int) -> Pool:
    """Take in what another region's pool of the same grant has sent altogether; a smaller number is old."""
    more = max(0, cumulative - pool.accepted.get(origin, 0))
    return replace(pool, available=pool.available + more, accepted=_add(pool.accepted, origin, more))


def send_rights(allotment: Allotment, to: str, units: int) -> Allotment:
    """Move rights of the user's limit that no pool backs out of an allotment, towards another region."""
    return replace(allotment, unbacked=allotment.unbacked - units, sent=_add(allotment.sent, to, units))


def accept_rights(allotment: Allotment, origin: str, cumulative: int) -> Allotment:
    """Take in what the user's allotment in another region has sent altogether."""
    more = max(0, cumulative - allotment.accepted.get(origin, 0))
    return replace(allotment, unbacked=allotment.unbacked + more, accepted=_add(allotment.accepted, origin, more))


def idle(allotment: Allotment, now_ms: int) -> bool:
    """Whether an allotment has taken no decision lately."""
    return allotment.last is None or now_ms - allotment.last.at_ms > IDLE_MS


def to_send(free: int, need: int, *, idle: bool) -> int:
    """Choose how much of what is free a region gives to one that needs `need` of it.

    A region without demand gives all, so that the other need not come again; one with demand keeps half of
    what the need leaves.
    """
    if free <= need or idle:
        return free
    return need + (free - need) // 2


def _add(counters: Mapping[str, int], region: str, units: int) -> dict[str, int]:
    return {**counters, region: counters.get(region, 0) + units} if units else dict(counters)
