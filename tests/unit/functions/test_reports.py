"""The reports' handler at the edge: what is enforced, what is refused how, and whose reports they are."""

from collections.abc import Callable
from typing import Any

import pytest

from cutlass.domain.decisions import DecisionRequest, Reason
from cutlass.domain.plans import PeriodKind
from tests.unit.functions.fakes import Answer, FakeStore, decision

ASKED = {"type": "usage", "from": "2026-10-01", "to": "2026-11-01", "user_id": "test123"}
PATH = "/orgs/org456/reports"
SCHEDULE = {"every": "month", "user_id": "test123", "report": {"type": "summary", "format": "pdf"}}
MEMBER = {"principalId": "u", "kind": "member", "scope": "", "org_id": "org456", "role": "member"}
OTHER = {**MEMBER, "org_id": "org789", "role": "admin"}
Call = Callable[..., Answer]


def refusing(reason: Reason, **changes: Any) -> Callable[[DecisionRequest], Any]:
    return lambda asked: decision(asked, allowed=False, reason=reason, meter="reports", units=5, **changes)


def test_a_report_that_is_accepted_says_where_it_is_and_what_is_left(call: Call, store: FakeStore) -> None:
    answer = call("reports", "POST", PATH, {**ASKED, "group_by": ["user"]})
    assert answer.status == 202
    assert answer.headers["Location"] == f"{PATH}/london-r0"
    assert answer.headers["RateLimit"].startswith('"user-month";r=959;t=')
    assert (answer.body["status"], answer.body["progress"], answer.body["url"]) == ("queued", 0, None)
    assert answer.body["report"]["group_by"] == ["user"]
    assert store.reporting.asked[0].feature == "report.export"


def test_an_identical_one_is_answered_with_200(call: Call) -> None:
    first = call("reports", "POST", PATH, ASKED)
    second = call("reports", "POST", PATH, ASKED)
    assert (second.status, second.body["id"]) == (200, first.body["id"])
    assert second.headers["Location"] == first.headers["Location"]
    assert "RateLimit" not in second.headers, "nothing had to be decided"


@pytest.mark.parametrize(
    ("reason", "status", "kind"),
    [
        (Reason.USER_LIMIT_REACHED, 429, "https://iana.org/assignments/http-problem-types#quota-exceeded"),
        (Reason.ORG_LIMIT_REACHED, 429, "https://iana.org/assignments/http-problem-types#quota-exceeded"),
        (Reason.REGION_SHORT, 429, "https://iana.org/assignments/http-problem-types#quota-exceeded"),
        (Reason.CREDITS_EXHAUSTED, 402, "https://cutlass.example/problems/credits-exhausted"),
        (Reason.FEATURE_NOT_IN_PLAN, 403, "https://cutlass.example/problems/not-in-plan"),
        (Reason.ORG_SUSPENDED, 403, "https://cutlass.example/problems/forbidden"),
        (Reason.UNKNOWN_USER, 404, "https://cutlass.example/problems/not-found"),
    ],
)
def test_a_refusal_is_a_problem(call: Call, store: FakeStore, reason: Reason, status: int, kind: str) -> None:
    store.decide = refusing(reason, retry_after=60, period=PeriodKind.MONTH)
    answer = call("reports", "POST", PATH, ASKED)
    assert (answer.status, answer.body["type"], answer.body["status"]) == (status, kind, status)
    if status in {402, 429}:
        assert answer.headers["Retry-After"] == "60"
        assert answer.headers["RateLimit"].startswith('"user-month"')
    assert store.reporting.jobs == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "nonsense"),
        ("type", None),
        ("from", "yesterday"),
        ("from", 5),
        ("to", "2026-09-01"),
        ("to", None),
        ("format", "exe"),
        ("granularity", "second"),
        ("group_by", ["colour"]),
        ("group_by", "user"),
        ("filters", {"colour": ["red"]}),
        ("filters", {"user": "'; DROP TABLE"}),
        ("time_zone", "../../etc/passwd"),
        ("extra", 1),
        ("user_id", None),
        ("user_id", "a b"),
        ("request_id", ""),
    ],
)
def test_bad_parameters_name_the_field_and_cost_nothing(
    call: Call, store: FakeStore, field: str, value: object
) -> None:
    answer = call("reports", "POST", PATH, {**ASKED, field: value})
    assert answer.status == 400
    assert answer.body["field"].startswith(field)
    assert store.reporting.asked == []


