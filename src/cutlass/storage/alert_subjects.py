"""What alerts are decided against: limits and credits, as the home region has them, read once in a batch."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from cutlass.domain.alerts import AlertSettings, ThresholdKind, ThresholdScope
from cutlass.domain.grants import Grant
from cutlass.domain.organisations import Organisation, User
from cutlass.domain.periods import Period, period_start
from cutlass.domain.plans import Catalogue, Plan
from cutlass.domain.thresholds import Credit, applicable, credit_of, limit_of
from cutlass.storage.alert_homes import Watched
from cutlass.storage.directory import Directory
from cutlass.storage.pools import Pools

if TYPE_CHECKING:
    from cutlass.domain.pools import Pool

_MOMENT = timedelta(milliseconds=1)


class AlertSubject:
    """One organisation within one batch: nothing of it is read twice, and nothing before it is asked for.

    Limits are read behind the figures that are held against them: what was spent of a top-up is never held against
    the limit before it.
    """

    def __init__(
        self,
        organisation: Organisation,
        settings: AlertSettings,
        watched: Watched,
        directory: Directory,
        pools: Pools,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
    ) -> None:
        self.organisation = organisation
        self.settings = settings
        self.watched = watched
        self.users: dict[str, User] = {}
        self._directory = directory
        self._pools = pools
        self._catalogue = catalogue
        self._clock = clock
        self._grants: dict[str, list[Grant]] = {}

    @cached_property
    def meters(self) -> list[str]:
        """The meters that are watched: of the settings, or of the plan."""
        plan = self.plan(self.period())
        return [meter for meter in plan.meters if self.watches(meter)]

    def watches(self, meter: str) -> bool:
        """Whether a meter is watched."""
        return self.settings.meters is None or meter in self.settings.meters

    def period(self, key: str | None = None) -> Period:
        """The period a key names, or the one of now."""
        if key is None:
            return self.organisation.period_at(self._catalogue, self._clock())
        start = period_start(key)
        return Period(start, self.organisation.period_at(self._catalogue, start).end)

    def ended(self, period: Period) -> bool:
        """Whether a period is over."""
        return self._clock() >= period.end

    def plan(self, period: Period) -> Plan:
        """The plan in force, now or when the period ended."""
        return self.organisation.plan_at(self._catalogue, self._moment(period))

    def limit(self, meter: str, period: Period, user_id: str | None) -> int | None:
        """The limit that shares are of; None for none, or for a meter that the plan does not have."""
        plan = self.plan(period)
        allowance = plan.meters.get(meter)
        if allowance is None:
            return None
        user = self.users.get(user_id) if user_id else None
        own = (user or User(self.organisation.org_id, user_id or "")).limit(plan, meter)
        if user_id and own is None:
            return None
        return limit_of(
            allowance,
            self.grants(meter),
            period,
            self._moment(period),
            own=own if user_id else None,
            user_id=user_id,
        )

    def credit(self, meter: str, period: Period) -> Credit:
        """The prepaid units left of a meter, now."""
        pools: dict[str, list[Pool]] = defaultdict(list)
        for region in self._directory.topology.regions:
            for pool in self._pools.of(self.organisation.org_id, meter, region=region):
                pools[pool.grant_id].append(pool)
        return credit_of(self.grants(meter), pools, period, self._clock())

    def grants(self, meter: str) -> list[Grant]:
        """The organisation's grants of a meter that are not voided."""
        if meter not in self._grants:
            known = self._directory.grants(self.organisation, meter)
            self._grants[meter] = [grant for grant, voided in known if not voided]
        return self._grants[meter]

    def has_credit(self, meter: str) -> bool:
        """Whether the organisation was ever granted credits of a meter."""
        return any(grant.category.prepaid for grant in self.grants(meter))

    def wants(self, meter: str, scope: ThresholdScope, *kinds: ThresholdKind) -> bool:
        """Whether any threshold of these kinds holds for a meter."""
        return self.watches(meter) and bool(applicable(self.settings.thresholds, meter, scope, *kinds))

    def _moment(self, period: Period) -> datetime:
        return min(self._clock(), period.end - _MOMENT)


def read_users(directory: Directory, subjects: Iterable[tuple[AlertSubject, Iterable[str]]]) -> None:
    """Read the users of several organisations together, and give each organisation its."""
    wanted = [(subject, user_id) for subject, user_ids in subjects for user_id in user_ids]
    found = directory.users([(subject.organisation, user_id) for subject, user_id in wanted])
    for subject, user_id in wanted:
        if user := found.get((subject.organisation.org_id, user_id)):
            subject.users[user_id] = user
