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
    existing: Iterable[Grant],
    *,
    now: datetime,
) -> list[Grant]:
    """What the plan's grants of a period still lack: all of them at its start, the difference after an upgrade.

    Ids and amounts follow from what exists, so two callers that see the same make the same grants, and
    writing them if absent makes each once.
    """
    granted: Counter[str] = Counter()
    for grant in existing:
        granted[grant.grant_id.partition("@")[0]] += grant.amount
    missing = []
    for meter, allowance in plan.meters.items():
        wanted = {Category.PLAN: allowance.included}
        if allowance.at_end is AtEnd.OVERAGE:
            wanted[Category.OVERAGE] = allowance.overage_cap
        for category, amount in wanted.items():
            base = f"{meter}:{category}-{period.key}"
            if amount <= granted[base]:
                continue
            more = amount - granted[base]
            missing.append(
                Grant(
                    grant_id=f"{base}@{plan.name}" if granted[base] else base,
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


def spendable(category: Category, catalogue: Catalogue, plan: str, meter: str) -> bool:
    """Whether a plan lets grants of this category be spent on `meter`."""
    allowance = catalogue.plans[plan].meters.get(meter)
    return allowance is not None and (category is Category.PLAN or allowance.at_end is not AtEnd.DENY)
