"""The routes beside the decision, at the edge."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from cutlass.domain.errors import ContractError
from cutlass.domain.periods import PeriodRule
from tests.unit.functions.fakes import NOW, Answer, FakeStore

Call = Callable[..., Answer]


def refused(answer: Answer, field: str, status: int = 400) -> bool:
    return (answer.status, answer.body.get("field")) == (status, field) and field in answer.body["detail"]


def test_an_organisation_is_created_then_replaced(call: Call, store: FakeStore):
    created = call("organisations", "PUT", "/orgs/new", {"plan": "enterprise"})
    assert (created.status, created.headers["Location"]) == (201, "/orgs/new")
    assert created.body["period"] == {"anchor_day": 1, "time_zone": "UTC"}
    body = {"plan": "basic", "period": {"anchor_day": 31, "time_zone": "Europe/London"}, "status": "suspended"}
    replaced = call("organisations", "PUT", "/orgs/new", body)
    assert (replaced.status, replaced.body["status"]) == (200, "suspended")
    assert "Location" not in replaced.headers
    assert store.changes[-1] == ("put", "new", "basic", None, PeriodRule(31, "Europe/London"), "suspended")
    assert call("organisations", "GET", "/orgs/new").body == replaced.body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "plan"),
        ({"plan": "gold"}, "plan"),
        ({"plan": 1}, "plan"),
        ({"plan": None}, "plan"),
        ({"plan": "basic", "home_region": "mars"}, "home_region"),
        ({"plan": "basic", "home_region": None}, "home_region"),
        ({"plan": "basic", "status": "gone"}, "status"),
        ({"plan": "basic", "colour": "red"}, "colour"),
        ({"plan": "basic", "period": None}, "period"),
        ({"plan": "basic", "period": {"anchor_day": 0}}, "period.anchor_day"),
        ({"plan": "basic", "period": {"anchor_day": 32}}, "period.anchor_day"),
        ({"plan": "basic", "period": {"anchor_day": 1.0}}, "period.anchor_day"),
        ({"plan": "basic", "period": {"anchor_day": True}}, "period.anchor_day"),
        ({"plan": "basic", "period": {"time_zone": "Mars/Olympus"}}, "period.time_zone"),
        ({"plan": "basic", "period": {"time_zone": "../../etc/passwd"}}, "period.time_zone"),
        ({"plan": "basic", "period": {"time_zone": "Europe"}}, "period.time_zone"),
        ({"plan": "basic", "period": {"time_zone": "\u0000"}}, "period.time_zone"),
        ({"plan": "basic", "period": {"time_zone": ""}}, "period.time_zone"),
        ({"plan": "basic", "period": {"day": 1}}, "period.day"),
        ('{"plan": "basic", "plan": "premium"}', "plan"),
    ],
)
def test_a_broken_organisation_changes_nothing(call: Call, store: FakeStore, body: object, field: str):
    answer = call("organisations", "PUT", "/orgs/org456", body)
    assert refused(answer, field), answer
    assert store.changes == []


def test_a_user_is_created_then_replaced(call: Call, store: FakeStore):
    created = call(
        "users", "PUT", "/orgs/org456/users/u@x", {"limits": {"requests": 500}, "usual_region": "sydney"}
    )
    assert (created.status, created.headers["Location"]) == (201, "/orgs/org456/users/u@x")
    assert created.body == {
        "org_id": "org456",
        "user_id": "u@x",
        "limits": {"requests": 500},
        "usual_region": "sydney",
    }
    assert call("users", "GET", "/orgs/org456/users/u@x").body == created.body
    assert call("users", "GET", "/orgs/org456/users/u%40x").body == created.body
    replaced = call("users", "PUT", "/orgs/org456/users/u@x", {})
    assert (replaced.status, replaced.body["limits"], replaced.body["usual_region"]) == (200, {}, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"limits": {"requests": -1}}, "limits.requests"),
        ({"limits": {"requests": 10**12 + 1}}, "limits.requests"),
        ({"limits": {"requests": 1.5}}, "limits.requests"),
        ({"limits": {"requests": "5"}}, "limits.requests"),
        ({"limits": {"requests": None}}, "limits.requests"),
        ({"limits": {"coffees": 1}}, "limits.coffees"),
        ({"limits": []}, "limits"),
        ({"usual_region": "mars"}, "usual_region"),
        ({"limit": {}}, "limit"),
        ("[]", "body"),
    ],
)
def test_a_broken_user_changes_nothing(call: Call, store: FakeStore, body: object, field: str):
    answer = call("users", "PUT", "/orgs/org456/users/test123", body)
    assert answer.status == 400
    assert answer.body["field"] == field
    assert store.changes == []


def test_a_grant_is_made_once_per_key(call: Call, store: FakeStore):
    body = {"meter": "requests", "amount": 10, "expires_at": "2027-01-01T00:00:00+01:00", "user_id": None}
    first = call("grants", "POST", "/orgs/org456/grants", body, headers={"Idempotency-Key": "k"})
    again = call("grants", "POST", "/orgs/org456/grants", body, headers={"Idempotency-Key": "k"})
    assert (first.status, again.status) == (201, 200)
    assert first.body == again.body
    assert first.body["expires_at"] == "2026-12-31T23:00:00Z"
    assert sum(first.body["regions"].values()) == 10
    voided = call("grants", "POST", f"/orgs/org456/grants/{first.body['id']}/void")
    assert (voided.status, voided.body["voided_at"]) == (200, "2026-01-22T10:00:00Z")
    assert call("grants", "GET", "/orgs/org456/grants").body == {"items": [voided.body], "next": None}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": 1}, "meter"),
        ({"meter": "coffees", "amount": 1}, "meter"),
        ({"meter": "requests"}, "amount"),
        ({"meter": "requests", "amount": 0}, "amount"),
        ({"meter": "requests", "amount": 10**12 + 1}, "amount"),
        ({"meter": "requests", "amount": 1.0}, "amount"),
        ({"meter": "requests", "amount": False}, "amount"),
        ({"meter": "requests", "amount": 1, "priority": 1000}, "priority"),
        ({"meter": "requests", "amount": 1, "category": "plan"}, "category"),
        ({"meter": "requests", "amount": 1, "expires_at": "tomorrow"}, "expires_at"),
        ({"meter": "requests", "amount": 1, "expires_at": "2027-02-30T00:00:00Z"}, "expires_at"),
        ({"meter": "requests", "amount": 1, "expires_at": 1_800_000_000}, "expires_at"),
        ({"meter": "requests", "amount": 1, "effective_at": "1969-12-31T23:59:59Z"}, "effective_at"),
        ({"meter": "requests", "amount": 1, "user_id": "a b"}, "user_id"),
        ({"meter": "requests", "amount": 1, "id": "x"}, "id"),
    ],
)
def test_a_broken_grant_changes_nothing(call: Call, store: FakeStore, body: object, field: str):
    assert refused(call("grants", "POST", "/orgs/org456/grants", body), field)
    assert store.changes == []


def test_void_takes_no_body(call: Call, store: FakeStore):
    assert refused(call("grants", "POST", "/orgs/org456/grants/x/void", {"a": 1}), "body")
    assert store.changes == []
    assert call("grants", "POST", "/orgs/org456/grants/x/void").status == 404


def test_pages_follow_each_other(call: Call, store: FakeStore):
    for key in "abc":
        body = {"meter": "requests", "amount": 1}
        call("grants", "POST", "/orgs/org456/grants", body, headers={"Idempotency-Key": key})
    page = call("grants", "GET", "/orgs/org456/grants", query={"limit": "2"}).body
    assert len(page["items"]) == 2
    call("grants", "GET", "/orgs/org456/grants", query={"limit": "2", "cursor": page["next"]})
    assert store.asked[-1] == {"meter": None, "limit": 2, "after": {"after": page["items"][-1]["id"]}}
    other = call("grants", "GET", "/orgs/org456/grants", query={"meter": "reports", "cursor": page["next"]})
    assert refused(other, "cursor", 404)
    assert refused(call("grants", "GET", "/orgs/org456/grants", query={"cursor": "garbage"}), "cursor")


def test_usage_and_ledger_pass_their_filters_on(call: Call, store: FakeStore):
    span = {"from": "2026-01-22T03:00:00Z", "to": "2026-01-22T06:00:00+01:00"}
    rows = call("usage", "GET", "/orgs/org456/usage", query={**span, "group_by": "user", "meter": "requests"})
    assert rows.body["items"] == [{"meter": "requests", "group": "test123", "units": 7, "refusals": 1}]
    start, end, page = store.asked[-1]
    assert (start, end) == (datetime(2026, 1, 22, 3, tzinfo=UTC), datetime(2026, 1, 22, 5, tzinfo=UTC))
    assert page == {"group_by": "user", "meter": "requests", "limit": 50, "after": None}
    entries = call("ledger", "GET", "/orgs/org456/ledger", query={"user_id": "test123", "limit": "100"})
    assert entries.body["items"][0]["kind"] == "grant"
    assert store.asked[-1][2] == {"limit": 100, "after": None, "user_id": "test123"}
    call("ledger", "GET", "/orgs/org456/ledger", query={"cursor": entries.body["next"]})
    assert store.asked[-1][2]["after"] == {"at": 1_790_000_000_000, "region": "london", "id": "requests:x"}


def test_a_span_is_cut_to_the_life_of_the_organisation(call: Call, store: FakeStore):
    query = {"from": "0001-01-01T00:00:00+12:00", "to": "9999-12-31T23:59:59-12:00"}
    call("ledger", "GET", "/orgs/org456/ledger", query=query)
    start, end, _ = store.asked[-1]
    assert start == NOW.replace(hour=0)
    assert end <= datetime.now(UTC) + timedelta(seconds=1)
    backwards = {"from": "2026-01-22T06:00:00Z", "to": "2026-01-22T03:00:00Z"}
    call("ledger", "GET", "/orgs/org456/ledger", query=backwards)
    start, end, _ = store.asked[-1]
    assert start == end


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "1.0"}, "limit"),
        ({"limit": " 1"}, "limit"),
        ({"limit": "٣"}, "limit"),
        ({"limit": ""}, "limit"),
        ({"limit": ["1", "2"]}, "limit"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-01-22"}, "from"),
        ({"to": ""}, "to"),
        ({"group_by": "org"}, "group_by"),
        ({"meter": "coffees"}, "meter"),
        ({"form": "2026-01-22T00:00:00Z"}, "form"),
        ({"start": "2026-01-22T00:00:00Z"}, "start"),
        ({"cursor": ""}, "cursor"),
    ],
)
def test_a_broken_query_is_refused_by_name(call: Call, query: dict, field: str):
    assert refused(call("usage", "GET", "/orgs/org456/usage", query=query), field)


def test_routes_without_a_query_take_none(call: Call):
    assert refused(call("balance", "GET", "/orgs/org456/balance", query={"verbose": "1"}), "verbose")
    assert refused(call("plans", "GET", "/plans", query={"a": "1"}), "a")


def test_balances(call: Call):
    of_organisation = call("balance", "GET", "/orgs/org456/balance").body
    assert "user_id" not in of_organisation
    assert of_organisation["meters"]["requests"]["regions"]["sydney"]["age_seconds"] is None
    assert call("balance", "GET", "/orgs/org456/users/test123/balance").body["user_id"] == "test123"


@pytest.mark.parametrize(
    ("module", "path"),
    [
        ("organisations", "/orgs/nobody"),
        ("users", "/orgs/nobody/users/x"),
        ("users", "/orgs/org456/users/nobody"),
        ("balance", "/orgs/nobody/balance"),
        ("balance", "/orgs/org456/users/nobody/balance"),
        ("usage", "/orgs/nobody/usage"),
        ("ledger", "/orgs/nobody/ledger"),
        ("grants", "/orgs/nobody/grants"),
    ],
)
def test_what_is_not_there_is_404(call: Call, module: str, path: str):
    answer = call(module, "GET", path)
    assert (answer.status, answer.body["type"]) == (404, "https://cutlass.example/problems/not-found")


@pytest.mark.parametrize("org", ["a%20b", "a%00", "%C3%A9", "a" * 129, "%2e%23"])
def test_an_id_in_the_path_must_be_one(call: Call, store: FakeStore, org: str):
    answer = call("organisations", "PUT", f"/orgs/{org}", {"plan": "basic"})
    assert answer.status in {400, 404}
    assert store.changes == []


def test_other_methods_are_405(call: Call):
    answer = call("organisations", "DELETE", "/orgs/org456")
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, PUT")
    assert call("organisations", "GET", "/orgs/org456/x").status == 404


def test_a_bug_is_500_and_logged(call: Call, store: FakeStore, caplog: pytest.LogCaptureFixture):
    store.balances.organisation = lambda _: 1 / 0
    answer = call("balance", "GET", "/orgs/org456/balance")
    assert (answer.status, answer.body["type"]) == (500, "https://cutlass.example/problems/internal-error")
    assert "division" not in str(answer.body)
    assert "ZeroDivisionError" in caplog.text


def test_the_catalogue(call: Call):
    body = call("plans", "GET", "/plans").body
    assert [plan["name"] for plan in body["plans"]] == ["basic", "premium", "enterprise"]
    assert body["plans"][2]["meters"]["requests"]["user_limit"] is None


def test_health_needs_no_store(call: Call, monkeypatch: pytest.MonkeyPatch):
    def broken() -> FakeStore:
        raise ContractError("there is none")

    monkeypatch.setattr("cutlass.functions.health.open_store", broken)
    assert call("health", "GET", "/health", caller=None).body == {"status": "ok", "region": "london"}


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_fenced_region_is_neither_healthy_nor_ready(call: Call, store: FakeStore, path: str):
    store.out_of_service = True
    assert call("health", "GET", path).status == 503


def test_ready_names_what_does_not_answer(call: Call, store: FakeStore):
    ready = call("health", "GET", "/ready")
    assert (ready.status, ready.body["status"]) == (200, "ready")
    assert all(ready.body["checks"].values())
    store.tables["ledger"] = False
    waiting = call("health", "GET", "/ready")
    assert (waiting.status, waiting.headers["Content-Type"]) == (503, "application/problem+json")
    assert waiting.body["checks"] == {
        "contracts": True,
        "usage-credits": True,
        "ledger": False,
        "not-fenced": True,
    }
    assert "ledger" in waiting.body["detail"]
