"""Every recipient gets every alert, and once: under repetition, at once, after a crash between any two steps."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from cutlass.domain.alerts import AlertKind
from cutlass.domain.deliveries import Status
from cutlass.domain.errors import CutlassError, UnavailableError
from cutlass.notifications.telling import NotToldError
from cutlass.storage import keys
from cutlass.storage.aws import RefusedError, ThrottledError
from tests.support.engines import Engine
from tests.support.tellers import Desk, bounce, crashing_everywhere, message_of, strangers
from tests.support.telling import settings, webhook
from tests.support.world import World

THREE = ("ann@example.com", "bob@example.com", "cat@example.com")
HOOK = webhook("https://hooks.example.com/x")


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world, told=settings(*THREE))


def test_everyone_is_told_once_however_often_the_message_comes(desk: Desk) -> None:
    one = desk.add()
    assert desk.tell(one).sent == 3
    for _ in range(3):
        desk.later()
        assert desk.tell(one).sent == 0
    assert desk.ses.addresses == list(THREE)
    entries = desk.entries(one)
    assert {entries[address].status for address in THREE} == {Status.SENT}
    assert entries["bob@example.com"].reference == "ses-2"


def test_a_mail_is_the_template_and_its_values(desk: Desk) -> None:
    one = desk.add(current_value=850)
    desk.tell(one)
    _, body = desk.ses.sent[0]
    assert body["FromEmailAddress"] == "Cutlass <alerts@example.com>"
    template = body["Content"]["Template"]
    assert template["TemplateName"] == "threshold-crossed"
    assert '"used": "850"' in template["TemplateData"]
    assert {tag["Name"] for tag in body["EmailTags"]} == {"organisation", "alert"}


def test_an_address_written_in_two_ways_is_one(world: World) -> None:
    desk = Desk(world, told=settings("Ann@Example.com", "ann@example.com"))
    one = desk.add()
    desk.tell(one)
    desk.book.default = settings("ANN@example.com")
    desk.tell(one)
    assert desk.ses.addresses == ["Ann@Example.com"]


def test_what_a_higher_alert_tells_is_told_by_it_alone(desk: Desk) -> None:
    desk.tell(desk.add(tell=False))
    assert not desk.ses.sent


def test_two_alerts_are_two_mails(desk: Desk) -> None:
    desk.tell(desk.add())
    desk.tell(desk.add(threshold="90%"))
    assert len(desk.ses.sent) == 6


def test_many_consumers_of_one_message_send_one_mail_each(desk: Desk) -> None:
    one = desk.add()

    def tell(_: int) -> None:
        try:
            desk.tell(one)
        except NotToldError as error:
            assert "another consumer is at work" in error.message  # noqa: PT017 - the others are the winners

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tell, range(24)))
    assert sorted(desk.ses.addresses) == sorted(THREE)
    assert desk.tell(one).sent == 0


def test_one_who_cannot_be_reached_holds_up_nobody_and_is_tried_again(desk: Desk) -> None:
    one = desk.add()

    def refuse(address: str) -> None:
        if address.startswith("ann"):
            raise UnavailableError("no answer")

    desk.ses.before = refuse
    with pytest.raises(NotToldError, match=r"ann@example\.com: no answer"):
        desk.tell(one)
    assert desk.ses.addresses == ["bob@example.com", "cat@example.com"]
    assert desk.entries(one)["ann@example.com"].status is Status.FAILED
    assert desk.entries(one)["ann@example.com"].error == "no answer"
    desk.ses.before = lambda _: None
    assert desk.tell(one).sent == 1
    assert sorted(desk.ses.addresses) == sorted(THREE)
    assert desk.entries(one)["ann@example.com"].attempts == 2


def test_ses_asked_too_often_is_waited_for(world: World) -> None:
    desk = Desk(world, told=settings("ann@example.com"))
    turns = iter([True, True, False])

    def throttle(_: str) -> None:
        if next(turns):
            raise ThrottledError("slow down")

    desk.ses.before = throttle
    slept: list[float] = []
    desk.teller._mailer = desk.ses.mailer(sleeps=slept)
    assert desk.tell(desk.add()).sent == 1
    assert len(slept) == 2
    assert slept[1] > 0


def test_a_mail_that_may_have_been_sent_is_not_sent_again_at_once(world: World) -> None:
    desk = Desk(world, told=settings("ann@example.com"))

    def lose_the_answer(_: str) -> None:
        raise UnavailableError("no answer")

    desk.ses.after = lose_the_answer
    with pytest.raises(NotToldError, match="no answer"):
        desk.tell(desk.add())
    assert len(desk.ses.sent) == 1


def test_a_template_that_is_broken_fails_its_own_alerts_alone(desk: Desk) -> None:
    broken = desk.add(kind=AlertKind.BALANCE_LOW, meter="")
    with pytest.raises(NotToldError, match="balance-low has no value for meter"):
        desk.tell(broken)
    assert not desk.entries(broken), "nothing was tried"
    assert desk.tell(desk.add()).sent == 3


def test_a_template_ses_does_not_have_fails_its_own_alerts_alone(desk: Desk) -> None:
    def refuse(_: str) -> None:
        raise RefusedError("NotFoundException: Template cutlass-tech-alert-test does not exist")

    desk.ses.before = refuse
    with pytest.raises(NotToldError, match="does not exist"):
        desk.tell(desk.add(kind=AlertKind.TEST))
    desk.ses.before = lambda _: None
    assert desk.tell(desk.add()).sent == 3


def test_a_crash_anywhere_loses_nothing_and_repeats_at_most_the_mail_it_was_at(engine: Engine) -> None:
    """Only between SES's answer and the entry in the log may a mail go out again."""
    repeated = 0
    crashes = 0
    desks = crashing_everywhere(
        lambda: Desk(World(engine), told=settings(*THREE, webhook=HOOK)), lambda desk: desk.tell(desk.add())
    )
    for desk in desks:
        crashes += 1
        (one,) = desk.book.alerts.values()
        desk.later()
        desk.tell(one)
        assert set(desk.ses.addresses) == set(THREE), "nobody is left out"
        again = len(desk.ses.addresses) - len(THREE)
        assert again in {0, 1}
        repeated += again
        assert 1 <= len(desk.sqs.sent) <= 2
        desk.later()
        desk.tell(one)
        assert len(desk.ses.addresses) == len(THREE) + again, "and then it is over"
    assert crashes > 20, "every step was one to crash at"
    assert repeated == 2 * len(THREE)


