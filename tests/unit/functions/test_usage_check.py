"""The decision's handler at the edge: what reaches the decider, and what never does."""

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cutlass.domain.decisions import DecisionRequest, Reason
from cutlass.domain.errors import ConflictError, IdempotencyMismatchError, UnavailableError
from tests.unit.functions.fakes import Answer, FakeStore, decision

SEED = {"user_id": "test123", "org_id": "org456"}
MEMBER = {"principalId": "u", "kind": "member", "scope": "", "org_id": "org456", "role": "member"}
OTHER = {**MEMBER, "org_id": "org789"}
Call = Callable[..., Answer]


def test_the_seed_call_is_allowed(call: Call, store: FakeStore):
    answer = call("usage_check", "POST", "/usage-check", SEED)
    assert answer.status == 200
    assert answer.body == {
        "allowed": True,
        "reason": "ok",
        "decision_id": "d1",
        "region": "london",
        "replayed": False,
        **SEED,
        "feature": "default",
        "meter": "requests",
        "units": 1,
        "plan": "basic",
        "user": {"limit": 1000, "used": 41, "remaining": 959},
        "resets_at": "2026-12-01T00:00:00Z",
    }
    assert store.changes == [("decide", DecisionRequest("org456", "test123"))]


def test_a_refusal_is_200_with_the_fields_that_say_when(call: Call, store: FakeStore):
    store.decide = lambda asked: decision(
        asked, allowed=False, reason=Reason.USER_LIMIT_REACHED, remaining=0, retry_after=60
    )
    answer = call("usage_check", "POST", "/usage-check", SEED)
    assert (answer.status, answer.body["allowed"], answer.body["reason"]) == (200, False, "user_limit_reached")
    assert answer.headers["RateLimit"].startswith('"user-month";r=0;t=')
    assert answer.headers["Retry-After"] == "60"


def test_a_base64_body_is_read(call: Call):
    body = base64.b64encode(json.dumps(SEED).encode()).decode()
    assert call("usage_check", "POST", "/usage-check", body, is_base64=True).status == 200


def test_the_request_id_comes_from_body_or_header(call: Call, store: FakeStore):
    call("usage_check", "POST", "/usage-check", {**SEED, "request_id": "a"})
    call("usage_check", "POST", "/usage-check", SEED, headers={"Idempotency-Key": "b"})
    call("usage_check", "POST", "/usage-check", {**SEED, "request_id": "c"}, headers={"idempotency-key": '"c"'})
    assert [request.request_id for _, request in store.changes] == ["a", "b", "c"]
    answer = call(
        "usage_check", "POST", "/usage-check", {**SEED, "request_id": "a"}, headers={"Idempotency-Key": "b"}
    )
    assert (answer.status, answer.body["field"]) == (400, "request_id")
    assert len(store.changes) == 3


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ("{", 400, "body"),
        (None, 400, "body"),
        ("[]", 400, "body"),
        ({**SEED, "extra": 1}, 400, "extra"),
        ({**SEED, "": 1}, 400, '""'),
        ('{"":1,"":2}', 400, '""'),
        ({**SEED, "units": -1}, 400, "units"),
        ({**SEED, "units": 10**12 + 1}, 400, "units"),
        ({**SEED, "units": 1.5}, 400, "units"),
        ({**SEED, "units": True}, 400, "units"),
        ({**SEED, "org_id": "a\u0000"}, 400, "org_id"),
        ({"org_id": "org456"}, 400, "user_id"),
        ('{"org_id":"a","org_id":"b","user_id":"c"}', 400, "org_id"),
        (json.dumps(SEED) + " " * 65_536, 413, None),
    ],
)
def test_bad_input_reaches_no_decision(call: Call, store: FakeStore, body: object, status: int, field: str | None):
    answer = call("usage_check", "POST", "/usage-check", body)
    assert (answer.status, answer.body["status"], answer.body.get("field")) == (status, status, field)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert store.changes == []


def test_a_form_is_refused(call: Call, store: FakeStore):
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert call("usage_check", "POST", "/usage-check", SEED, headers=headers).status == 415
    assert store.changes == []


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConflictError("in flight"), 409),
        (IdempotencyMismatchError("another body"), 422),
        (UnavailableError("slow", retry_after=2), 503),
        (RuntimeError("secret"), 500),
    ],
)
def test_what_the_store_raises_is_a_problem(
    call: Call, store: FakeStore, error: Exception, status: int, caplog: pytest.LogCaptureFixture
):
    def fail(_: DecisionRequest) -> None:
        raise error

    store.decide = fail  # type: ignore[assignment]
    answer = call("usage_check", "POST", "/usage-check", SEED, headers={"Authorization": "Bearer secret-token"})
    assert answer.status == status
    assert "secret" not in json.dumps(answer.body)
    assert ("the request failed" in caplog.text) == (status >= 500)
    assert "secret-token" not in caplog.text
    assert "test123" not in caplog.text


