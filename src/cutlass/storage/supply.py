"""What happens when an allotment cannot answer by itself: birth, changed terms, expiry, refill, refusal.

All of it is off the usual path of a decision. A step that loses a race changes nothing: the decision looks
at the allotment again.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from cutlass.domain.allotments import Allotment, settle
from cutlass.domain.decisions import Reason
from cutlass.domain.depots import with_held
from cutlass.domain.errors import UnavailableError
from cutlass.domain.grants import Category
from cutlass.domain.periods import to_millis
from cutlass.domain.plans import MAX_UNITS
from cutlass.domain.pools import Pool
from cutlass.domain.refills import Draw, Shortage, adopt, plan_refill, refill
from cutlass.domain.regions import fenced_in
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments
from cutlass.storage.codec import Wire
from cutlass.storage.depots import Depots
from cutlass.storage.dynamo import Dynamo, TransactionFailedError
from cutlass.storage.minting import Minting
from cutlass.storage.pools import Pools
from cutlass.storage.regions import Gate
from cutlass.storage.returns import Return, give_back
from cutlass.storage.shortages import Shortages
from cutlass.storage.stripes import Stripes, together
from cutlass.storage.subjects import Subject, Subjects

_RACES = 16


class Supply:
    """Supplies the allotments of one region."""

    def __init__(
        self,
        dynamo: Dynamo,
        subjects: Subjects,
        allotments: Allotments,
        pools: Pools,
        minting: Minting,
        shortages: Shortages,
        stripes: Stripes,
        depots: Depots,
        gate: Gate,
        clock: Callable[[], datetime],
    ) -> None:
        self._dynamo = dynamo
        self._subjects = subjects
        self._allotments = allotments
        self._pools = pools
        self._minting = minting
        self._shortages = shortages
        self._stripes = stripes
        self._depots = depots
        self._gate = gate
        self._clock = clock

    def supply(self, subject: Subject, units: int, met: Allotment | None) -> Reason | None:
        """Bring an allotment to where it can answer; returns why it cannot, or None: look again.

        Parameters
        ----------
        met : Allotment or None
            The allotment the decision met; None where there is none yet.

        Raises
        ------
        RegionFencedError
            An operator has fenced this region.
        """
        self._gate.admit([fenced_in(met)] if met else ())
        if met is not None:
            subject = replace(subject, stripes=met.stripes)
        now_ms = to_millis(self._clock())
        key = self._key(subject)
        if met is not None and met.until_ms <= now_ms:
            self._allotments.change(key, met, settle(met, now_ms).allotment)
            return None
        if met is None:
            earlier = self._settle_earlier(subject) + self._stripes.before(
                subject.holder, subject.stripe, subject.stripes
            )
            base = self._subjects.newborn(subject, earlier)
        else:
            base = self._under_terms(subject, met)
            if base.available >= units:
                if base is not met:
                    self._allotments.change(key, met, base)
                return None
        base, headroom = self._with_others(subject, base)
        for _ in range(_RACES):
            short = self._refill(subject, met, base, units, headroom)
            if short is None:
                return None
            if met is None:
                self._draw(subject, None, base, ())  # rights from elsewhere need an allotment to come to
                return None
            reason = self._shortages.relieve(subject, base, units, short)
            if reason is not None or short.of_user:
                return reason
        return None

    def still_short(
        self, org_id: str, user_id: str, meter: str, period: str, units: int, met: Allotment
    ) -> Reason | None:
        """Why an allotment was short a moment ago, if it still is; None: find out.

        Whoever goes on asking costs little: of what could have come meanwhile, changed terms show on the
        allotment and credits in this region's pools; other regions are asked again when the moment is over.
        """
        dry = self._shortages.remembered(org_id, user_id, meter, period, units)
        if dry is None or met.rev != dry.subject.organisation.rev:
            return None
        if dry.shortage.of_user and met.unbacked > 0:
            return None
        pools = self._subjects.pools(dry.subject, own=dry.shortage.of_user)
        draws = plan_refill(met, pools, units, to_millis(self._clock()))
        return dry.reason if isinstance(draws, Shortage) else None

    def look(self, subject: Subject, units: int) -> tuple[Allotment, Reason | None]:
        """See whether `units` would be allowed, without taking or writing anything of an allotment.

        Raises `RegionFencedError`.
        """
        base, headroom = self._as_it_would_be(subject)
        if base.available >= units:
            return base, None
        draws = self._plan(subject, base, self._open_pools(subject), units, headroom)
        if isinstance(draws, Shortage):
            # What lies in depots is swept before anybody is refused.
            pools = with_held(self._open_pools(subject), *self._depots.held(subject))
            draws = plan_refill(base, pools, units, to_millis(self._clock()), headroom=headroom)
        return base, self._shortages.reason(subject, base, units, draws) if isinstance(draws, Shortage) else None

    def room(self, subject: Subject) -> int:
        """How many units an allotment could spend now, with all that pools and depots here would give it."""
        base, headroom = self._as_it_would_be(subject)
        own = of_all = 0
        for pool in with_held(self._subjects.pools(subject), *self._depots.held(subject)):
            own += pool.available if pool.user_id else 0
            of_all += 0 if pool.user_id else pool.available
        return base.available + own + min(of_all, base.unbacked, headroom)

    def _as_it_would_be(self, subject: Subject) -> tuple[Allotment, int]:
        """The allotment under the terms of now, without what has expired; and what the user's limit leaves."""
        met = self._allotments.read(self._key(subject))
        self._gate.admit([fenced_in(met)] if met else ())
        now_ms = to_millis(self._clock())
        base = self._under_terms(subject, met) if met else self._subjects.newborn(subject)
        if base.until_ms <= now_ms:
            base = settle(base, now_ms).allotment
        subject = replace(subject, stripes=base.stripes)
        base, headroom = self._with_others(subject, base)
        return together(base, self._stripes.siblings(subject.holder, 0, subject.stripes)), headroom

    def _refill(
        self, subject: Subject, met: Allotment | None, base: Allotment, units: int, headroom: int
    ) -> Shortage | None:
        """Refill an allotment out of a depot, where there are some, or out of the pools; returns what is short."""
        pools = self._open_pools(subject)
        offer = None
        if _opened(pools):
            offer = self._depots.offer(subject, base, pools, units, headroom, birth=met is None)
        draws = offer.draws if offer else self._plan(subject, base, pools, units, headroom)
        if isinstance(draws, Shortage):
            return draws
        self._shortages.forget(subject)
        self._draw(subject, met, base, draws, depot=offer.write if offer else None)
        return None

    def _plan(
        self, subject: Subject, base: Allotment, pools: list[Pool], units: int, headroom: int
    ) -> tuple[Draw, ...] | Shortage:
        """Plan a refill from the pools there are; when they do not do, mint what is missing and plan again.

        Without a pool of the period's plan the others must not do: credits are spent after it.
        """
        now_ms = to_millis(self._clock())
        draws = plan_refill(base, pools, units, now_ms, headroom=headroom)
        lacking = isinstance(draws, Shortage) or not _opened(pools)
        if lacking and not self._shortages.believed(subject, units):
            self._minting.mint(subject.organisation, subject.meter, subject.user.user_id)
            draws = plan_refill(base, self._open_pools(subject), units, now_ms, headroom=headroom)
        return draws

    def _open_pools(self, subject: Subject) -> list[Pool]:
        pools = self._subjects.pools(subject)
        self._gate.admit(pool.fence for pool in pools)
        return pools

    def _draw(
        self,
        subject: Subject,
        met: Allotment | None,
        base: Allotment,
        draws: tuple[Draw, ...],
        *,
        depot: Wire | None = None,
    ) -> None:
        """Move units from pools into the allotment, all or nothing; a lost race leaves everything as it was.

        With the write of a `depot`, units of the organisation's pools come from there.
        """
        now_ms = to_millis(self._clock())
        writes = [depot] if depot else []
        writes += [
            self._pools.draw_of(
                subject.organisation.org_id,
                subject.meter,
                draw.pool,
                draw.units,
                now_ms,
                births=int(met is None),
                draws=1,
                epoch=self._gate.epoch,
            )
            for draw in draws
            if depot is None or draw.pool.user_id is not None
        ]
        filled = refill(base, draws, now_ms)
        writes += self._allotments.written(subject.holder, met, filled, stripe=subject.stripe)
        if met is None:
            writes += self._stripes.birth_check(subject.holder, subject.stripe, subject.stripes)
        with suppress(TransactionFailedError):
            self._dynamo.transact(writes)

    def _under_terms(self, subject: Subject, met: Allotment) -> Allotment:
        organisation = subject.organisation
        share = 0 if subject.stripe else self._subjects.share(subject, self._allotments.region)
        if met.rev == organisation.rev and met.limit == subject.limit and met.rights == share:
            return met
        return adopt(met, rev=organisation.rev, plan=subject.plan.name, limit=subject.limit, share=share)

    def _settle_earlier(self, subject: Subject) -> list[Allotment]:
        """Give back what the user still holds from periods that have ended; returns those allotments.

        Decisions that began before the turn may still come to them. They are read again until they hold
        nothing, so that all they will ever remember is in what is returned.
        """
        org_id, user_id, meter = subject.organisation.org_id, subject.user.user_id, subject.meter
        for _ in range(_RACES):
            earlier = self._allotments.earlier(org_id, user_id, meter, subject.period.key)
            holding = [(period, met) for period, met in earlier if met.available]
            for period, met in holding:
                self._settle(self._allotments.key(org_id, user_id, meter, period), subject, met)
            if not holding:
                return [met for _, met in earlier]
        raise UnavailableError("the period before is still being settled", hint="send the request again")

    def _settle(self, key: keys.Key, subject: Subject, met: Allotment) -> None:
        """Empty an allotment whose period has ended: units go back to their pools, expired ones end."""
        settled = settle(met, to_millis(self._clock()), everything=True)
        org_id, user_id = subject.organisation.org_id, subject.user.user_id
        returned = Return(key, org_id, user_id, subject.meter, met, settled)
        give_back(self._dynamo, self._allotments.table, self._allotments.region, [returned])

    def _with_others(self, subject: Subject, base: Allotment) -> tuple[Allotment, int]:
        """Count in what was used elsewhere; returns also what the user's limit leaves beyond all of it.

        Rights alone keep a limit that was never lowered. One lowered below what was given out is kept by
        what is known to be used, here at once and elsewhere as it arrives.
        """
        others = [other for other in self._subjects.others(subject).values() if other]
        others += self._stripes.siblings(subject.holder, subject.stripe, subject.stripes).values()
        base = replace(base, total=base.kept + sum(other.kept for other in others))
        if subject.limit is None:
            return base, MAX_UNITS
        own = base.extra + sum(other.extra for other in others)
        aside = base.reserved + sum(other.reserved for other in others)
        return base, max(0, subject.limit + own - base.total - aside - base.available)

    def _key(self, subject: Subject) -> keys.Key:
        return subject.holder.key(self._allotments.region, subject.stripe)


def _opened(pools: list[Pool]) -> bool:
    """Whether the period's plan has its pool here: without it others must not be spent."""
    return any(pool.category is Category.PLAN for pool in pools)
