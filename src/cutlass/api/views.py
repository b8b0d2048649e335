"""Organisations, users, credits and figures as the interface shows them."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

from cutlass.api.decisions import decision_body
from cutlass.domain.allotments import Spent
from cutlass.domain.ledger import LedgerEntry
from cutlass.domain.organisations import Organisation, Terms, User
from cutlass.domain.periods import PeriodRule, from_millis
from cutlass.domain.plans import Catalogue, Plan
from cutlass.domain.pools import grant_of
from cutlass.domain.reservations import Reservation, State

if TYPE_CHECKING:
    from cutlass.storage.balances import Balance
    from cutlass.storage.grants import GrantView
    from cutlass.storage.refunds import RefundView
    from cutlass.storage.reservations import Reserved
    from cutlass.storage.usage import UsageRow


def organisation_body(organisation: Organisation, now: datetime) -> dict[str, Any]:
    """Return the JSON object of an organisation: what holds `now`, and what will from the next period."""
    current = organisation.terms_at(now)
    coming = [terms for terms in organisation.terms if terms.since > now and terms != current]
    return {
        "org_id": organisation.org_id,
        **_terms(current),
        "home_region": organisation.home_region,
        "status": organisation.status,
        "created_at": organisation.created_at,
        "next": {**_terms(coming[0]), "since": coming[0].since} if coming else None,
    }


def user_body(user: User) -> dict[str, Any]:
    """Return the JSON object of a user."""
    return {
        "org_id": user.org_id,
        "user_id": user.user_id,
        "limits": dict(user.limits),
        "usual_region": user.usual_region,
    }


def balance_body(balance: "Balance") -> dict[str, Any]:
    """Return the JSON object of an organisation's or a user's balance."""
    body = asdict(balance)
    if balance.user_id is None:
        del body["user_id"]
    return body


def usage_body(row: "UsageRow") -> dict[str, Any]:
    """Return the JSON object of one group's usage."""
    return {"meter": row.meter, "group": row.group, "units": row.units, "refusals": row.refusals}


def ledger_body(entry: LedgerEntry) -> dict[str, Any]:
    """Return the JSON object of a ledger entry."""
    return {
        "id": entry.entry_id,
        "kind": entry.kind,
        "at": entry.at,
        "region": entry.region,
        "org_id": entry.org_id,
        "user_id": entry.user_id,
        "meter": entry.meter,
        "feature": entry.feature,
        "units": entry.units,
        "before": entry.before,
        "after": entry.after,
        "request_id": entry.request_id,
        "reason": entry.reason,
        "plan": entry.plan,
        "grants": _grants(entry.spent),
    }


def refund_body(view: "RefundView") -> dict[str, Any]:
    """Return the JSON object of a refund."""
    charge, part = view.charge, view.part
    return {
        "id": part.refund_id,
        "org_id": charge.org_id,
        "user_id": charge.user_id,
        "request_id": charge.request_id,
        "meter": charge.meter,
        "region": charge.region,
        "units": part.units,
        "charged": charge.units,
        "refunded": view.refunded,
        "reason": part.reason,
        "at": view.at,
        "grants": _grants(view.spent),
    }


def grant_body(view: "GrantView") -> dict[str, Any]:
    """Return the JSON object of a grant."""
    grant = view.grant
    return {
        "id": grant.grant_id,
        "org_id": grant.org_id,
        "user_id": grant.user_id,
        "meter": grant.meter,
        "category": grant.category,
        "amount": grant.amount,
        "priority": grant.priority,
        "effective_at": grant.effective_at,
        "expires_at": grant.expires_at,
        "created_at": grant.created_at,
        "voided_at": view.voided_at,
        "regions": dict(grant.split),
    }


def reservation_body(reservation: Reservation) -> dict[str, Any]:
    """Return the JSON object of a reservation."""
    held = reservation.state is State.HELD
    return {
        "id": reservation.reservation_id,
        "region": reservation.region,
        "org_id": reservation.org_id,
        "user_id": reservation.user_id,
        "feature": reservation.feature,
        "meter": reservation.meter,
        "units": reservation.units,
        "state": reservation.state,
        "spent": None if held else reservation.spent,
        "created_at": from_millis(reservation.created_ms),
        "expires_at": from_millis(reservation.deadline_ms),
        "ended_at": None if held else from_millis(reservation.ended_ms),
    }


def reserved_body(reserved: "Reserved") -> dict[str, Any]:
    """Return the JSON object of the decision on a reservation or on its commit."""
    about = reservation_body(reserved.reservation) if reserved.reservation else None
    summary = {name: about[name] for name in ("id", "units", "state", "expires_at")} if about else None
    return decision_body(reserved.decision) | {"reservation": summary}


def catalogue_body(catalogue: Catalogue) -> dict[str, Any]:
    """Return the JSON object of the plan catalogue."""
    return {
        "meters": [{"name": name, "title": title} for name, title in catalogue.meters.items()],
        "features": [
            {"name": feature.name, "title": feature.title, "meter": feature.meter, "units": feature.units}
            for feature in catalogue.features.values()
        ],
        "plans": [_plan(plan) for plan in catalogue.plans.values()],
    }


def _grants(spent: Spent) -> list[dict[str, Any]]:
    return [{"grant_id": grant_of(pool), "units": units} for pool, units in spent]


def _terms(terms: Terms) -> dict[str, Any]:
    return {"plan": terms.plan, "period": _rule(terms.rule)}


def _rule(rule: PeriodRule) -> dict[str, Any]:
    return {"anchor_day": rule.anchor_day, "time_zone": rule.time_zone}


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "title": plan.title,
        "period": plan.period,
        "features": sorted(plan.features),
        "meters": {
            meter: {
                "included": allowance.included,
                "user_limit": allowance.user_limit,
                "at_end": allowance.at_end,
                "overage_cap": allowance.overage_cap,
            }
            for meter, allowance in plan.meters.items()
        },
        "throttle": {
            "requests_per_second": plan.throttle.requests_per_second,
            "burst": plan.throttle.burst,
        },
    }
