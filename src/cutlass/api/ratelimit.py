"""`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10), `Retry-After` (RFC 9110)."""

import calendar
import math
from datetime import datetime

from cutlass.domain.decisions import Decision, Reason
from cutlass.domain.plans import MAX_UNITS, PeriodKind

_DAY = 86_400


def rate_limit_fields(decision: Decision, now: datetime) -> dict[str, str]:
    """Return the header fields that tell a caller where the user stands.

    A quota is `q` units per `w` seconds, with `r` units left until it resets in `t` seconds. A user without a
    limit of its own holds the largest amount there is. Where no organisation or user is known there is no
    quota to tell.

    Parameters
    ----------
    decision : Decision
        What was decided.
    now : datetime
        The time of the answer.
    """
    fields = {}
    if decision.resets_at is not None and decision.period is not None:
        reset = f"t={max(0, math.ceil((decision.resets_at - now).total_seconds()))}"
        user, organisation = f'"user-{decision.period}"', f'"org-{decision.period}"'
        limits, policies = [], []
        quota = MAX_UNITS if decision.limit is None and decision.allowed else decision.limit
        if quota is not None:
            left = max(0, quota - decision.used) if decision.remaining is None else decision.remaining
            policies.append(f"{user};q={quota};w={window_seconds(decision.period, decision.resets_at)}")
            limits.append(f"{user};r={left};{reset}")
        if decision.reason in {Reason.ORG_LIMIT_REACHED, Reason.CREDITS_EXHAUSTED}:
            # The user may have units left that the organisation has not: say which of the two is dry.
            limits.append(f"{organisation};r=0;{reset}")
        if policies:
            fields["RateLimit-Policy"] = ", ".join(policies)
        if limits:
            fields["RateLimit"] = ", ".join(limits)
    if decision.retry_after is not None:
        fields["Retry-After"] = str(decision.retry_after)
    return fields


def window_seconds(kind: PeriodKind, end: datetime) -> int:
    """Return the nominal length of the period that ends at `end`: a day, or the month before it."""
    if kind is PeriodKind.DAY:
        return _DAY
    year, month = (end.year, end.month - 1) if end.month > 1 else (end.year - 1, 12)
    return calendar.monthrange(year, month)[1] * _DAY
