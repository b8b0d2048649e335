"""Plain values of the rules, for tests to vary."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cutlass.domain.allotments import Allotment, Chunk, Spend, earliest
from cutlass.domain.grants import Category, Grant
from cutlass.domain.ids import RequestIdentity, new_request_id
from cutlass.domain.organisations import Organisation, Status, found
from cutlass.domain.periods import PeriodRule, to_millis
from cutlass.domain.plans import Allowance, AtEnd, Catalogue, Feature, PeriodKind, Plan, Region, Throttle, Topology
from cutlass.domain.pools import NEVER_MS, Pool
from cutlass.domain.reservations import Part, Reservation

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW_MS = to_millis(NOW)
DAY_MS = 86_400_000


def topology(regions: int = 2, home_percent: int = 80) -> Topology:
    names = (["london", "sydney"] + [f"region{n}" for n in range(3, regions + 1)])[:regions]
    return Topology({name: Region(name, name.title(), f"aws-{name}") for name in names}, home_percent)


def plan(
    name: str,
    rank: int,
    *,
    period: PeriodKind = PeriodKind.MONTH,
    included: int = 1000,
    user_limit: int | None = 100,
    at_end: AtEnd = AtEnd.CREDITS,
    overage_cap: int = 0,
) -> Plan:
    allowance = Allowance(included, user_limit, at_end, overage_cap)
    features, meters = frozenset({"default"}), {"requests": allowance}
    return Plan(name, name.title(), rank, period, features, meters, Throttle(10, 20))


def catalogue(*plans: Plan) -> Catalogue:
    chosen = plans or (
        plan("basic", 0),
        plan("premium", 1, included=5000, user_limit=500),
        plan("enterprise", 2, included=20_000, user_limit=None, at_end=AtEnd.OVERAGE, overage_cap=3000),
    )
    features = {"default": Feature("default", "One request", "requests", 1)}
    return Catalogue({"requests": "Requests"}, features, {p.name: p for p in chosen})


def organisation(of: Plan | None = None, *, rule: PeriodRule | None = None, now: datetime = NOW) -> Organisation:
    return found("org", "london", of or plan("basic", 0), rule or PeriodRule(), Status.ACTIVE, now=now)


def grant(**changes: Any) -> Grant:
    values: dict[str, Any] = {
        "grant_id": "requests:g",
        "org_id": "org",
        "meter": "requests",
        "category": Category.PAID,
        "amount": 100,
        "priority": 50,
        "effective_at": NOW - timedelta(days=1),
        "expires_at": NOW + timedelta(days=1),
        "user_id": None,
        "split": {"london": 80, "sydney": 20},
        "created_at": NOW,
    }
    return Grant(**(values | changes))


def pool(grant_id: str = "requests:g", available: int = 100, **changes: Any) -> Pool:
    values: dict[str, Any] = {
        "category": Category.PAID,
        "priority": 50,
        "starts_ms": NOW_MS - DAY_MS,
        "expires_ms": NOW_MS + DAY_MS,
        "user_id": None,
        "minted": available,
    }
    return Pool(grant_id=grant_id, available=available, **(values | changes))


def allotment(*chunks: tuple[str, int, int], limit: int = 100, **changes: Any) -> Allotment:
    """An allotment under a limit that holds chunks, each given as (pool, units, expiry)."""
    held, drawn = [], 0
    for key, units, expires_ms in chunks:
        drawn += units
        held.append(Chunk(key, drawn, expires_ms))
    fresh = Allotment(rev=1, plan="basic", limit=limit, rights=limit, unbacked=limit - drawn)
    holding = replace(fresh, available=drawn, drawn=drawn, held=tuple(held), until_ms=earliest(held))
    return replace(holding, **changes)


def holding(units: int, **changes: Any) -> Allotment:
    """An allotment that holds so many units of one pool that never expires."""
    return allotment(("p", units, NEVER_MS), **changes)


def reservation(units: int = 10, **changes: Any) -> Reservation:
    """A reservation of units of one pool that never expires, unless `parts` says otherwise."""
    values: dict[str, Any] = {
        "region": "london",
        "name": "0c9d",
        "org_id": "org",
        "user_id": "ann",
        "feature": "default",
        "meter": "requests",
        "period": "20261101T0000",
        "resets_ms": NOW_MS + DAY_MS,
        "request_id": "order-1",
        "parts": (Part("p", units, NEVER_MS),),
        "created_ms": NOW_MS,
        "deadline_ms": NOW_MS + 300_000,
        "plan": "basic",
        "limit": 100,
        "total": 0,
        "left": 90,
    }
    return Reservation(units=units, **(values | changes))


def spend(
    units: int = 1, *, request_id: str | None = None, now_ms: int = NOW_MS, rev: int = 1, fence: int | None = None
) -> Spend:
    identity = RequestIdentity.of(request_id or new_request_id(now_ms), "org", "ann", "default", str(units))
    return Spend(identity, "default", units, rev, now_ms, fence)
