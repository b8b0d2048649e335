"""`POST /orgs/{org}/users/{user}/refunds` at the edge, and the functions that refund and end by themselves."""

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from cutlass.functions import compensator, housekeeping
from cutlass.storage.compensation import Compensated
from cutlass.storage.housekeeping import Kept
from tests.unit.functions.fakes import Answer, FakeStore

Call = Callable[..., Answer]
PATH = "/orgs/org456/users/test123/refunds"


def test_a_refund_is_made_then_told_again(call: Call, store: FakeStore) -> None:
    body = {"request_id": "order-1", "units": 3, "reason": "broken"}
    made = call("refunds", "POST", PATH, body, headers={"Idempotency-Key": '"r1"'})
    again = call("refunds", "POST", PATH, {**body, "refund_id": "r1"})
    assert (made.status, again.status) == (201, 200)
    assert made.body == again.body
    assert {name: made.body[name] for name in ("id", "request_id", "units", "charged", "refunded", "reason")} == {
        "id": "r1",
        "request_id": "order-1",
        "units": 3,
        "charged": 5,
        "refunded": 3,
        "reason": "broken",
    }
    assert made.body["grants"] == [{"grant_id": "requests:g", "units": 3}]
    assert store.changes[0] == (
        "refund",
        "org456",
        "test123",
        {"request_id": "order-1", "meter": None, "units": 3, "reason": "broken", "refund_id": "r1"},
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "request_id"),
        ({"request_id": "a b"}, "request_id"),
        ({"request_id": "a", "units": 0}, "units"),
        ({"request_id": "a", "units": 1.5}, "units"),
        ({"request_id": "a", "units": None}, "units"),
        ({"request_id": "a", "units": 10**12 + 1}, "units"),
        ({"request_id": "a", "meter": "coffees"}, "meter"),
        ({"request_id": "a", "reason": ""}, "reason"),
        ({"request_id": "a", "reason": "x" * 201}, "reason"),
        ({"request_id": "a", "refund_id": "#compensation"}, "refund_id"),
        ({"request_id": "a", "refund_id": "r2"}, "refund_id"),
        ({"request_id": "a", "amount": 3}, "amount"),
    ],
)
def test_a_broken_refund_changes_nothing(call: Call, store: FakeStore, body: object, field: str) -> None:
    answer = call("refunds", "POST", PATH, body, headers={"Idempotency-Key": "r1"})
    assert (answer.status, answer.body["field"]) == (400, field)
    assert store.changes == []


def test_members_do_not_refund(call: Call, store: FakeStore) -> None:
    member = {"principalId": "test123", "kind": "member", "org_id": "org456", "role": "admin"}
    assert call("refunds", "POST", PATH, {"request_id": "order-1"}, caller=member).status == 403
    assert store.changes == []


def emitted(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The metrics of a function, as it printed them."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    (metrics,) = [line for line in lines if "_aws" in line]
    return metrics


@pytest.fixture
def _metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (compensator, housekeeping):
        monkeypatch.setattr(module.metrics.provider, "namespace", "Cutlass")


@pytest.mark.usefixtures("_metrics")
def test_the_compensator_counts_what_it_refunds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[object] = []

    def compensate(records: object) -> Compensated:
        seen.append(records)
        return Compensated(charges=9, refunds=2)

    fake = SimpleNamespace(region="sydney", compensation=SimpleNamespace(compensate=compensate))
    monkeypatch.setattr(compensator, "open_store", lambda: fake)
    assert compensator.handler({"Records": [{"a": 1}]}, None) == {"batchItemFailures": []}
    assert seen == [[{"a": 1}]]
    told = emitted(capsys)
    assert (told["ChargesCompared"], told["ChargesCompensated"], told["Region"]) == ([9.0], [2.0], "sydney")


@pytest.mark.usefixtures("_metrics")
def test_housekeeping_says_what_it_did_and_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(seconds: float) -> Kept:
        assert seconds == housekeeping.SECONDS
        return Kept(looked_at=3, opened=1, ended_units=70, settled=2, failed=["org9: away"], whole=False)

    fake = SimpleNamespace(region="london", housekeeping=SimpleNamespace(run=run))
    monkeypatch.setattr(housekeeping, "open_store", lambda: fake)
    housekeeping.handler({}, None)
    told = emitted(capsys)
    names = ["OrganisationsLookedAt", "PeriodsOpenedAhead", "UnitsEnded", "AllotmentsSettled"]
    assert [told[name] for name in names] == [[3.0], [1.0], [70.0], [2.0]]
    assert (told["HousekeepingFailures"], told["HousekeepingUnfinished"]) == ([1.0], [1.0])