def test_suppressed_addresses_are_logged_and_not_written_to(world: World) -> None:
    ann, bob, cat = strangers(world)
    desk = Desk(world, told=settings(ann, bob, cat))
    assert desk.take(bounce(bob.upper())) == 1
    one = desk.add()
    told = desk.tell(one)
    assert (told.sent, told.suppressed) == (2, 1)
    assert desk.ses.addresses == [ann, cat]
    entry = desk.entries(one)[bob]
    assert (entry.status, entry.error) == (Status.SUPPRESSED, "bounced: Permanent, General")
    assert desk.tell(one).suppressed == 0, "that is over"


def test_an_event_that_comes_twice_changes_nothing(world: World) -> None:
    ann, bob, cat = strangers(world)
    desk = Desk(world, told=settings(ann, bob, cat))
    assert desk.take(bounce(bob)) == 1
    desk.later()
    assert desk.take(bounce(bob)) == 0
    assert desk.take(bounce(cat, "Transient")) == 0
    assert desk.tell(desk.add()).sent == 2


def test_a_bounce_is_known_in_every_region(world: World) -> None:
    three = strangers(world)
    london, sydney = Desk(world, told=settings(*three)), Desk(world, "sydney", told=settings(*three))
    london.take(bounce(three[1]))
    table, key = world.stores["london"].settings.table(keys.ALERTS), keys.suppression("london", three[1])
    item = world.stores["london"].dynamo.get(table, *key)
    assert item is not None
    world.stores["sydney"].dynamo.put(table, item)  # as replication does
    assert sydney.tell(sydney.add()).suppressed == 1


def test_the_log_says_of_a_mail_that_it_bounced(desk: Desk) -> None:
    one = desk.add()
    desk.tell(one)
    _, body = desk.ses.sent[0]
    tags = {tag["Name"]: [tag["Value"]] for tag in body["EmailTags"]}
    desk.take(bounce("ann@example.com", "Transient", tags=tags))
    entry = desk.entries(one)["ann@example.com"]
    assert (entry.status, entry.error) == (Status.BOUNCED, "bounced: Transient, General")
    assert desk.tell(one).sent == 0


def test_an_event_about_a_mail_nobody_sent_writes_no_entry(desk: Desk) -> None:
    one = desk.add()
    desk.tell(desk.add())
    tags = {tag["Name"]: [tag["Value"]] for tag in desk.ses.sent[0][1]["EmailTags"]}
    desk.take(bounce("eve@example.com", tags=tags))
    assert not desk.entries(one)


def test_what_a_lost_region_told_is_not_told_again_where_that_can_be_seen(world: World) -> None:
    london, sydney = Desk(world, told=settings(*THREE)), Desk(world, "sydney", told=settings(*THREE))
    one = london.add()
    sydney.book.add(one)

    def refuse(address: str) -> None:
        if address.startswith("cat"):
            raise UnavailableError("no answer")

    london.ses.before = refuse
    with pytest.raises(NotToldError):
        london.tell(one)
    world.replicate()
    assert sydney.tell(one).sent == 1
    assert sydney.ses.addresses == ["cat@example.com"]


def test_the_webhook_is_asked_for_once(world: World) -> None:
    desk = Desk(world, told=settings(*THREE, webhook=HOOK))
    one = desk.add()
    assert desk.tell(one).queued == 1
    assert desk.tell(one).queued == 0
    assert desk.sqs.sent == [("webhooks", message_of(one).written())]


def test_a_queue_that_does_not_answer_keeps_nobody_from_mail(world: World) -> None:
    desk = Desk(world, told=settings(*THREE, webhook=HOOK))
    one = desk.add()

    def refuse() -> None:
        raise UnavailableError("no answer")

    desk.sqs.before = refuse
    with pytest.raises(NotToldError, match="the webhook: no answer"):
        desk.tell(one)
    assert len(desk.ses.sent) == 3
    desk.sqs.before = lambda: None
    told = desk.tell(one)
    assert (told.queued, told.sent) == (1, 0)


def test_an_alert_that_is_not_there_is_told_to_nobody(desk: Desk) -> None:
    one = desk.add()
    desk.book.alerts.clear()
    with pytest.raises(CutlassError):
        desk.tell(one)
