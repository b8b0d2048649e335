"""Organisations and users: who is under which plan, since when, and with which limit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from cutlass.domain.periods import Period, PeriodRule, period_at
from cutlass.domain.plans import MAX_UNITS, Catalogue, Plan, Topology


class Status(StrEnum):
    """Whether an organisation's users may do anything."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class Terms:
    """A plan and a period rule, in force from `since` until the next terms begin."""

    since: datetime
    plan: str
    rule: PeriodRule


@dataclass(frozen=True, slots=True)
class Organisation:
    """A customer. `rev` rises with every change.

    `terms` are those that were and are in force, and at most one to come.
    """

    org_id: str
    home_region: str
    status: Status
    terms: tuple[Terms, ...]
    rev: int
    created_at: datetime

    def terms_at(self, moment: datetime) -> Terms:
        """Find the terms in force at `moment`."""
        return max((t for t in self.terms if t.since <= moment), key=lambda t: t.since, default=self.terms[0])

    def plan_at(self, catalogue: Catalogue, moment: datetime) -> Plan:
        """Find the plan in force at `moment`."""
        return catalogue.plans[self.terms_at(moment).plan]

    def period_at(self, catalogue: Catalogue, moment: datetime) -> Period:
        """Find the period that `moment` lies in.

        Terms that begin inside a natural period of theirs open it late: the period before ran to its end.
        """
        terms = self.terms_at(moment)
        natural = period_at(catalogue.plans[terms.plan].period, terms.rule, moment)
        if natural.start < terms.since <= moment:
            return replace(natural, start=terms.since)
        return natural


def found(org_id: str, home: str, plan: Plan, rule: PeriodRule, status: Status, *, now: datetime) -> Organisation:
    """Make a new organisation, whose first period is the natural one around `now`."""
    since = period_at(plan.period, rule, now).start
    return Organisation(org_id, home, status, (Terms(since, plan.name, rule),), 1, now)


def change(
    organisation: Organisation,
    catalogue: Catalogue,
    *,
    plan: str,
    rule: PeriodRule,
    status: Status,
    now: datetime,
) -> Organisation:
    """Change plan, period rule or status; returns `organisation` itself when nothing changes.

    An upgrade within the same kind of period holds at once. A downgrade, another kind of period and another
    rule begin when the current period ends, so that no change re-opens a period that was already granted.
    """
    current = organisation.terms_at(now)
    old, new = catalogue.plans[current.plan], catalogue.plans[plan]
    at_once = new.rank >= old.rank and new.period is old.period
    in_force = replace(current, plan=plan) if at_once else current
    # The terms before stay, so that periods before are found again: users may still hold units in them.
    terms = (*(past for past in organisation.terms if past.since < current.since), in_force)
    if in_force.plan != plan or in_force.rule != rule:
        end = organisation.period_at(catalogue, now).end
        terms = (*terms, Terms(end, plan, rule))
    changed = replace(organisation, terms=terms, status=status)
    return organisation if changed == organisation else replace(changed, rev=organisation.rev + 1)


_MOVE_NOTICE = timedelta(hours=1)
"""How long before a period a move must be known for it to hold: far longer than it takes to every region."""


@dataclass(frozen=True, slots=True)
class User:
    """One of an organisation's people or keys; `limits` override the plan's per-user limit, by meter.

    `usual_region` (None: the home region) holds from the first period that begins an hour or more after the
    change, at `moved_at`. Until then rights are divided by `former_region`: were a period's rights divided in
    two ways, by two regions or at two times, some would exist twice.
    """

    org_id: str
    user_id: str
    limits: Mapping[str, int] = field(default_factory=dict)
    usual_region: str | None = None
    former_region: str | None = None
    moved_at: datetime | None = None
    rev: int = 1

    def limit(self, plan: Plan, meter: str) -> int | None:
        """Units the user may spend of `meter` per period; None is no limit of the user's own."""
        own = self.limits.get(meter)
        allowance = plan.meters.get(meter)
        return own if own is not None else allowance.user_limit if allowance else 0

    def region_in(self, period: Period) -> str | None:
        """The region by which the user's rights of a period are divided."""
        moved = self.moved_at is not None and self.moved_at + _MOVE_NOTICE > period.start
        return self.former_region if moved else self.usual_region

    def share(self, plan: Plan, meter: str, region: str, home: str, topology: Topology, period: Period) -> int:
        """Units of the user's limit that `region` may hand out by itself in a period."""
        limit = self.limit(plan, meter)
        if limit is None:
            return MAX_UNITS
        return topology.split(limit, self.region_in(period) or home).get(region, 0)


def change_user(
    user: User, *, limits: Mapping[str, int], usual_region: str | None, period: Period, now: datetime
) -> User:
    """Change a user's limits or usual region; returns `user` itself when nothing changes."""
    changed = replace(user, limits=dict(limits), usual_region=usual_region)
    if changed == user:
        return user
    if usual_region != user.usual_region:
        changed = replace(changed, former_region=user.region_in(period), moved_at=now)
    return replace(changed, rev=user.rev + 1)
