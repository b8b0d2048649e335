"""The reservations' handler at the edge: what reaches the store, and what never does."""

from collections.abc import Callable

import pytest

from cutlass.domain.decisions import DecisionRequest, Reason
from cutlass.domain.errors import (
    ConflictError,
    IdempotencyMismatchError,
    ReservationExpiredError,
    UnavailableError,
)
from tests.unit.functions.fakes import Answer, FakeStore, decision

ASKED = {"user_id": "test123", "org_id": "org456", "units": 5}
MEMBER = {"principalId": "u", "kind": "member", "scope": "", "org_id": "org456", "role": "member"}
OTHER = {**MEMBER, "org_id": "org789"}
Call = Callable[..., Answer]


@pytest.fixture
def held(call: Call) -> str:
    """The path of a reservation of five units."""
    answer = call("reservations", "POST", "/reservations", ASKED)
    return f"/reservations/{answer.body['reservation']['id']}"


def test_a_reservation_is_answered_as_a_decision_with_the_reservation(call: Call, store: FakeStore):
    answer = call("reservations", "POST", "/reservations", {**ASKED, "ttl_seconds": 60, "request_id": "q"})
    assert answer.status == 200
    assert (answer.body["allowed"], answer.body["units"], answer.body["user"]["remaining"]) == (True, 5, 959)
    made = {"id": "london-r0", "units": 5, "state": "held", "expires_at": "2026-01-22T10:01:00Z"}
    assert answer.body["reservation"] == made
    assert answer.headers["RateLimit"].startswith('"user-month";r=959;t=')
    assert store.changes == [("decide", DecisionRequest("org456", "test123", "default", 5, "q"))]


def test_a_refusal_is_200_without_a_reservation(call: Call, store: FakeStore):
    store.decide = lambda asked: decision(asked, allowed=False, reason=Reason.REGION_SHORT, retry_after=1)
    answer = call("reservations", "POST", "/reservations", ASKED)
    assert (answer.status, answer.body["reason"], answer.body["reservation"]) == (200, "region_short", None)
    assert answer.headers["Retry-After"] == "1"


def test_it_is_held_for_five_minutes_unless_asked_otherwise(call: Call):
    answer = call("reservations", "POST", "/reservations", ASKED)
    assert answer.body["reservation"]["expires_at"] == "2026-01-22T10:05:00Z"


def test_the_request_id_may_come_in_the_header(call: Call, store: FakeStore):
    call("reservations", "POST", "/reservations", ASKED, headers={"Idempotency-Key": "h"})
    assert store.changes[0][1].request_id == "h"
    twice = {**ASKED, "request_id": "b"}
    assert call("reservations", "POST", "/reservations", twice, headers={"Idempotency-Key": "h"}).status == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("units", 0),
        ("units", None),
        ("units", 10**12 + 1),
        ("ttl_seconds", 0),
        ("ttl_seconds", 86_401),
        ("ttl_seconds", 1.5),
        ("feature", ""),
        ("request_id", None),
        ("request_id", "report:0"),
        ("extra", 1),
        ("org_id", "a b"),
    ],
)
def test_bad_input_reaches_no_reservation(call: Call, store: FakeStore, field: str, value: object):
    answer = call("reservations", "POST", "/reservations", {**ASKED, field: value})
    assert (answer.status, answer.body["field"]) == (400, field)
    assert store.changes == []


def test_a_commit_charges_all_or_what_is_said(call: Call, store: FakeStore, held: str):
    answer = call("reservations", "POST", f"{held}/commit", {"units": 3})
    assert (answer.status, answer.body["units"], answer.body["reservation"]["state"]) == (200, 3, "committed")
    call("reservations", "POST", f"{held}/commit")
    call("reservations", "POST", f"{held}/commit", {})
    assert [change[2] for change in store.changes[1:]] == [3, 5, 5]


@pytest.mark.parametrize("body", [{"units": -1}, {"units": None}, {"units": "3"}, {"cost": 3}, [], "3"])
def test_a_commit_that_says_something_else_is_refused(call: Call, store: FakeStore, held: str, body: object):
    assert call("reservations", "POST", f"{held}/commit", body).status == 400
    assert len(store.changes) == 1


def test_a_cost_that_cannot_be_had_says_how_much_can(call: Call, held: str):
    answer = call("reservations", "POST", f"{held}/commit", {"units": 9})
    assert (answer.status, answer.body["available"]) == (409, 5)
    assert answer.body["type"].endswith("/insufficient-units")


def test_a_reservation_is_released_and_shown(call: Call, held: str):
    shown = call("reservations", "GET", held).body
    assert (shown["state"], shown["spent"], shown["ended_at"]) == ("held", None, None)
    assert call("reservations", "POST", f"{held}/release", {"units": 1}).status == 400
    for _ in range(2):
        released = call("reservations", "POST", f"{held}/release")
        assert (released.status, released.body["state"], released.body["spent"]) == (200, "released", 0)


def test_what_was_committed_is_not_released(call: Call, held: str):
    call("reservations", "POST", f"{held}/commit")
    assert call("reservations", "POST", f"{held}/release").status == 409


def test_to_a_member_other_organisations_reservations_do_not_exist(call: Call, store: FakeStore, held: str):
    assert call("reservations", "POST", "/reservations", ASKED, caller=OTHER).status == 403
    for method, path in (("GET", held), ("POST", f"{held}/commit"), ("POST", f"{held}/release")):
        answer = call("reservations", method, path, caller=OTHER)
        missing = call("reservations", method, path.replace("r0", "r9"), caller=OTHER)
        assert (answer.status, missing.status) == (404, 404)
        assert answer.body["title"] == missing.body["title"]
        assert call("reservations", method, path, caller=MEMBER).status in {200, 409}
    assert [change[0] for change in store.changes] == ["decide", "commit", "release"]


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (ReservationExpiredError("too late"), 409, "reservation-expired"),
        (ConflictError("ended"), 409, "conflict"),
        (IdempotencyMismatchError("another body"), 422, "idempotency-mismatch"),
        (UnavailableError("slow", retry_after=2), 503, "unavailable"),
        (RuntimeError("secret"), 500, "internal-error"),
    ],
)
def test_what_the_store_raises_is_a_problem(
    call: Call, store: FakeStore, error: Exception, status: int, name: str
):
    def fail(*_: object, **__: object) -> None:
        raise error

    store.reservations.commit = fail
    answer = call("reservations", "POST", "/reservations/london-r0/commit")
    assert (answer.status, answer.body["type"].rpartition("/")[2]) == (status, name)
    assert "secret" not in str(answer.body)
    assert (answer.headers.get("Retry-After") == "2") == (status == 503)
