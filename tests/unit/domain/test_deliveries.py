"""A delivery is tried by one at a time, never after it is over; recipients get what is theirs, each once."""

from dataclasses import replace

import pytest

from cutlass.domain.alerts import AlertKind, AlertSettings
from cutlass.domain.deliveries import (
    FINAL,
    LEASE_MS,
    LONGEST_PAUSE_SECONDS,
    Channel,
    Delivery,
    Status,
    Verdict,
    claimed,
    finished,
    is_urgent,
    pause_seconds,
    recipients,
    verdict,
)
from tests.support.telling import alert

NOW = 1_000_000
ENTRY = Delivery("org456", "a1", Channel.MAIL, "ops@example.com", Status.QUEUED)


def test_what_the_log_does_not_have_may_be_tried() -> None:
    assert verdict(None, NOW) is Verdict.TAKE


@pytest.mark.parametrize("status", sorted(FINAL))
@pytest.mark.parametrize("held", [False, True])
def test_what_is_over_is_tried_by_nobody(status: Status, held: bool) -> None:
    assert verdict(finished(ENTRY, status, NOW), NOW, held=held) is Verdict.DONE


def test_a_claim_keeps_others_off_until_it_ends() -> None:
    claim = claimed(ENTRY, NOW, "t1")
    assert (claim.status, claim.attempts) == (Status.SENDING, 1)
    assert verdict(claim, NOW + LEASE_MS - 1) is Verdict.BUSY
    assert verdict(claim, NOW + LEASE_MS) is Verdict.TAKE


def test_what_failed_may_be_tried_again() -> None:
    failed = finished(claimed(ENTRY, NOW, "t1"), Status.FAILED, NOW, error="no answer" * 200)
    assert verdict(failed, NOW) is Verdict.TAKE
    assert len(failed.error) == 500, "an entry stays small"


def test_what_is_held_back_waits_for_the_digest_alone() -> None:
    held = replace(ENTRY, status=Status.HELD)
    assert verdict(held, NOW) is Verdict.DONE
    assert verdict(held, NOW, held=True) is Verdict.TAKE


def test_pauses_double_up_to_three_hours_and_are_jittered() -> None:
    whole = [pause_seconds(receives, 1) for receives in range(1, 13)]
    assert whole[:4] == [30, 60, 120, 240]
    assert max(whole) == LONGEST_PAUSE_SECONDS == whole[-1]
    assert 8 * 3600 < sum(whole[:11]) < 12 * 3600, "eleven pauses between twelve tries"
    assert [pause_seconds(receives, 0) for receives in (1, 2, 12)] == [15, 30, 5400]
    assert pause_seconds(10_000, 1) == LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize(
    ("changes", "urgent"),
    [
        ({"current_value": 999}, False),
        ({"current_value": 1000}, True),
        ({"current_value": 1001}, True),
        ({"current_value": 5000, "limit": None}, False),
        ({"kind": AlertKind.RESOLVED, "current_value": 1000}, False),
        ({"kind": AlertKind.BALANCE_LOW, "limit": None, "current_value": 1}, False),
        ({"kind": AlertKind.BALANCE_LOW, "limit": None, "current_value": 0}, True),
        ({"kind": AlertKind.BALANCE_RESTORED, "limit": None, "current_value": 0}, False),
        ({"kind": AlertKind.TEST}, True),
    ],
)
def test_urgent_is_from_where_requests_are_refused(changes: dict[str, object], urgent: bool) -> None:
    assert is_urgent(alert(**changes)) is urgent


ROLES = {"owner": ("o@x.io",), "billing": ("b@x.io",), "technical": ("t@x.io",)}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ("o@x.io", "t@x.io")),
        ({"current_value": 1000}, ("o@x.io", "b@x.io", "t@x.io")),
        ({"kind": AlertKind.RESOLVED}, ("o@x.io", "t@x.io")),
        ({"kind": AlertKind.BALANCE_LOW}, ("o@x.io", "b@x.io")),
        ({"kind": AlertKind.BALANCE_RESTORED}, ("o@x.io", "b@x.io")),
        ({"kind": AlertKind.TEST}, ("o@x.io", "b@x.io", "t@x.io")),
    ],
)
def test_who_is_told_follows_from_the_role(changes: dict[str, object], told: tuple[str, ...]) -> None:
    assert recipients(alert(**changes), AlertSettings((), None, ROLES)) == told


def test_an_address_in_two_roles_is_told_once() -> None:
    twice = AlertSettings((), None, {"owner": ("Ann@Example.com", "bob@x.io"), "technical": (" ann@example.com",)})
    assert recipients(alert(), twice) == ("Ann@Example.com", "bob@x.io")


def test_nobody_is_told_where_nobody_is_set() -> None:
    assert recipients(alert(), AlertSettings((), None, {})) == ()
