"""A scenario in the terms of the rules: organisation, plan, period, users, grants and their split."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

from cutlass.domain.allotments import Allotment
from cutlass.domain.grants import Category, Grant, missing_grants, spendable
from cutlass.domain.ids import FRESH_MS
from cutlass.domain.organisations import Status, User, found
from cutlass.domain.periods import PeriodRule, to_millis
from cutlass.domain.plans import Allowance, AtEnd, Catalogue, Feature, PeriodKind, Plan, Region, Throttle, Topology
from cutlass.domain.pools import NEVER_MS
from cutlass.simulation.geography import PLACES
from cutlass.simulation.scenarios import Credit, Scenario
from cutlass.simulation.workload import usual_region

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
"""When every run begins: in the middle of a period, so that none turns."""

START_MS = to_millis(START)
METER, FEATURE = "requests", "default"


class Setting:
    """What does not change in a run: one organisation with one meter, its users and its grants."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        regions = {name: Region(name, name.title(), PLACES[name][0]) for name in scenario.regions}
        self.topology = Topology(regions, scenario.home_percent)
        allowance = Allowance(scenario.limit, scenario.user_limit, AtEnd.CREDITS)
        self.plan = Plan(
            name="simulated",
            title="Simulated",
            rank=0,
            period=PeriodKind.MONTH,
            features=frozenset({FEATURE}),
            meters={METER: allowance},
            throttle=Throttle(1_000_000, 1_000_000),
        )
        features = {FEATURE: Feature(FEATURE, "One request", METER, 1)}
        self.catalogue = Catalogue({METER: "Requests"}, features, {self.plan.name: self.plan})
        self.organisation = found("org", scenario.home, self.plan, PeriodRule(), Status.ACTIVE, now=START)
        self.period = self.organisation.period_at(self.catalogue, START)
        self.grants: dict[str, Grant] = {grant.grant_id: grant for grant in self._grants()}
        self.numbers = {grant_id: number for number, grant_id in enumerate(self.grants)}
        self._own = {grant.user_id for grant in self.grants.values() if grant.user_id}
        spending = [grant for grant in self.grants.values() if self._spendable(grant)]
        spending.sort(key=lambda grant: (grant.priority, expiry(grant), grant.grant_id))
        self._spending = [(grant, expiry(grant)) for grant in spending]
        self._common = [pair for pair in self._spending if pair[0].user_id is None]
        self.share = cache(self._share)
        self._born = cache(self._born_of)  # values never change, so users may share one

    def _grants(self) -> Iterator[Grant]:
        """The plan's grant of the period, as production makes it, and the scenario's credits."""
        yield from missing_grants(
            self.organisation, self.plan, self.period, self.topology, [], now=self.period.start
        )
        for number, credit in enumerate(self.scenario.credits):
            yield self._credit(number, credit)

    def _credit(self, number: int, credit: Credit) -> Grant:
        ends = None if credit.ends_ms is None else START + timedelta(milliseconds=int(credit.ends_ms))
        return Grant(
            grant_id=f"{METER}:credit{number}",
            org_id=self.organisation.org_id,
            meter=METER,
            category=Category.PROMOTIONAL if ends else Category.PAID,
            amount=credit.amount,
            priority=5 if ends else 50,
            effective_at=self.period.start,
            expires_at=ends,
            user_id=None if credit.user is None else user_name(credit.user),
            split=self.topology.split(credit.amount, self.organisation.home_region),
            created_at=START,
        )

    def _spendable(self, grant: Grant) -> bool:
        return spendable(grant.category, self.catalogue, self.plan.name, METER)

    def live(self, user: int, now_ms: int) -> list[Grant]:
        """The grants a user may spend at a moment, in the order of spending."""
        return [grant for grant, ends_ms in self._usable(user) if now_ms < ends_ms]

    def _usable(self, user: int) -> list[tuple[Grant, int]]:
        name = user_name(user) if self._own else ""
        return (
            [pair for pair in self._spending if pair[0].user_id in {None, name}]
            if name in self._own
            else self._common
        )

    def _share(self, usual: str, region: str) -> int:
        user = User(self.organisation.org_id, "anybody", usual_region=usual)
        home = self.organisation.home_region
        return user.share(self.plan, METER, region, home, self.topology, self.period)

    def newborn(self, user: int, region: str) -> Allotment:
        """The allotment a user begins with in a region, as `cutlass.storage.subjects` makes it."""
        return self._born(usual_region(self.scenario, user), region)

    def _born_of(self, usual: str, region: str) -> Allotment:
        share = self.share(usual, region)
        return Allotment(
            rev=self.organisation.rev,
            plan=self.plan.name,
            limit=self.scenario.user_limit,
            rights=share,
            unbacked=share,
            mark_ms=self.period.start_ms + FRESH_MS,
        )

    @property
    def granted(self) -> int:
        """Units of all grants."""
        return sum(grant.amount for grant in self.grants.values())

    def ceiling(self, user: int) -> int:
        """Units a user may spend at most: the user's limit, and grants of the user's own on top."""
        name = user_name(user)
        own = sum(grant.amount for grant in self.grants.values() if grant.user_id == name) if self._own else 0
        return self.scenario.user_limit + own


def expiry(grant: Grant) -> int:
    """When a grant ends, in milliseconds since 1970."""
    return NEVER_MS if grant.expires_at is None else to_millis(grant.expires_at)


def user_name(user: int) -> str:
    """The id of a user."""
    return f"user{user}"
