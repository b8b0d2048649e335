"""What quiet hours and digests hold back is told when they end: all of it, once, in one mail each."""

from datetime import time, timedelta
from typing import Any

import pytest

from cutlass.domain.alerts import AlertKind, QuietHours
from cutlass.domain.deliveries import Status
from cutlass.domain.errors import UnavailableError
from cutlass.storage.aws import RefusedError
from tests.support.engines import Engine
from tests.support.tellers import Desk, bounce, crashing_everywhere, message_of, strangers
from tests.support.telling import settings, webhook
from tests.support.world import World

THREE = ("ann@example.com", "bob@example.com", "cat@example.com")
HOOK = webhook("https://hooks.example.com/x")
LUNCH = QuietHours(time(11), time(14), "UTC")  # the world's clock stands at noon


def test_quiet_hours_hold_back_and_tell_it_all_in_one_mail(world: World) -> None:
    desk = Desk(world, told=settings(*THREE, quiet_hours=LUNCH))
    alerts = [desk.add(), desk.add(threshold="90%", current_value=901)]
    for one in alerts:
        assert desk.tell(one).held == 3
        assert desk.tell(one).held == 0
    assert desk.send_due().mails == 0
    assert not desk.ses.sent
    desk.later(hours=2)
    done = desk.send_due()
    assert (done.mails, done.alerts, done.failures) == (3, 6, 0)
    assert sorted(desk.ses.addresses) == sorted(THREE)
    _, body = desk.ses.sent[0]
    assert body["Content"]["Template"]["TemplateName"] == "alerts-digest"
    assert "has used 80% of requests" in body["Content"]["Template"]["TemplateData"]
    assert "has used 90% of requests" in body["Content"]["Template"]["TemplateData"]
    for one in alerts:
        assert {entry.status for entry in desk.entries(one).values()} == {Status.SENT}
    assert desk.send_due().mails == 0
    assert desk.tell(alerts[0]).sent == 0


def test_one_alert_that_was_held_back_is_told_as_itself(world: World) -> None:
    desk = Desk(world, told=settings("ann@example.com", digest="hourly"))
    desk.tell(desk.add())
    desk.later(hours=1)
    desk.send_due()
    assert desk.ses.sent[0][1]["Content"]["Template"]["TemplateName"] == "threshold-crossed"


@pytest.mark.parametrize(
    "changes",
    [
        {"current_value": 1000, "threshold": "100%"},
        {"kind": AlertKind.BALANCE_LOW, "limit": None, "current_value": 0, "threshold": "balance<10"},
        {"kind": AlertKind.TEST},
    ],
)
def test_what_is_urgent_is_not_held_back(world: World, changes: dict[str, Any]) -> None:
    desk = Desk(world, told=settings("ann@example.com", quiet_hours=LUNCH, digest="daily"))
    assert desk.tell(desk.add(**changes)).sent == 1


def test_webhooks_know_no_quiet_hours(world: World) -> None:
    desk = Desk(world, told=settings(*THREE, webhook=HOOK, quiet_hours=LUNCH))
    told = desk.tell(desk.add())
    assert (told.queued, told.held) == (1, 3)


def test_who_is_suppressed_meanwhile_gets_no_digest(world: World) -> None:
    ann, bob, _ = strangers(world)
    desk = Desk(world, told=settings(ann, bob, quiet_hours=LUNCH))
    one = desk.add()
    desk.tell(one)
    desk.take(bounce(bob))
    desk.later(hours=2)
    assert desk.send_due().mails == 1
    assert desk.entries(one)[bob].status is Status.SUPPRESSED
    desk.later(hours=1)
    assert desk.send_due().mails == 0


def test_a_crash_anywhere_in_a_digest_loses_nothing_and_repeats_at_most_one_mail(engine: Engine) -> None:
    def make() -> Desk:
        desk = Desk(World(engine), told=settings("ann@example.com", quiet_hours=LUNCH))
        for threshold in ("80%", "90%"):
            desk.tell(desk.add(threshold=threshold))
        desk.later(hours=2)
        return desk

    crashes = repeated = 0
    for desk in crashing_everywhere(make, lambda desk: desk.send_due()):
        crashes += 1
        desk.later()
        desk.send_due()
        assert 1 <= len(desk.ses.sent) <= 3
        repeated += len(desk.ses.sent) > 1
        told = "".join(body["Content"]["Template"]["TemplateData"] for _, body in desk.ses.sent)
        for one in desk.book.alerts.values():
            assert one.threshold in told, "both were told"
            assert desk.entries(one)["ann@example.com"].status is Status.SENT
    assert crashes > 10
    assert repeated


def test_a_digest_that_is_refused_is_told_one_by_one(world: World) -> None:
    desk = Desk(world, told=settings("ann@example.com", quiet_hours=LUNCH))
    alerts = [desk.add(), desk.add(threshold="90%")]
    for one in alerts:
        desk.tell(one)
    desk.later(hours=2)

    def refuse(_: str) -> None:
        raise RefusedError("BadRequestException: no such template")

    desk.ses.before = refuse
    assert desk.send_due().failures == 1
    assert desk.sqs.sent == [("notifications", message_of(one).written()) for one in alerts]
    assert desk.send_due().failures == 0, "it is not tried for ever"
    desk.ses.before = lambda _: None
    assert [desk.tell(one).sent for one in alerts] == [1, 1]


def test_a_digest_waits_for_ses_to_answer(world: World) -> None:
    desk = Desk(world, told=settings("ann@example.com", quiet_hours=LUNCH))
    desk.tell(desk.add())
    desk.later(hours=2)

    def refuse(_: str) -> None:
        raise UnavailableError("no answer")

    desk.ses.before = refuse
    for _ in range(3):
        assert desk.send_due().failures == 1
    desk.ses.before = lambda _: None
    assert desk.send_due().mails == 1
    assert not desk.sqs.sent


def test_a_digest_has_its_time(world: World) -> None:
    desk = Desk(world, told=settings(*THREE, quiet_hours=LUNCH))
    desk.tell(desk.add())
    desk.later(hours=2)
    turns = iter([True, False])
    assert desk.digests.send_due(lambda: next(turns)).mails == 1
    assert desk.send_due().mails == 2


def test_what_is_held_back_is_found_by_its_time(world: World) -> None:
    desk = Desk(world, told=settings("ann@example.com", digest="hourly"))
    first = desk.add()
    desk.tell(first)
    desk.later(minutes=61)
    second = desk.add(threshold="90%")
    desk.tell(second)
    assert desk.send_due().alerts == 1
    assert desk.entries(second)["ann@example.com"].status is Status.HELD
    due = world.now.replace(minute=0) + timedelta(hours=1)
    assert desk.entries(second)["ann@example.com"].until_ms == int(due.timestamp() * 1000)