def test_a_batch_answers_each_at_its_place(call: Call, store: FakeStore):
    def decide(asked: DecisionRequest):
        if asked.user_id == "slow":
            raise UnavailableError("slow")
        if asked.user_id == "broken":
            raise RuntimeError("secret")
        return decision(asked, allowed=asked.user_id != "poor")

    store.decide = decide
    users = ["a", "slow", "poor", "broken", "b"]
    items = [{"org_id": "org456", "user_id": user} for user in users]
    answer = call("usage_check", "POST", "/usage-check/batch", {"items": items})
    assert answer.status == 200
    assert [item.get("user_id", item.get("status")) for item in answer.body["items"]] == [
        "a",
        503,
        "poor",
        500,
        "b",
    ]
    assert [item.get("allowed") for item in answer.body["items"]] == [True, None, False, None, True]
    assert "secret" not in json.dumps(answer.body)


def test_a_batch_is_decided_side_by_side(call: Call, store: FakeStore):
    together = threading.Barrier(4, timeout=10)

    def decide(asked: DecisionRequest):
        together.wait()
        return decision(asked)

    store.decide = decide
    items = [{"org_id": "org456", "user_id": f"u{n}"} for n in range(4)]
    assert call("usage_check", "POST", "/usage-check/batch", {"items": items}).status == 200


def test_a_batch_with_a_broken_item_decides_nothing(call: Call, store: FakeStore):
    answer = call("usage_check", "POST", "/usage-check/batch", {"items": [SEED, {**SEED, "units": 1.5}]})
    assert (answer.status, answer.body["field"]) == (400, "items.1.units")
    answer = call("usage_check", "POST", "/usage-check/batch", {"items": [{**SEED, "": 1}]})
    assert (answer.status, answer.body["field"]) == (400, 'items.0.""')
    answer = call("usage_check", "POST", "/usage-check/batch", {"": []})
    assert (answer.status, answer.body["field"]) == (400, '""')
    answer = call("usage_check", "POST", "/usage-check/batch", {"items": [SEED] * 26})
    assert (answer.status, answer.body["field"]) == (400, "items")
    answer = call("usage_check", "POST", "/usage-check/batch", {"items": [SEED]}, headers={"Idempotency-Key": "a"})
    assert (answer.status, answer.body["field"]) == (400, "Idempotency-Key")
    assert store.changes == []


def test_a_member_decides_for_its_own_organisation_only(call: Call, store: FakeStore):
    assert call("usage_check", "POST", "/usage-check", SEED, caller=MEMBER).status == 200
    assert call("usage_check", "POST", "/usage-check", SEED, caller=OTHER).status == 403
    foreign = {"org_id": "org789", "user_id": "x"}
    answer = call("usage_check", "POST", "/usage-check/batch", {"items": [SEED, foreign]}, caller=MEMBER)
    assert [item.get("allowed", item.get("status")) for item in answer.body["items"]] == [True, 403]
    assert {request.org_id for _, request in store.changes} == {"org456"}


def test_other_methods_and_routes(call: Call):
    answer = call("usage_check", "GET", "/usage-check")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert call("usage_check", "POST", "/usage").status == 404


def test_the_start_stays_lean():
    """None of these may come in by an import: each costs more than the function's own code."""
    code = (
        "import sys, cutlass.functions.usage_check; "
        "heavy = {'boto3', 'pydantic', 'pydantic_core', 'aws_lambda_powertools', 'jsonschema', 'jsonschema_rs', "
        "'joserfc', 'cryptography'}; print(sorted(heavy & {name.partition('.')[0] for name in sys.modules}))"
    )
    source = str(Path(__file__).parents[3] / "src")
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": source}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]", f"the decision function imports {done.stdout}"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
NEARLY = st.fixed_dictionaries(
    {"org_id": st.just("org456") | JSON, "user_id": st.just("test123") | JSON},
    optional=dict.fromkeys(("feature", "units", "request_id", "items"), JSON),
)


@example(body={"": None}, path="/usage-check")
@example(body={"": None}, path="/usage-check/batch")
@given(st.one_of(st.text(), JSON, NEARLY), st.sampled_from(["/usage-check", "/usage-check/batch"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_no_body_makes_it_fail(call: Call, body: object, path: str):
    text = body if isinstance(body, str) else json.dumps(body)
    answer = call("usage_check", "POST", path, text)
    assert answer.status in {200, 400}, answer
    assert answer.status == 200 or answer.body["field"]