def test_a_made_report_has_a_link_only_where_one_is_asked_for(call: Call, store: FakeStore) -> None:
    made = call("reports", "POST", PATH, ASKED).body
    assert call("reports", "GET", f"{PATH}/{made['id']}").body["url"] is None
    store.reporting.finish(store.reporting.get("org456", made["id"]))
    found = call("reports", "GET", f"{PATH}/{made['id']}").body
    assert (found["status"], found["progress"], found["charged"]) == ("succeeded", 1, 5)
    assert found["url"].startswith("https://")
    assert found["expires_at"] is not None
    (listed,) = call("reports", "GET", PATH).body["items"]
    assert (listed["id"], listed["url"]) == (made["id"], None)
    assert call("reports", "POST", f"{PATH}/{made['id']}/cancel").status == 409


def test_nobody_reaches_another_organisations_reports(call: Call, store: FakeStore) -> None:
    made = call("reports", "POST", PATH, ASKED).body["id"]
    store.reporting.finish(store.reporting.get("org456", made))
    schedules = "/orgs/org456/report-schedules"
    for method, path, body in (
        ("GET", PATH, None),
        ("POST", PATH, ASKED),
        ("GET", f"{PATH}/{made}", None),
        ("POST", f"{PATH}/{made}/cancel", None),
        ("GET", schedules, None),
        ("PUT", f"{schedules}/monthly", SCHEDULE),
        ("DELETE", f"{schedules}/monthly", None),
    ):
        answer = call("reports", method, path, body, caller=OTHER)
        assert answer.status == 403, f"{method} {path}"
        assert "https://reports" not in str(answer.body)
    # Its own organisation has no such report, whatever its id.
    store._put_org("org789", plan="basic")
    assert call("reports", "GET", f"/orgs/org789/reports/{made}", caller=OTHER).status == 404
    assert call("reports", "POST", f"/orgs/org789/reports/{made}/cancel", caller=OTHER).status == 404


def test_a_schedule_is_set_up_shown_and_ended(call: Call) -> None:
    path = "/orgs/org456/report-schedules/monthly"
    assert call("reports", "PUT", path, SCHEDULE).status == 201
    again = call("reports", "PUT", path, {**SCHEDULE, "at": "23:05"})
    assert (again.status, again.body["at"], again.body["last"]) == (200, "23:05", None)
    assert [item["id"] for item in call("reports", "GET", "/orgs/org456/report-schedules").body["items"]] == [
        "monthly"
    ]
    assert call("reports", "GET", path).body["report"] == SCHEDULE["report"]
    assert call("reports", "DELETE", path).status == 200
    assert call("reports", "DELETE", path).status == 404
    assert call("reports", "PUT", path, SCHEDULE, caller=MEMBER).status == 403, "only an admin may"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**SCHEDULE, "every": "hour"}, "every"),
        ({**SCHEDULE, "at": "24:00"}, "at"),
        ({**SCHEDULE, "at": "6:00"}, "at"),
        ({**SCHEDULE, "report": {"type": "usage", "from": "2026-01-01"}}, "report.from"),
        ({**SCHEDULE, "report": {"type": "usage", "time_zone": "UTC"}}, "report.time_zone"),
        ({**SCHEDULE, "report": {"type": "nonsense"}}, "type"),
        ({"every": "day", "report": {"type": "usage"}}, "user_id"),
    ],
)
def test_a_bad_schedule_names_the_field(call: Call, store: FakeStore, body: dict[str, Any], field: str) -> None:
    answer = call("reports", "PUT", "/orgs/org456/report-schedules/monthly", body)
    assert (answer.status, answer.body["field"]) == (400, field)
    assert store.reporting.plans == {}
