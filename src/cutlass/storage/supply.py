"""What happens when an allotment cannot answer by itself: birth, changed terms, expiry, refill, refusal.

All of it is off the usual path of a decision. A step that loses a race changes nothing: the decision looks
at the allotment again.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cutlass.domain.allotments import Allotment, settle
from cutlass.domain.decisions import Reason
from cutlass.domain.grants import Category, spendable
from cutlass.domain.ids import FRESH_MS
from cutlass.domain.organisations import Organisation, Status, User
from cutlass.domain.periods import Period, to_millis
from cutlass.domain.plans import MAX_UNITS, AtEnd, Catalogue, Plan
from cutlass.domain.pools import Pool
from cutlass.domain.refills import Draw, Shortage, adopt, plan_refill, refill
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments, allotment_of, change_of
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import Dynamo, TransactionFailedError, put_of, update_of
from cutlass.storage.items import allotment_to_item
from cutlass.storage.minting import Minting
from cutlass.storage.pools import Pools

_DRY_SECONDS = 1.0
"""How long a shortage is believed without minting and asking around again."""

_REMEMBERED = 10_000

_DryKey = tuple[str, str, str, str, int]


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks for what: an allotment's surroundings as the directory has them now."""

    organisation: Organisation
    user: User
    plan: Plan
    period: Period
    meter: str

    @property
    def limit(self) -> int | None:
        """The user's limit of the meter, None for none."""
        return self.user.limit(self.plan, self.meter)


