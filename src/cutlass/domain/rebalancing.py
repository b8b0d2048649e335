"""Rebalancing: how much of a grant belongs in which region, and whose units are taken back when a pool is dry."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from cutlass.domain.allotments import Allotment
from cutlass.domain.pools import Pool
from cutlass.domain.rates import spent_in
from cutlass.domain.refills import HORIZON_MS, pace
from cutlass.domain.transfers import idle

SWEEP_MS, IDLE_SWEEP_MS = 1000, 3000
"""One sweep of what allotments hold, of all or of idle ones, begins at most so often, whoever makes it."""

PULL_MS = HORIZON_MS
"""A pool that lasts less than this looks for units in other regions before it is dry."""

SCARCE_MS = 5000
"""While a pool lasts less than this, what idle users hold is taken back before anybody is refused."""

UNEVEN = 1.5
"""Regions whose cover differs by less than this factor are left alone."""

FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 1000, 30_000
"""How long a region that got nothing waits before it asks again ahead of need: doubled up to the longest."""


@dataclass(frozen=True, slots=True)
class Stock:
    """What one region's pool of a grant has, and how fast it is handed out (thousandths of a unit per second)."""

    available: int
    rate: int

    def covers(self, other: "Stock") -> bool:
        """Whether this lasts longer than another by more than the factor `UNEVEN`."""
        return self.available * other.rate > UNEVEN * other.available * self.rate


def stock(pool: Pool | None, now_ms: int) -> Stock:
    """What a pool has at a moment; one that is not there has nothing."""
    return Stock(pool.available, pool.rate_at(now_ms)) if pool else Stock(0, 0)


def to_give(there: Stock, here: Stock, need: int) -> int:
    """Choose how much a pool gives to the region `here` that needs `need`: as much as makes both last equally.

    The need comes first; a region that shows no demand gives all, so that the other need not come again.
    """
    if there.available <= need or not there.rate:
        return there.available
    fair = (there.available + here.available) * here.rate // (here.rate + there.rate) - here.available
    return min(there.available, max(need, fair))


def to_pull(here: Stock, others: Mapping[str, Stock], need: int = 0) -> dict[str, int]:
    """Choose what to ask of which region, richest first, so that afterwards all last equally long.

    A share that the regions' rates make is asked of those who have more than theirs. Without any rate to go
    by, only the need is asked.
    """
    rates = here.rate + sum(other.rate for other in others.values())
    total = here.available + sum(other.available for other in others.values())
    spare = {
        region: other.available - (total * other.rate // rates if rates else 0) for region, other in others.items()
    }
    missing = max(need, total * here.rate // rates - here.available if rates else 0)
    asked: dict[str, int] = {}
    for region in sorted(others, key=lambda name: -spare[name]):
        units = min(missing, spare[region])
        if units > 0:
            asked[region] = units
            missing -= units
    return asked


def pulls_ahead(pool: Pool, others: Mapping[str, Stock], now_ms: int) -> dict[str, int]:
    """Choose what a pool that will be short asks of which region before it is; nothing where all is even."""
    here = stock(pool, now_ms)
    if not here.rate or pool.cover_ms(now_ms) >= PULL_MS:
        return {}
    if not any(other.covers(here) for other in others.values()):
        return {}
    return to_pull(here, others)


def to_push(here: Stock, others: Mapping[str, Stock]) -> dict[str, int]:
    """Choose what a pool sends unasked to regions whose pools last less by more than `UNEVEN`."""
    sent: dict[str, int] = {}
    left = here.available
    for region, other in sorted(others.items()):
        if not other.rate or not Stock(left, here.rate).covers(other):
            continue
        units = min(left, to_give(Stock(left, here.rate), other, 0))
        if units > 0:
            sent[region] = units
            left -= units
    return sent


def next_pause(pause_ms: int) -> int:
    """How long to wait after asking in vain once more."""
    return min(LONGEST_PAUSE_MS, max(FIRST_PAUSE_MS, 2 * pause_ms))


def claim_sweep(pool: Pool, now_ms: int, *, only_idle: bool) -> Pool | None:
    """Have a sweep of a pool's allotments to oneself; None if the last one began a moment ago."""
    if only_idle:
        return replace(pool, idle_swept_ms=now_ms) if now_ms - pool.idle_swept_ms >= IDLE_SWEEP_MS else None
    return replace(pool, swept_ms=now_ms) if now_ms - pool.swept_ms >= SWEEP_MS else None


def enough(rate: int, need: int) -> int:
    """Units after which a sweep may stop: the need, and what is handed out until the next one may begin."""
    return need + spent_in(rate, SWEEP_MS)


def worth_sweeping(held: Iterable[tuple[str, Allotment]], now_ms: int, *, only_idle: bool) -> list[str]:
    """Choose whose units are taken back first: idle users', then those who hold most beyond their next second."""
    found = []
    for name, allotment in held:
        if allotment.available <= 0:
            continue
        asleep = idle(allotment, now_ms)
        if asleep or not only_idle:
            soon = 0 if asleep else spent_in(pace(allotment, now_ms), SWEEP_MS)
            found.append((not asleep, soon - allotment.available, name))
    return [name for _, _, name in sorted(found)]
