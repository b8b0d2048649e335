"""A store made of dictionaries."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from cutlass.contracts import load_catalogue, load_topology
from cutlass.domain.decisions import Decision, DecisionRequest, Reason
from cutlass.domain.errors import ConflictError, InsufficientUnitsError, NotFoundError
from cutlass.domain.grants import Grant
from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.organisations import Organisation, Status, User, found
from cutlass.domain.periods import PeriodRule, to_millis
from cutlass.domain.plans import PeriodKind
from cutlass.domain.refunds import RefundPart
from cutlass.domain.reservations import Reservation, State
from cutlass.storage.balances import Balance, MeterBalance, RegionBalance
from cutlass.storage.grants import GrantView
from cutlass.storage.paging import Page
from cutlass.storage.refunds import RefundView
from cutlass.storage.reservations import Reserved
from cutlass.storage.usage import UsageRow
from tests.unit.functions.alert_fakes import FakeAlerts
from tests.unit.functions.report_fakes import FakeReports

NOW = datetime(2026, 1, 22, 10, tzinfo=UTC)
MODULES = (
    "usage_check",
    "balance",
    "usage",
    "ledger",
    "grants",
    "refunds",
    "organisations",
    "users",
    "health",
    "reservations",
    "alerts",
    "reports",
)


SERVICE = {
    "principalId": "backend",
    "kind": "service",
    "scope": "usage/check usage/read credits/write reports/write admin",
}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class FakeStore:
    """Keeps what is put, answers with what is there, and notes every call that changes something."""

    region: str = "london"
    orgs: dict[str, Organisation] = field(default_factory=dict)
    users: dict[tuple[str, str], User] = field(default_factory=dict)
    grant_views: dict[tuple[str, str], GrantView] = field(default_factory=dict)
    refund_views: dict[tuple[str, str], RefundView] = field(default_factory=dict)
    changes: list[tuple[Any, ...]] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    out_of_service: bool = False
    decide: Callable[[DecisionRequest], Decision] | None = None
    held: dict[str, Reservation] = field(default_factory=dict)
    tables: dict[str, bool] = field(default_factory=lambda: {"usage-credits": True, "ledger": True})

    def __post_init__(self) -> None:
        self.decider = SimpleNamespace(decide=self._decide)
        self.organisations = SimpleNamespace(
            get=self._org, put=self._put_org, get_user=self._user, put_user=self._put_user
        )
        self.grants = SimpleNamespace(create=self._grant, page=self._grants, void=self._void)
        self.refunds = SimpleNamespace(create=self._refund)
        self.balances = SimpleNamespace(organisation=self._balance, user=self._balance)
        self.usage = SimpleNamespace(page=self._usage)
        self.ledger = SimpleNamespace(page=self._ledger)
        self.alerts = self.alert_settings = FakeAlerts(self._org)
        self.settings = SimpleNamespace(loopback_webhooks=False)
        self.reservations = SimpleNamespace(
            reserve=self._reserve, get=self._reservation, commit=self._commit, release=self._release
        )

        self.reporting = FakeReports(NOW, self._decided, self._org)
        for name, part in self.reporting.parts().items():
            setattr(self, name, part)

    def fenced(self) -> bool:
        return self.out_of_service

    def ping(self) -> dict[str, bool]:
        return self.tables

    def _decide(self, request: DecisionRequest) -> Decision:
        self.changes.append(("decide", request))
        return self._decided(request)

    def _decided(self, request: DecisionRequest) -> Decision:
        return self.decide(request) if self.decide else decision(request)

    def _org(self, org_id: str) -> Organisation:
        if org_id not in self.orgs:
            raise NotFoundError(f"there is no organisation {org_id!r}")
        return self.orgs[org_id]

    def _put_org(
        self,
        org_id: str,
        *,
        plan: str,
        home_region: str | None = None,
        period: PeriodRule | None = None,
        status: Status = Status.ACTIVE,
    ) -> tuple[Organisation, bool]:
        self.changes.append(("put", org_id, plan, home_region, period, status))
        created = org_id not in self.orgs
        home = home_region or self.region
        rule = period or PeriodRule()
        self.orgs[org_id] = found(org_id, home, load_catalogue().plans[plan], rule, status, now=NOW)
        return self.orgs[org_id], created

    def _user(self, org_id: str, user_id: str) -> User:
        self._org(org_id)
        if (org_id, user_id) not in self.users:
            raise NotFoundError(f"organisation {org_id!r} has no user {user_id!r}")
        return self.users[org_id, user_id]

    def _put_user(
        self, org_id: str, user_id: str, *, limits: dict[str, int], usual_region: str | None = None
    ) -> tuple[User, bool]:
        self.changes.append(("put_user", org_id, user_id, limits, usual_region))
        self._org(org_id)
        created = (org_id, user_id) not in self.users
        self.users[org_id, user_id] = User(org_id, user_id, limits, usual_region)
        return self.users[org_id, user_id], created

    def _grant(self, org_id: str, *, idempotency_key: str | None = None, **fields: Any) -> tuple[GrantView, bool]:
        self.changes.append(("grant", org_id, idempotency_key, fields))
        self._org(org_id)
        identity = f"{fields['meter']}:{idempotency_key or len(self.grant_views)}"
        if (org_id, identity) in self.grant_views:
            return self.grant_views[org_id, identity], False
        fields["effective_at"] = fields["effective_at"] or NOW
        split = load_topology().split(fields["amount"], "london")
        grant = Grant(grant_id=identity, org_id=org_id, split=split, created_at=NOW, **fields)
        self.grant_views[org_id, identity] = GrantView(grant)
        return self.grant_views[org_id, identity], True

    def _grants(self, org_id: str, **page: Any) -> Page[GrantView]:
        self.asked.append(page)
        self._org(org_id)
        views = [view for (org, _), view in self.grant_views.items() if org == org_id]
        more = len(views) > page["limit"]
        return Page(views[: page["limit"]], {"after": views[page["limit"] - 1].grant.grant_id} if more else None)

    def _void(self, org_id: str, identity: str) -> GrantView:
        self.changes.append(("void", org_id, identity))
        self._org(org_id)
        if (org_id, identity) not in self.grant_views:
            raise NotFoundError(f"organisation {org_id!r} has no grant {identity!r}")
        view = replace(self.grant_views[org_id, identity], voided_at=NOW)
        self.grant_views[org_id, identity] = view
        return view

    def _refund(self, org_id: str, user_id: str, **asked: Any) -> tuple[RefundView, bool]:
        self.changes.append(("refund", org_id, user_id, asked))
        self._user(org_id, user_id)
        identity, units = asked["refund_id"] or f"refund-{len(self.refund_views)}", asked["units"] or 5
        if (asked["request_id"], identity) in self.refund_views:
            return self.refund_views[asked["request_id"], identity], False
        paid = (("050#9999999999999#requests:g", units),)
        charge = LedgerEntry(
            EntryKind.DECISION,
            "d1",
            NOW,
            "london",
            org_id,
            asked["meter"] or "requests",
            max(5, units),
            0,
            5,
            user_id,
            request_id=asked["request_id"],
        )
        view = RefundView(charge, RefundPart(identity, units, to_millis(NOW), asked["reason"], 0), units, paid)
        self.refund_views[asked["request_id"], identity] = view
        return view, True

    def _balance(self, org_id: str, user_id: str | None = None) -> Balance:
        if user_id is None:
            self._org(org_id)
        else:
            self._user(org_id, user_id)
        regions = {"london": RegionBalance(3, 0, 797, 0, 0.0), "sydney": RegionBalance(0, 0, 200, 0, None)}
        meter = MeterBalance(1000, 3, 0, 997, 0, datetime(2026, 12, 1, tzinfo=UTC), regions)
        return Balance(org_id, user_id, "basic", NOW, {"requests": meter})

    def _usage(self, org_id: str, start: datetime, end: datetime, **page: Any) -> Page[UsageRow]:
        self.asked.append((start, end, page))
        return Page([UsageRow("requests", "test123", 7, 1)], {"meter": "requests", "group": "test123"})

    def _ledger(self, org_id: str, start: datetime, end: datetime, **page: Any) -> Page[LedgerEntry]:
        self.asked.append((start, end, page))
        entry = LedgerEntry(EntryKind.GRANT, "requests:x", NOW, "london", org_id, "requests", 5, 0, 5)
        return Page([entry], {"at": 1_790_000_000_000, "region": "london", "id": "requests:x"})

    def _reserve(self, request: DecisionRequest, *, ttl_seconds: int) -> Reserved:
        answer = self._decide(request)
        if not answer.allowed:
            return Reserved(answer, None)
        made = reservation(answer, name=f"r{len(self.held)}", deadline_ms=to_millis(NOW) + ttl_seconds * 1000)
        self.held[made.reservation_id] = made
        return Reserved(answer, made)

    def _reservation(self, reservation_id: str, *, org_id: str | None = None) -> Reservation:
        found = self.held.get(reservation_id)
        if found is None or org_id not in {None, found.org_id}:
            raise NotFoundError(f"there is no reservation {reservation_id!r}")
        return found

    def _commit(self, reservation_id: str, units: int | None = None, *, org_id: str | None = None) -> Reserved:
        found = self._reservation(reservation_id, org_id=org_id)
        spent = found.units if units is None else units
        self.changes.append(("commit", reservation_id, spent))
        if spent > found.units:
            raise InsufficientUnitsError("it cost more than can be had", available=found.units)
        ended = self._ended(found, State.COMMITTED if spent else State.RELEASED, spent)
        request = DecisionRequest(found.org_id, found.user_id, found.feature, spent)
        return Reserved(decision(request), ended)

    def _release(self, reservation_id: str, *, org_id: str | None = None) -> Reservation:
        found = self._reservation(reservation_id, org_id=org_id)
        self.changes.append(("release", reservation_id))
        if found.state is State.COMMITTED:
            raise ConflictError("it was committed before")
        return self._ended(found, State.RELEASED, 0)

    def _ended(self, found: Reservation, state: State, spent: int) -> Reservation:
        ended = replace(found, state=state, spent=spent, ended_ms=to_millis(NOW))
        self.held[found.reservation_id] = ended
        return ended


def reservation(of: Decision, **changes: Any) -> Reservation:
    made = Reservation(
        region="london",
        name="r0",
        org_id=of.org_id,
        user_id=of.user_id,
        feature=of.feature,
        meter=of.meter or "requests",
        period="20260101T0000",
        resets_ms=0,
        request_id="q1",
        units=of.units,
        parts=(),
        created_ms=to_millis(NOW),
        deadline_ms=to_millis(NOW),
        plan="basic",
        limit=1000,
        total=41,
        left=959,
    )
    return replace(made, **changes)


def decision(request: DecisionRequest, **changes: Any) -> Decision:
    allowed = Decision(
        allowed=True,
        reason=Reason.OK,
        decision_id="d1",
        region="london",
        org_id=request.org_id,
        user_id=request.user_id,
        feature=request.feature,
        meter="requests",
        units=1 if request.units is None else request.units,
        plan="basic",
        limit=1000,
        used=41,
        remaining=959,
        resets_at=datetime(2026, 12, 1, tzinfo=UTC),
        period=PeriodKind.MONTH,
    )
    return replace(allowed, **changes)


def seeded() -> FakeStore:
    """A store with the demo organisation and user."""
    fake = FakeStore()
    fake._put_org("org456", plan="basic")
    fake._put_user("org456", "test123", limits={})
    fake.changes.clear()
    return fake


def event(
    method: str,
    path: str,
    body: Any = None,
    *,
    caller: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    query: dict[str, str | list[str]] | None = None,
    is_base64: bool = False,
) -> dict[str, Any]:
    """A proxy event as the gateway makes it; `body` is sent as JSON unless it is text."""
    several = {name: [v] if isinstance(v, str) else v for name, v in (query or {}).items()}
    fields = {"Content-Type": "application/json", **(headers or {})}
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": fields,
        "multiValueHeaders": {name: [value] for name, value in fields.items()},
        "queryStringParameters": {name: values[-1] for name, values in several.items()} or None,
        "multiValueQueryStringParameters": several or None,
        "pathParameters": None,
        "requestContext": {"requestId": "r-1", "authorizer": caller},
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": is_base64,
    }
