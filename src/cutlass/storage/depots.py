"""The depots of one region's hot pools: filled from the pools, handing over to users' allotments.

The rules are in `cutlass.domain.depots`. A depot's item is an allotment's, and its line in the roster is how it is
found; what pools say of their number is a hint. A step that loses a race changes nothing.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from cutlass.domain.allotments import Allotment, release
from cutlass.domain.depots import (
    SPAN,
    Emptying,
    Filling,
    HandOver,
    depot_name,
    depots_of,
    fill,
    home_depot,
    newborn,
    next_step,
)
from cutlass.domain.periods import to_millis
from cutlass.domain.pools import Pool
from cutlass.domain.refills import Draw, Shortage, adopt
from cutlass.domain.regions import fenced_in
from cutlass.domain.reservations import slack
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments, Holder, change_of
from cutlass.storage.codec import Wire
from cutlass.storage.dynamo import Dynamo, TransactionFailedError, update_of
from cutlass.storage.items import allotment_from_item
from cutlass.storage.pools import Pools
from cutlass.storage.regions import Gate
from cutlass.storage.returns import Return, give_back
from cutlass.storage.subjects import Subject, Subjects

_STEPS = 4
"""Steps of a depot on behalf of one refill: to empty it, to fill it, and a race lost; then the pools are asked."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a user's allotment draws, and the write that takes it out of a depot."""

    draws: tuple[Draw, ...]
    write: Wire


class Depots:
    """The depots of one region."""

    def __init__(
        self,
        dynamo: Dynamo,
        subjects: Subjects,
        allotments: Allotments,
        pools: Pools,
        gate: Gate,
        clock: Callable[[], datetime],
    ) -> None:
        self._dynamo = dynamo
        self._subjects = subjects
        self._allotments = allotments
        self._pools = pools
        self._gate = gate
        self._clock = clock

    def offer(
        self, subject: Subject, base: Allotment, pools: list[Pool], units: int, headroom: int, *, birth: bool
    ) -> Offer | None:
        """Find a depot that hands over what an allotment needs, and fill it if it has to be.

        Parameters
        ----------
        pools : list[Pool]
            Those the subject may be supplied from, as just read.
        birth : bool
            Whether the allotment is born by it.

        Returns None where there are no depots, or they do not have it: then the pools are drawn from. Raises
        `RegionFencedError`.
        """
        depots = depots_of(pools)
        if depots < 2:
            return None
        first = home_depot(subject.user.user_id, depots)
        holder = _holder(subject, first)
        for _ in range(_STEPS):
            met = self._allotments.read(holder.key(self._allotments.region))
            self._gate.admit([fenced_in(met)] if met else ())
            depot = met or newborn(subject.organisation.rev, subject.plan.name)
            now_ms = to_millis(self._clock())
            step = next_step(depot, base, pools, units, now_ms, headroom=headroom, birth=birth)
            match step:
                case HandOver():
                    return self._offered(holder, depot, step)
                case Shortage():
                    return self._from_others(subject, base, pools, units, headroom, birth=birth)
                case Filling():
                    self._fill(subject, holder, met, depot, step.draws)
                case Emptying():
                    self._empty(holder, holder.period, depot)
            pools = self._subjects.pools(subject)
        return None

    def held(self, subject: Subject) -> list[Allotment]:
        """Read all depots of a subject's organisation, meter and period, however many are thought to be."""
        table, region = self._allotments.table, self._allotments.region
        org_id, meter, period = subject.organisation.org_id, subject.meter, subject.period.key
        lines = self._dynamo.query(table, keys.roster(region, org_id, meter, period), between=SPAN)
        wanted = [keys.rostered(region, org_id, line["sk"], meter, period) for line in lines]
        items = self._dynamo.batch_get({table: wanted}) if wanted else {}
        return [allotment_from_item(item) for item in items.values()]

    def _from_others(
        self, subject: Subject, base: Allotment, pools: list[Pool], units: int, headroom: int, *, birth: bool
    ) -> Offer | None:
        """Look for a depot that holds what neither the subject's own nor the pools have, beginning behind it."""
        depots = depots_of(pools)
        first = home_depot(subject.user.user_id, depots)
        holders = [_holder(subject, (first + place) % depots) for place in range(1, depots)]
        wanted = [holder.key(self._allotments.region) for holder in holders]
        items = self._dynamo.batch_get({self._allotments.table: wanted})
        for holder, key in zip(holders, wanted, strict=True):
            if (item := items.get((self._allotments.table, *key))) is None:
                continue
            met, now_ms = allotment_from_item(item), to_millis(self._clock())
            self._gate.admit([fenced_in(met)])
            step = next_step(met, base, pools, units, now_ms, headroom=headroom, birth=birth)
            if isinstance(step, HandOver):
                return self._offered(holder, met, step)
        return None

    def _offered(self, holder: Holder, depot: Allotment, step: HandOver) -> Offer | None:
        """Make the write of a hand-over; None where all comes from pools of the user's own."""
        if step.depot is depot:
            return None
        # Others may be handed units beside this, as long as these still come from where it was planned.
        change = change_of(depot, step.depot, on_terms=True, slack=slack(depot, step.units))
        return Offer(step.draws, update_of(self._allotments.table, *holder.key(self._allotments.region), change))

    def _fill(
        self, subject: Subject, holder: Holder, met: Allotment | None, depot: Allotment, draws: tuple[Draw, ...]
    ) -> None:
        if met is None:
            self._empty_earlier(subject, holder)
        now_ms, org_id, meter = to_millis(self._clock()), holder.org_id, holder.meter
        if fenced_in(depot):  # in an epoch that is over
            depot = adopt(
                depot, rev=subject.organisation.rev, plan=subject.plan.name, limit=None, share=depot.rights
            )
        writes = [
            self._pools.draw_of(
                org_id,
                meter,
                draw.pool,
                draw.units,
                now_ms,
                births=depot.births,
                draws=depot.served,
                epoch=self._gate.epoch,
            )
            for draw in draws
        ]
        writes += self._allotments.written(holder, met, fill(depot, draws, now_ms))
        with suppress(TransactionFailedError):
            self._dynamo.transact(writes)

    def _empty_earlier(self, subject: Subject, holder: Holder) -> None:
        """Give back what the depot of this name holds from periods that have ended."""
        org_id, name, meter = holder.org_id, holder.user_id, holder.meter
        for period, met in self._allotments.earlier(org_id, name, meter, subject.period.key):
            self._empty(holder, period, met)

    def _empty(self, holder: Holder, period: str, met: Allotment) -> None:
        if met.available:
            key = replace(holder, period=period).key(self._allotments.region)
            freed = Return(key, holder.org_id, holder.user_id, holder.meter, met, release(met))
            give_back(self._dynamo, self._allotments.table, self._allotments.region, [freed])


def _holder(subject: Subject, number: int) -> Holder:
    return replace(subject.holder, user_id=depot_name(number))
