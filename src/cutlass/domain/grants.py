"""Grants: rights to use a number of units, made once, divided over the regions, never changed."""

import base64
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cutlass.domain.ids import digest
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import Period
from cutlass.domain.plans import AtEnd, Catalogue, Plan, Topology


class Category(StrEnum):
    """Where a grant comes from."""

    PLAN = "plan"
    PAID = "paid"
    PROMOTIONAL = "promotional"
    OVERAGE = "overage"

    @property
    def prepaid(self) -> bool:
        """Whether the units are credits, outside any plan."""
        return self in {Category.PAID, Category.PROMOTIONAL}


PLAN_PRIORITY, DEFAULT_PRIORITY, OVERAGE_PRIORITY, MAX_PRIORITY = 10, 50, 900, 999


@dataclass(frozen=True, slots=True)
class Grant:
    """A right to use `amount` units of one meter from `effective_at` until `expires_at` (None: for good).

    Grants are spent in order of priority (lowest number first), then of expiry. `user_id` scopes a grant to
    one user, for whom it comes on top of the user's limit. `split` says what each region may hand out.
    """

    grant_id: str
    org_id: str
    meter: str
    category: Category
    amount: int
    priority: int
    effective_at: datetime
    expires_at: datetime | None
    user_id: str | None
    split: Mapping[str, int]
    created_at: datetime


def grant_id(meter: str, *secret: str) -> str:
    """Name a prepaid grant after its meter and what identifies its request."""
    return f"{meter}:{base64.b32encode(digest('grant', *secret)[:10]).decode().lower()}"


def missing_grants(
    organisation: Organisation,
    plan: Plan,
    period: Period,
    topology: Topology,
    existing: Iterable[tuple[Grant, bool]],
    *,
    now: datetime,
) -> list[Grant]:
    """What the plan's grants of a period still lack: all of them at its start, the difference after an upgrade.

    An id follows from how many there are, so of two callers that see the same, also for different plans,
    only one makes its grant by writing it if absent; the other looks again.

    Parameters
    ----------
    existing : Iterable[tuple[Grant, bool]]
        The organisation's grants, each with whether it was voided.
    """
    existing = list(existing)
    granted, parts = _of_period(period, existing), Counter[str]()
    for grant, _ in existing:
        parts[grant.grant_id.partition("@")[0]] += 1
    missing = []
    for (meter, category), amount in _wanted(plan).items():
        base = _period_grant_id(meter, category, period)
        more = amount - sum(grant.amount for grant in granted.get(base, ()))
        if more > 0:
            missing.append(
                Grant(
                    grant_id=f"{base}@{parts[base]}" if parts[base] else base,
                    org_id=organisation.org_id,
                    meter=meter,
                    category=category,
                    amount=more,
                    priority=PLAN_PRIORITY if category is Category.PLAN else OVERAGE_PRIORITY,
                    effective_at=period.start,
                    expires_at=period.end,
                    user_id=None,
                    split=topology.split(more, organisation.home_region),
                    created_at=now,
                )
            )
    return missing


def superseded_grants(plan: Plan, period: Period, existing: Iterable[tuple[Grant, bool]]) -> list[Grant]:
    """The grants of a period not begun that a change of plan or of period rule has made wrong.

    They were written ahead, for more units than the plan includes now or for a period that ends otherwise.
    """
    existing = list(existing)
    wrong = [
        grant
        for grant, voided in existing
        if not voided
        and not grant.category.prepaid
        and grant.effective_at == period.start
        and grant.expires_at != period.end
    ]
    wanted = {_period_grant_id(*key, period): amount for key, amount in _wanted(plan).items()}
    for base, grants in _of_period(period, existing).items():
        if sum(grant.amount for grant in grants) > wanted.get(base, 0):
            wrong += grants
    return wrong


def _wanted(plan: Plan) -> dict[tuple[str, Category], int]:
    wanted = {(meter, Category.PLAN): allowance.included for meter, allowance in plan.meters.items()}
    for meter, allowance in plan.meters.items():
        if allowance.at_end is AtEnd.OVERAGE:
            wanted[meter, Category.OVERAGE] = allowance.overage_cap
    return wanted


def _period_grant_id(meter: str, category: Category, period: Period) -> str:
    return f"{meter}:{category}-{period.key}"


def _of_period(period: Period, existing: Iterable[tuple[Grant, bool]]) -> dict[str, list[Grant]]:
    """The standing grants that come with a plan for exactly this period, by the first part of their ids."""
    found: dict[str, list[Grant]] = {}
    for grant, voided in existing:
        span = grant.effective_at, grant.expires_at
        if not voided and not grant.category.prepaid and span == (period.start, period.end):
            found.setdefault(grant.grant_id.partition("@")[0], []).append(grant)
    return found


def spendable(category: Category, catalogue: Catalogue, plan: str, meter: str) -> bool:
    """Whether a plan lets grants of this category be spent on `meter`."""
    allowance = catalogue.plans[plan].meters.get(meter)
    return allowance is not None and (category is Category.PLAN or allowance.at_end is not AtEnd.DENY)
