"""A decision as the interface shows it."""

from typing import Any

from cutlass.domain.decisions import Decision


def decision_body(decision: Decision) -> dict[str, Any]:
    """Return the JSON object of a decision; `retry_after` is there only where time helps."""
    body = {
        "allowed": decision.allowed,
        "reason": decision.reason,
        "decision_id": decision.decision_id,
        "region": decision.region,
        "replayed": decision.replayed,
        "org_id": decision.org_id,
        "user_id": decision.user_id,
        "feature": decision.feature,
        "meter": decision.meter,
        "units": decision.units,
        "plan": decision.plan,
        "user": {"limit": decision.limit, "used": decision.used, "remaining": decision.remaining},
        "resets_at": decision.resets_at,
    }
    if decision.retry_after is not None:
        body["retry_after"] = decision.retry_after
    return body
