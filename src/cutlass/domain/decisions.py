"""Decisions: the question, the answer, and the reasons a refusal may have."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cutlass.domain.plans import PeriodKind


class Reason(StrEnum):
    """Why a decision came out as it did."""

    OK = "ok"
    USER_LIMIT_REACHED = "user_limit_reached"
    ORG_LIMIT_REACHED = "org_limit_reached"
    CREDITS_EXHAUSTED = "credits_exhausted"
    FEATURE_NOT_IN_PLAN = "feature_not_in_plan"
    ORG_SUSPENDED = "org_suspended"
    UNKNOWN_ORG = "unknown_org"
    UNKNOWN_USER = "unknown_user"
    REGION_SHORT = "region_short"


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """The question whether this user of this organisation may do this now.

    `units` None takes the feature's cost; 0 looks and takes nothing. `request_id` None makes one.
    """

    org_id: str
    user_id: str
    feature: str = "default"
    units: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a `DecisionRequest`.

    Attributes
    ----------
    units : int
        Units of `meter` the decision was about.
    limit : int or None
        The user's limit per period in units, None for none.
    used, remaining : int
        Units the user has spent over all regions, as far as this region knows, and has left.
    resets_at : datetime or None
        When the period ends; None where no organisation, or no such feature, is known.
    retry_after : int or None
        Seconds after which the same request may be allowed; None where time does not help.
    """

    allowed: bool
    reason: Reason
    decision_id: str
    region: str
    org_id: str
    user_id: str
    feature: str
    meter: str | None
    units: int
    replayed: bool = False
    plan: str | None = None
    limit: int | None = None
    used: int = 0
    remaining: int | None = None
    resets_at: datetime | None = None
    retry_after: int | None = None
    period: PeriodKind | None = None


REGION_SHORT_RETRY_SECONDS = 1
"""When to ask again for rights that exist in another region: they arrive within about a second."""
