"""A webhook gets every alert, signed, until it takes it; its answers decide what follows."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from cutlass.domain.deliveries import Status
from cutlass.notifications.calling import CallLaterError
from cutlass.notifications.events import SIGNATURE_FIELD, verify
from cutlass.notifications.webhook import Caller
from tests.support.engines import Engine
from tests.support.tellers import Desk, crashing_everywhere
from tests.support.telling import Hook, serving, settings, webhook
from tests.support.world import World


@pytest.fixture
def hook() -> Iterator[Hook]:
    with serving() as serves:
        yield serves


@pytest.fixture
def desk(world: World, hook: Hook) -> Desk:
    return Desk(world, told=settings(webhook=webhook(hook.url)))


def test_a_call_is_a_signed_event_and_made_once(desk: Desk, hook: Hook) -> None:
    one = desk.add()
    assert desk.call(one) is Status.SENT
    assert desk.call(one) is None
    ((path, fields, body),) = hook.got
    assert path == "/hook?token=secret"
    assert fields["Content-Type"] == "application/cloudevents+json; charset=utf-8"
    event = json.loads(body)
    assert (event["id"], event["type"]) == (one.alert_id, "tech.cutlass.alert.crossed")
    assert verify(body, fields[SIGNATURE_FIELD], "whsec_new", desk.world.now)
    (entry,) = desk.entries(one).values()
    assert (entry.status, entry.reference) == (Status.SENT, "204")
    assert entry.target == f"http://127.0.0.1:{hook.port}", "what may be a secret is not kept"


def test_both_secrets_sign_until_the_old_one_ends(desk: Desk, hook: Hook) -> None:
    ends = desk.world.now + timedelta(hours=1)
    rotating = webhook(hook.url, previous_secret="whsec_old", previous_until=ends)
    desk.book.default = settings(webhook=rotating)
    desk.call(desk.add())
    desk.later(hours=1)
    desk.call(desk.add())
    signed = [(body, fields[SIGNATURE_FIELD]) for _, fields, body in hook.got]
    first = desk.world.now - timedelta(hours=1)
    assert verify(*signed[0], "whsec_old", first)
    assert verify(*signed[0], "whsec_new", first)
    assert not verify(*signed[1], "whsec_old", desk.world.now)
    assert verify(*signed[1], "whsec_new", desk.world.now)


@pytest.mark.parametrize("status", [400, 401, 404, 408, 409, 429, 500, 503, 302])
def test_any_other_answer_is_tried_again_later(desk: Desk, hook: Hook, status: int) -> None:
    one = desk.add()
    hook.answers.append((status, {}, b"not now"))
    with pytest.raises(CallLaterError, match=f"answered.*: {status}: not now") as later:
        desk.call(one, receives=3)
    assert later.value.seconds == 120, "the pause of the third receive"
    assert desk.entries(one)[f"http://127.0.0.1:{hook.port}"].status is Status.FAILED
    assert desk.call(one, receives=4) is Status.SENT
    assert [json.loads(body)["id"] for _, _, body in hook.got] == [one.alert_id] * 2, "the receiver can tell"
    (entry,) = desk.entries(one).values()
    assert entry.attempts == 2


def test_who_asks_to_be_left_alone_for_longer_is(desk: Desk, hook: Hook) -> None:
    one = desk.add()
    for asked, waits in (("600", 600), ("1", 30), ("999999", 10_800), ("soon", 30)):
        hook.answers.append((503, {"Retry-After": asked}, b""))
        with pytest.raises(CallLaterError) as later:
            desk.call(one)
        assert later.value.seconds == waits


def test_one_who_is_gone_is_not_tried_again_for_this_alert(desk: Desk, hook: Hook) -> None:
    one = desk.add()
    hook.answers.append((410, {}, b"moved away"))
    assert desk.call(one) is Status.GONE
    assert desk.call(one) is None
    (entry,) = desk.entries(one).values()
    assert "410: moved away" in entry.error
    assert desk.call(desk.add()) is Status.SENT, "the next alert asks again"


def test_an_address_that_may_not_be_called_is_not_tried_again(desk: Desk) -> None:
    one = desk.add()
    desk.book.default = settings(webhook=webhook("https://169.254.169.254/latest/meta-data"))
    assert desk.call(one) is Status.REFUSED
    assert desk.call(one) is None
    (entry,) = desk.entries(one).values()
    assert "not a public address" in entry.error


def test_a_name_that_leads_inside_is_refused(desk: Desk) -> None:
    one = desk.add()
    desk.webhooks._caller = Caller(loopback=True, resolve=lambda _host, _port: ["10.0.0.1"])
    desk.book.default = settings(webhook=webhook("https://inside.example.com/"))
    assert desk.call(one) is Status.REFUSED
    (entry,) = desk.entries(one).values()
    assert entry.error == "inside.example.com resolves to an address that is not public"


def test_a_webhook_that_was_taken_away_is_not_called(desk: Desk, hook: Hook) -> None:
    one = desk.add()
    desk.book.default = settings()
    assert desk.call(one) is Status.REFUSED
    assert not hook.got


def test_a_webhook_that_moved_is_called_where_it_is(desk: Desk, hook: Hook) -> None:
    one = desk.add()
    hook.answers.append((500, {}, b""))
    with pytest.raises(CallLaterError):
        desk.call(one)
    with serving() as other:
        desk.book.default = settings(webhook=webhook(other.url))
        assert desk.call(one) is Status.SENT
        assert len(other.got) == 1


def test_one_who_does_not_listen_is_called_later(desk: Desk, hook: Hook) -> None:
    one = desk.add()
    desk.book.default = settings(webhook=webhook("http://127.0.0.1:9/"))
    with pytest.raises(CallLaterError, match="no connection"):
        desk.call(one)
    assert not hook.got


def test_two_consumers_of_one_message_make_one_call(desk: Desk, hook: Hook) -> None:
    one = desk.add()

    def meanwhile(_: object) -> bool:
        with pytest.raises(CallLaterError, match="another consumer"):
            desk.call(one)
        return False

    hook.behave = meanwhile
    assert desk.call(one) is Status.SENT
    assert len(hook.got) == 1


def test_a_crash_anywhere_loses_no_call_and_repeats_it_with_the_same_id(engine: Engine, hook: Hook) -> None:
    def make() -> Desk:
        hook.got.clear()
        return Desk(World(engine), told=settings(webhook=webhook(hook.url)))

    crashes, calls = 0, []
    for desk in crashing_everywhere(make, lambda desk: desk.call(desk.add())):
        crashes += 1
        (one,) = desk.book.alerts.values()
        desk.later()
        desk.call(one)
        assert {json.loads(body)["id"] for _, _, body in hook.got} == {one.alert_id}
        calls.append(len(hook.got))
    assert crashes == 6, "before and after it looks, claims and writes down what came of it"
    assert calls == [1, 1, 1, 1, 2, 1], "only what was not written down is repeated"