class Supply:
    """Supplies the allotments of one region."""

    def __init__(
        self,
        dynamo: Dynamo,
        directory: Directory,
        allotments: Allotments,
        pools: Pools,
        minting: Minting,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dynamo = dynamo
        self._directory = directory
        self._allotments = allotments
        self._pools = pools
        self._minting = minting
        self._catalogue = catalogue
        self._clock = clock
        self._monotonic = monotonic
        self._dry: dict[_DryKey, tuple[float, Reason]] = {}

    def subject(self, org_id: str, user_id: str, feature: str) -> Subject | Reason:
        """Find who asks, as the directory has them now, or why they may not do this at all."""
        organisation, user = self._directory.find(org_id, user_id)
        if organisation is None:
            return Reason.UNKNOWN_ORG
        if organisation.status is Status.SUSPENDED:
            return Reason.ORG_SUSPENDED
        if user is None:
            return Reason.UNKNOWN_USER
        now = self._clock()
        plan = organisation.plan_at(self._catalogue, now)
        if feature not in plan.features:
            return Reason.FEATURE_NOT_IN_PLAN
        period = organisation.period_at(self._catalogue, now)
        return Subject(organisation, user, plan, period, self._catalogue.features[feature].meter)

    def supply(self, subject: Subject, units: int, met: Allotment | None) -> Reason | None:
        """Bring an allotment to where it can answer; returns why it cannot, or None: look again.

        Parameters
        ----------
        met : Allotment or None
            The allotment the decision met; None where there is none yet.
        """
        now_ms = to_millis(self._clock())
        key = self._key(subject)
        if met is not None and met.until_ms <= now_ms:
            self._allotments.change(key, met, settle(met, now_ms).allotment)
            return None
        base = self._under_terms(subject, met) if met else self._newborn(subject)
        if met is None:
            self._settle_previous(subject)
        elif base.rev != met.rev and base.available >= units:
            self._allotments.change(key, met, base)
            return None
        base, headroom = self._with_others(subject, base)
        draws = self._plan(subject, base, units, headroom)
        if isinstance(draws, Shortage):
            return self._refuse(subject, base, units, draws)
        self._dry.pop(self._dry_key(subject, units), None)
        self._draw(subject, met, base, draws)
        return None

    def look(self, subject: Subject, units: int) -> tuple[Allotment, Reason | None]:
        """See whether `units` would be allowed, without taking or writing anything of an allotment."""
        met = self._allotments.read(self._key(subject))
        base = self._under_terms(subject, met) if met else self._newborn(subject)
        base, headroom = self._with_others(subject, base)
        if base.available >= units and base.until_ms > to_millis(self._clock()):
            return base, None
        draws = self._plan(subject, base, units, headroom)
        return base, self._reason(subject, base, units, draws) if isinstance(draws, Shortage) else None

    def _plan(self, subject: Subject, base: Allotment, units: int, headroom: int) -> tuple[Draw, ...] | Shortage:
        """Plan a refill from the pools there are; when they do not do, mint what is missing and plan again.

        Without a pool of the period's plan the others must not do: credits are spent after it.
        """
        now_ms = to_millis(self._clock())
        pools = self._live_pools(subject)
        draws = plan_refill(base, pools, units, now_ms, headroom=headroom)
        opened = any(pool.category is Category.PLAN for pool in pools)
        if (isinstance(draws, Shortage) or not opened) and not self._believed_dry(subject, units):
            self._minting.mint(subject.organisation, subject.meter, subject.user.user_id)
            draws = plan_refill(base, self._live_pools(subject), units, now_ms, headroom=headroom)
        return draws

    def _live_pools(self, subject: Subject, region: str | None = None) -> list[Pool]:
        org_id, user_id = subject.organisation.org_id, subject.user.user_id
        now_ms = to_millis(self._clock())
        return [
            pool
            for pool in self._pools.of(org_id, subject.meter, user_id, region=region)
            if pool.live(now_ms) and spendable(pool.category, self._catalogue, subject.plan.name, subject.meter)
        ]

    def _draw(self, subject: Subject, met: Allotment | None, base: Allotment, draws: tuple[Draw, ...]) -> None:
        """Move units from pools into the allotment, all or nothing; a lost race leaves everything as it was."""
        filled = refill(base, draws, to_millis(self._clock()))
        key, org_id = self._key(subject), subject.organisation.org_id
        table = self._allotments.table
        writes = [
            self._pools.draw_of(org_id, subject.meter, draw.pool, draw.units, birth=met is None) for draw in draws
        ]
        if met is not None:
            writes.append(update_of(table, *key, change_of(met, filled)))
        else:
            pk = keys.roster(self._allotments.region, org_id, subject.meter, subject.period.key)
            writes.append(put_of(table, allotment_to_item(filled, *key, subject.period.end_ms)))
            writes.append(put_of(table, {"pk": pk, "sk": subject.user.user_id}))
        with suppress(TransactionFailedError):
            self._dynamo.transact(writes)

    def _newborn(self, subject: Subject) -> Allotment:
        share = self._share(subject)
        return Allotment(
            rev=subject.organisation.rev,
            plan=subject.plan.name,
            limit=subject.limit,
            rights=share,
            unbacked=share,
            # Ids from before the period may have been decided in the one before: behind the watermark
            # they are looked up.
            mark_ms=subject.period.start_ms + FRESH_MS,
        )

    def _under_terms(self, subject: Subject, met: Allotment) -> Allotment:
        share, organisation = self._share(subject), subject.organisation
        if met.rev == organisation.rev and met.limit == subject.limit and met.rights == share:
            return met
        return adopt(met, rev=organisation.rev, plan=subject.plan.name, limit=subject.limit, share=share)

    def _share(self, subject: Subject) -> int:
        organisation, region = subject.organisation, self._allotments.region
        topology = self._directory.topology
        return subject.user.share(subject.plan, subject.meter, region, organisation.home_region, topology)

    def _settle_previous(self, subject: Subject) -> None:
        """Give back what the user still held at the end of the period before."""
        organisation = subject.organisation
        before = organisation.period_at(self._catalogue, subject.period.start - timedelta(milliseconds=1))
        self.settle(replace(subject, period=before))

    def settle(self, subject: Subject) -> None:
        """Empty the allotment of a period that has ended: units go back to their pools, expired ones end."""
        key, org_id = self._key(subject), subject.organisation.org_id
        met = self._allotments.read(key)
        if met is None or not met.available:
            return
        settled = settle(met, to_millis(self._clock()), everything=True)
        writes = [
            self._pools.return_of(org_id, subject.meter, pool, subject.user.user_id, units)
            for pool, units in settled.returns.items()
        ]
        writes.append(update_of(self._allotments.table, *key, change_of(met, settled.allotment)))
        with suppress(TransactionFailedError):
            self._dynamo.transact(writes)

    def _others(self, subject: Subject) -> dict[str, Allotment | None]:
        """Read this region's copies of the user's allotments in the other regions; they may be behind."""
        org_id, user_id, table = subject.organisation.org_id, subject.user.user_id, self._allotments.table
        wanted = {
            region: keys.allotment(region, org_id, user_id, subject.meter, subject.period.key)
            for region in self._directory.topology.regions
            if region != self._allotments.region
        }
        items = self._dynamo.batch_get({table: list(wanted.values())}, consistent=False)
        return {region: allotment_of(items.get((table, *key))) for region, key in wanted.items()}

    def _with_others(self, subject: Subject, base: Allotment) -> tuple[Allotment, int]:
        """Count in what was used elsewhere; returns also what the user's limit leaves beyond all of it.

        Rights alone keep a limit that was never lowered. One lowered below what was given out is kept by
        what is known to be used, here at once and elsewhere as it arrives.
        """
        others = [other for other in self._others(subject).values() if other]
        base = replace(base, total=base.used + sum(other.used for other in others))
        if subject.limit is None:
            return base, MAX_UNITS
        own = base.extra + sum(other.extra for other in others)
        return base, max(0, subject.limit + own - base.total - base.available)

    def _refuse(self, subject: Subject, base: Allotment, units: int, shortage: Shortage) -> Reason:
        if (reason := self._believed_dry(subject, units)) is None:
            reason = self._reason(subject, base, units, shortage)
            if len(self._dry) >= _REMEMBERED:
                self._dry.clear()
            self._dry[self._dry_key(subject, units)] = (self._monotonic() + _DRY_SECONDS, reason)
        return reason

    def _reason(self, subject: Subject, base: Allotment, units: int, shortage: Shortage) -> Reason:
        """Tell a limit that is reached from rights that lie in another region."""
        topology = self._directory.topology
        need = units - base.available
        if shortage.of_user:
            organisation, user = subject.organisation, subject.user
            if subject.limit is not None and base.total + units > subject.limit + base.extra:
                return Reason.USER_LIMIT_REACHED
            there = base.unbacked
            for region, other in self._others(subject).items():
                share = user.share(subject.plan, subject.meter, region, organisation.home_region, topology)
                there += other.unbacked + other.available if other else share
            return Reason.REGION_SHORT if there >= need else Reason.USER_LIMIT_REACHED
        pools = [pool for region in topology.regions for pool in self._live_pools(subject, region)]
        if sum(pool.available for pool in pools) >= need:
            return Reason.REGION_SHORT
        at_end = subject.plan.meters[subject.meter].at_end
        return Reason.CREDITS_EXHAUSTED if at_end is AtEnd.CREDITS else Reason.ORG_LIMIT_REACHED

    def _believed_dry(self, subject: Subject, units: int) -> Reason | None:
        until, reason = self._dry.get(self._dry_key(subject, units), (0.0, None))
        return reason if self._monotonic() < until else None

    @staticmethod
    def _dry_key(subject: Subject, units: int) -> _DryKey:
        return (
            subject.organisation.org_id,
            subject.user.user_id,
            subject.meter,
            subject.period.key,
            units,
        )

    def _key(self, subject: Subject) -> keys.Key:
        return self._allotments.key(
            subject.organisation.org_id, subject.user.user_id, subject.meter, subject.period.key
        )
