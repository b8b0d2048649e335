"""Refills: how many units an allotment draws, and from which pools."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cutlass.domain.allotments import Allotment, Chunk, earliest, unspent
from cutlass.domain.plans import MAX_UNITS
from cutlass.domain.pools import Pool
from cutlass.domain.rates import blend, spent_in

HORIZON_MS = 30_000
"""A refill covers at most this much of the user's rate."""

MIN_CHUNK, MAX_CHUNK = 10, 100_000
"""Bounds of a prefetch in units: below, refills would cost more than decisions; above, too much would idle."""

FIRST_MEMBERS = 10
"""How many users of a pool it takes until what they draw weighs as much as the belief that they draw a lot."""

MAX_POOLS = 20
"""Pools drawn in one transaction; DynamoDB allows 100 items, and a longer list means a shortage."""


@dataclass(frozen=True, slots=True)
class Draw:
    """Units that one refill takes from one pool."""

    pool: Pool
    units: int


@dataclass(frozen=True, slots=True)
class Shortage:
    """Why an allotment could not be supplied: the user's own limit, or the organisation's pools."""

    of_user: bool


def pace(allotment: Allotment, now_ms: int) -> int:
    """How fast the user spends, measured by the chunk drawn last, in thousandths of a unit per second."""
    if not allotment.refilled_ms:
        return 0
    spent = max(0, allotment.chunk - allotment.available)
    return blend(allotment.rate, spent, now_ms - allotment.refilled_ms)


def ahead(rate: int, spent: int, pool: Pool, now_ms: int) -> int:
    """Units worth holding that a user who spends at `rate`, and has `spent` so much here, draws from a pool.

    A user may hold as long a time ahead as the pool lasts: so what all hold is never much more than what the
    pool still has, and shrinks with it, however many they are. A rate seen over a unit or two tells little, so
    nobody holds more on its account than was spent before, until that is `MIN_CHUNK`. A user of whom little is
    known may have a few while there are enough for everybody, but not more than half of what users of this pool
    draw on average: where most come once, what they held beyond that would idle.
    """
    drawn = FIRST_MEMBERS * 2 * MIN_CHUNK + pool.allotted - pool.returned
    few = min(
        MIN_CHUNK, pool.available // (2 * max(1, pool.members)), drawn // (2 * (FIRST_MEMBERS + pool.members))
    )
    span = min(HORIZON_MS, pool.cover_ms(now_ms))
    proven = spent if spent < MIN_CHUNK else MAX_CHUNK
    return max(few, min(proven, spent_in(rate, span)))


def plan_refill(
    allotment: Allotment, pools: Iterable[Pool], units: int, now_ms: int, *, headroom: int = MAX_UNITS
) -> tuple[Draw, ...] | Shortage:
    """Choose what an allotment draws so that `units` become available, in order of priority and expiry.

    Beyond the need, a pool gives what is worth holding `ahead`: near its end exactly what is asked, so that
    nothing idles where it is not used.
    Pools of the user's own grants come on top of the user's limit; all others count against it, and against
    `headroom`, what is known to be left of a limit that was lowered.
    """
    need = units - allotment.available
    if need <= 0:
        return ()
    rate, drawn = pace(allotment, now_ms), 0
    limit = min(allotment.unbacked, headroom)
    draws: list[Draw] = []
    org_left = False
    for pool in sorted(pools, key=lambda p: p.order):
        if not pool.live(now_ms) or pool.available <= 0 or len(draws) == MAX_POOLS:
            continue
        take = min(pool.available, max(need, ahead(rate, allotment.used + allotment.handed, pool, now_ms) - drawn))
        if pool.user_id is None:
            org_left = org_left or take > limit
            take = min(take, limit)
            limit -= take
        if take > 0:
            draws.append(Draw(pool, take))
            need -= take
            drawn += take
        if need <= 0:
            return tuple(draws)
    return Shortage(of_user=org_left or limit <= 0)


def refill(allotment: Allotment, draws: Sequence[Draw], now_ms: int) -> Allotment:
    """Add what was drawn to an allotment, behind the chunks it still holds."""
    drawn, held = allotment.drawn, [chunk for chunk, _ in unspent(allotment)]
    for draw in draws:
        drawn += draw.units
        held.append(Chunk(draw.pool.key, drawn, draw.pool.expires_ms))
    units = drawn - allotment.drawn
    own = sum(draw.units for draw in draws if draw.pool.user_id is not None)
    return replace(
        allotment,
        available=allotment.available + units,
        unbacked=allotment.unbacked - (units - own),
        extra=allotment.extra + own,
        drawn=drawn,
        held=tuple(held),
        until_ms=earliest(held),
        refills=allotment.refills + 1,
        seq=allotment.seq + 1,
        refilled_ms=now_ms,
        chunk=units,
        rate=pace(allotment, now_ms),
    )


def adopt(allotment: Allotment, *, rev: int, plan: str, limit: int | None, share: int) -> Allotment:
    """Bring an allotment up to changed terms: mint the rights a higher limit adds, burn unused ones of a lower.

    Rights already backed or spent stay: a limit lowered below them ends what comes next, not what was given.
    """
    change = max(share - allotment.rights, -allotment.unbacked)
    return replace(
        allotment,
        rev=rev,
        plan=plan,
        limit=limit,
        rights=allotment.rights + change,
        unbacked=allotment.unbacked + change,
        refills=allotment.refills + 1,
    )
