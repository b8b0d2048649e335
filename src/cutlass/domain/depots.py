"""Depots: a storey between a hot pool and the allotments of users, so that no item takes part in every refill.

One item takes a thousand write units a second, and a refill is a transaction, which costs two. So a pool that
very many users draw from has depots: allotments of no user, each of which draws from the pools like any other, in
large chunks, and hands over to users what they would have drawn. Nothing else knows of them: what a depot holds is
swept, settled, fenced and reconciled as any allotment's is.

What a user gets is what `cutlass.domain.refills.plan_refill` chooses of the pools and the depot together. The
depot hands it over where these are the first units it holds, as a decision would spend them: then any number of
hand-overs may go on beside each other.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cutlass.domain.allotments import Allotment, unspent
from cutlass.domain.ids import digest
from cutlass.domain.plans import MAX_UNITS
from cutlass.domain.pools import Pool, depots_for
from cutlass.domain.rates import blend
from cutlass.domain.refills import Draw, Shortage, plan_refill, refill
from cutlass.domain.reservations import set_aside

_SIGN = "~"

SPAN = (_SIGN, _SIGN * 2)
"""Between these lie the names of all depots, and no user's: `~` is in no id."""


def depot_name(number: int) -> str:
    """The name a depot has where a user's would be."""
    return f"{_SIGN}{number}"


def of_depot(name: str) -> bool:
    """Whether a holder's name is a depot's."""
    return name.startswith(_SIGN)


def home_depot(user_id: str, depots: int) -> int:
    """Which of some depots serves a user, unless it is short."""
    return int.from_bytes(digest(user_id)[:4]) % depots


def newborn(rev: int, plan: str) -> Allotment:
    """A depot as it begins: under no limit, so that no right of a user's is involved."""
    return Allotment(rev=rev, plan=plan, limit=None, rights=MAX_UNITS, unbacked=MAX_UNITS)


def depots_of(pools: Iterable[Pool]) -> int:
    """How many depots stand before an organisation's pools; fewer than two are none."""
    return max((pool.depots for pool in pools if pool.user_id is None), default=0)


def carried_on(pools: Sequence[Pool], now_ms: int) -> list[Pool]:
    """Give pools that have just begun the depots that the rate of draws up to now asks for.

    At the turn of a period every user comes to a new pool at once, before it has shown any rate.
    """
    pulse = max((blend(p.pulse, 0, now_ms - p.rated_ms) for p in pools if p.user_id is None), default=0)
    wanted = depots_for(pulse)
    return [replace(p, depots=wanted) if p.user_id is None and p.depots < wanted else p for p in pools]


def with_held(pools: Iterable[Pool], *depots: Allotment) -> list[Pool]:
    """Count what depots hold as if it were still in its pools."""
    held: Counter[str] = Counter()
    for depot in depots:
        for chunk, units in unspent(depot):
            held[chunk.pool] += units
    return [
        replace(pool, available=pool.available + held[pool.key])
        if pool.user_id is None and held[pool.key]
        else pool
        for pool in pools
    ]


@dataclass(frozen=True, slots=True)
class HandOver:
    """What a user's allotment gets, and the depot without it: itself where nothing of it is needed.

    Of the draws those of the user's own grants come from their pools, all others from the depot.
    """

    draws: tuple[Draw, ...]
    depot: Allotment

    @property
    def units(self) -> int:
        """Units that the depot hands over."""
        return sum(draw.units for draw in _common(self.draws))


@dataclass(frozen=True, slots=True)
class Filling:
    """What a depot draws before it can hand over what is needed."""

    draws: tuple[Draw, ...]


@dataclass(frozen=True, slots=True)
class Emptying:
    """What a depot holds has to go back to its pools first: others' turn is before it, or its own is over."""


Step = HandOver | Filling | Emptying | Shortage
"""What comes next so that an allotment gets what it needs: a depot's step, or there is not enough for it."""


def next_step(
    depot: Allotment,
    allotment: Allotment,
    pools: Sequence[Pool],
    units: int,
    now_ms: int,
    *,
    headroom: int = MAX_UNITS,
    birth: bool = False,
) -> Step:
    """Choose what comes next so that `units` become available in a user's allotment.

    Parameters
    ----------
    pools : Sequence[Pool]
        Those the user may be supplied from now, as they are.
    birth : bool
        Whether the user's allotment is born by it.
    """
    draws = plan_refill(allotment, with_held(pools, depot), units, now_ms, headroom=headroom)
    if isinstance(draws, Shortage):
        return draws
    wanted = _common(draws)
    left = hand_over(depot, wanted, birth=birth) if wanted else depot
    if left is not None:
        return HandOver(draws, left)
    common = [pool for pool in pools if pool.user_id is None]
    if _out_of_turn(depot, common, now_ms):
        return Emptying()
    filling = plan_refill(depot, common, sum(draw.units for draw in wanted), now_ms)
    return filling if isinstance(filling, Shortage) else Filling(filling)


def hand_over(depot: Allotment, draws: Sequence[Draw], *, birth: bool = False) -> Allotment | None:
    """Take units out of a depot for a user's allotment; None unless they are the first that it holds.

    What is held stays as it is, as when a decision spends the first units.
    """
    units = sum(draw.units for draw in draws)
    if units > depot.available:
        return None
    parts, left = set_aside(depot, units)
    if [(part.pool, part.units) for part in parts] != [(draw.pool.key, draw.units) for draw in draws]:
        return None
    return replace(
        left,
        reserved=depot.reserved,
        handed=depot.handed + units,
        unbacked=depot.unbacked + units,
        released=depot.released + units,
        served=depot.served + 1,
        births=depot.births + birth,
    )


def fill(depot: Allotment, draws: Sequence[Draw], now_ms: int) -> Allotment:
    """Add what was drawn to a depot; the pools are told with it whom it served since it was filled last."""
    return replace(refill(depot, draws, now_ms), served=0, births=0)


def _common(draws: Iterable[Draw]) -> list[Draw]:
    """Draws of pools that all users share."""
    return [draw for draw in draws if draw.pool.user_id is None]


def _out_of_turn(depot: Allotment, pools: Iterable[Pool], now_ms: int) -> bool:
    """Whether units drawn now could not be spent behind those a depot holds, in the order of the pools."""
    held = [chunk.pool for chunk, _ in unspent(depot)]
    if not held:
        return False
    live = [pool for pool in pools if pool.live(now_ms)]
    known = {pool.key for pool in live}
    ordered = held == sorted(held) and all(key in known for key in held)
    return not ordered or any(pool.available > 0 and pool.key < held[-1] for pool in live)
