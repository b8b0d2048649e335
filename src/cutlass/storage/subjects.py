"""Who asks for what, and all that is known here about what they may spend: the reading side of supply."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cutlass.domain.allotments import Allotment
from cutlass.domain.decisions import Reason
from cutlass.domain.depots import carried_on
from cutlass.domain.grants import Grant, spendable
from cutlass.domain.ids import FRESH_MS, mark_time
from cutlass.domain.organisations import Organisation, Status, User
from cutlass.domain.periods import Period, to_millis
from cutlass.domain.plans import Catalogue, Plan
from cutlass.domain.pools import Pool, mint
from cutlass.domain.sights import Sight
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments, Holder, allotment_of
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.pools import Pools


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks for what: an allotment's surroundings as the directory has them now.

    `stripes` is how many the allotment has, `stripe` the one that decides.
    """

    organisation: Organisation
    user: User
    plan: Plan
    period: Period
    meter: str
    stripes: int = 1
    stripe: int = 0

    @property
    def holder(self) -> Holder:
        """Whose rights these are."""
        organisation, user, period = self.organisation, self.user, self.period
        return Holder(organisation.org_id, user.user_id, self.meter, period.key, period.end_ms)

    @property
    def limit(self) -> int | None:
        """The user's limit of the meter, None for none."""
        return self.user.limit(self.plan, self.meter)


class Subjects:
    """Reads what one region knows about subjects, also its copies of what other regions own."""

    def __init__(
        self,
        dynamo: Dynamo,
        directory: Directory,
        allotments: Allotments,
        pools: Pools,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
    ) -> None:
        self._dynamo = dynamo
        self._directory = directory
        self._allotments = allotments
        self._pools = pools
        self._catalogue = catalogue
        self._clock = clock
        self.region = allotments.region
        self.regions = directory.topology.regions

    def find(self, org_id: str, user_id: str, feature: str, *, at_least: int = 0) -> Subject | Reason:
        """Find who asks, as the directory has them now, or why they may not do this at all.

        An allotment may know the organisation's revision `at_least` before this region's copy of the
        organisation does: then the home region is asked. Raises `UnavailableError` when it does not answer.
        """
        organisation, user = self._directory.find(org_id, user_id)
        if organisation is not None and organisation.rev < at_least:
            organisation = self._directory.look(organisation.home_region, org_id)
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

    def share(self, subject: Subject, region: str) -> int:
        """Units of the subject's limit that a region begins a period with."""
        home, topology = subject.organisation.home_region, self._directory.topology
        return subject.user.share(subject.plan, subject.meter, region, home, topology, subject.period)

    def newborn(
        self, subject: Subject, earlier: Iterable[Allotment] = (), *, region: str | None = None
    ) -> Allotment:
        """The allotment the subject begins a period with, in this region or another.

        Ids decided in an earlier period lie behind its watermark, and so are looked up: those from before
        this one, and those ahead of their time that the allotments of `earlier` periods remember. So do ids
        decided by the stripes before this one; it has no rights of its own, but gets some from them.
        """
        marks = [subject.period.start_ms + FRESH_MS]
        for allotment in earlier:
            marks += [allotment.mark_ms, *map(mark_time, allotment.ring)]
        share = 0 if subject.stripe and region is None else self.share(subject, region or self.region)
        return Allotment(
            rev=subject.organisation.rev,
            plan=subject.plan.name,
            limit=subject.limit,
            rights=share,
            unbacked=share,
            mark_ms=max(marks),
            stripes=subject.stripes if region is None else 1,
        )

    def others(self, subject: Subject) -> dict[str, Allotment | None]:
        """Read this region's copies of the user's allotments in the other regions; they may be behind."""
        org_id, user_id, table = subject.organisation.org_id, subject.user.user_id, self._allotments.table
        wanted = {
            region: keys.allotment(region, org_id, user_id, subject.meter, subject.period.key)
            for region in self.regions
            if region != self.region
        }
        if not wanted:
            return {}
        items = self._dynamo.batch_get({table: list(wanted.values())}, consistent=False)
        return {region: allotment_of(items.get((table, *key))) for region, key in wanted.items()}

    def pools(self, subject: Subject, region: str | None = None, *, own: bool = False) -> list[Pool]:
        """Read the pools the subject may be supplied from, of this region or, perhaps behind, of another.

        `own` reads only those of the user's own grants.
        """
        org_id, user_id = subject.organisation.org_id, subject.user.user_id
        pools = self._pools.of(org_id, subject.meter, user_id, region=region, own=own)
        pools = carried_on(pools, to_millis(self._clock()))
        return [pool for pool in pools if self._serves(subject.plan, subject.meter, pool)]

    def sight(self, organisation: Organisation, plan: Plan, meter: str, *, user_id: str | None = None) -> Sight:
        """Read what this region sees of the grants that may be spent now, and of all regions' pools of them.

        With a user, grants of the user's own are among them.
        """
        found = []
        for grant, voided in self._directory.grants(organisation, meter):
            pool = mint(grant, self.region)
            if not voided and grant.user_id in {None, user_id} and self._serves(plan, meter, pool):
                found.append((pool.order, grant))
        grants = {grant.grant_id: grant for _, grant in sorted(found, key=lambda pair: pair[0])}
        own_user = user_id if any(grant.user_id for grant in grants.values()) else None
        pools = {
            region: self._by_grant(grants, self._pools.of(organisation.org_id, meter, own_user, region=region))
            for region in self.regions
        }
        return Sight(self.region, grants, pools.pop(self.region), pools)

    def refreshed(self, sight: Sight) -> Sight:
        """The same sight, with this region's pools as they are now."""
        if not sight.grants:
            return sight
        grant = next(iter(sight.grants.values()))
        user_id = next((grant.user_id for grant in sight.grants.values() if grant.user_id), None)
        return replace(sight, own=self._by_grant(sight.grants, self._pools.of(grant.org_id, grant.meter, user_id)))

    @staticmethod
    def _by_grant(grants: Mapping[str, Grant], pools: Iterable[Pool]) -> dict[str, Pool]:
        """Pools of some grants, in the order of spending."""
        found = {pool.grant_id: pool for pool in pools}
        return {grant_id: found[grant_id] for grant_id in grants if grant_id in found}

    def _serves(self, plan: Plan, meter: str, pool: Pool) -> bool:
        return pool.live(to_millis(self._clock())) and spendable(pool.category, self._catalogue, plan.name, meter)
