"""The consumers on real queues and a real SES, as the platform runs them: what is told, given up, sent back."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from botocore.credentials import Credentials

from cutlass.cli.main import main
from cutlass.contracts import load_catalogue, load_functions, load_queues, load_topology
from cutlass.domain.alerts import AlertKind
from cutlass.functions import mail_events, notifier, webhook_sender
from cutlass.notifications.desk import Desk
from cutlass.platform import dead_letters
from cutlass.platform.consumer.queue import QueueMapping
from cutlass.platform.local import ACCOUNT, MAIL_FROM
from cutlass.platform.provision import ensure_queue, provision
from cutlass.platform.runtime import Runtime
from cutlass.storage import Store
from cutlass.storage.settings import Settings
from tests.integration.platform.emulators import Emulator, eventually
from tests.support.telling import Book, alert, serving, settings, webhook

REGION = "london"


@dataclass
class Rig:
    """The consumers of London, whose messages come again after a second instead of minutes."""

    emulator: Emulator
    store: Store
    desk: Desk
    book: Book
    org: str
    addresses: dict[str, str] = field(default_factory=dict)
    ends: list[Callable[[], None]] = field(default_factory=list)

    def start(self, *names: str) -> None:
        """Run these functions on their queues."""
        functions, queues = load_functions(), load_queues()
        wire = self.emulator.wires()[REGION]
        for name in names:
            runtime = Runtime(functions, REGION, wire.aws_region)
            (source,) = functions[name].queues
            mapping = QueueMapping(
                wire,
                runtime,
                function=functions[name],
                source=source,
                queue=queues[source.queue],
                region=REGION,
                window_seconds=0,
            )
            stop, drain = threading.Event(), threading.Event()
            thread = threading.Thread(target=mapping.run, args=(stop, drain))
            thread.start()
            self.ends.append(self._ending(stop, drain, thread, runtime))

    @staticmethod
    def _ending(
        stop: threading.Event, drain: threading.Event, thread: threading.Thread, runtime: Runtime
    ) -> Callable[[], None]:
        def end() -> None:
            drain.set()
            stop.set()
            thread.join(30)
            runtime.close()

        return end

    def stop(self) -> None:
        while self.ends:
            self.ends.pop()()

    def send(self, queue: str, *bodies: object) -> list[str]:
        """Put messages into a queue, text as it is; returns their ids."""
        wire = self.emulator.wires()[REGION]
        return [
            wire.call(
                "sqs",
                "SendMessage",
                {
                    "QueueUrl": self.addresses[queue],
                    "MessageBody": body if isinstance(body, str) else json.dumps(body),
                },
            )["MessageId"]
            for body in bodies
        ]

    def mails(self, to: str) -> list[dict[str, Any]]:
        wire = self.emulator.wires()[REGION]
        sent = wire.own(f"/_ministack/ses/messages?account={ACCOUNT}")["messages"].get(ACCOUNT, [])
        return [mail for mail in sent if mail["To"] == [to]]

    def messages(self, queue: str) -> dict[str, dict[str, Any]]:
        """What is in a queue, hidden or not, by id; looking at it changes nothing."""
        wire = self.emulator.wires()[REGION]
        found = wire.own(f"/_ministack/sqs/messages?account={ACCOUNT}&QueueUrl={self.addresses[queue]}")
        by_queue = found["messages"].get(ACCOUNT, {}).get(wire.aws_region, {})
        return {message["MessageId"]: message for waiting in by_queue.values() for message in waiting}


@pytest.fixture
def rig(emulator: Emulator, unique: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    provision(emulator.endpoint, emulator.home)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCOUNT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    given = Settings("dev", REGION, emulator.endpoint, {}, 10.0, mail_from=MAIL_FROM, loopback_webhooks=True)
    store = Store(given, load_catalogue(), load_topology(), credentials=Credentials(ACCOUNT, "local"))
    number = unique()
    book = Book(settings(f"ops-{number}@example.com"))
    made = Rig(emulator, store, Desk(store, book), book, f"org-{number}")
    wire, queues = emulator.wires()[REGION], load_queues()
    for queue in sorted(queues.values(), key=lambda queue: queue.dead_letter is not None):
        if queue.name.startswith(("notifications", "webhooks", "mail-events")):
            made.addresses[queue.name] = ensure_queue(
                wire, replace(queue, visibility_timeout_seconds=1), REGION, queues
            )
    monkeypatch.setattr(notifier, "open_desk", lambda: made.desk)
    monkeypatch.setattr(webhook_sender, "open_desk", lambda: made.desk)
    monkeypatch.setattr(mail_events, "open_store", lambda: store)
    for module in (notifier, webhook_sender, mail_events):
        monkeypatch.setattr(module.metrics.provider, "namespace", "Cutlass")  # read when it was imported
    monkeypatch.setattr(dead_letters, "open_stores", lambda _: {REGION: store})
    yield made
    made.stop()


def told(rig: Rig, **changes: Any) -> dict[str, Any]:
    """Record an alert; returns the message that asks for it to be told."""
    one = rig.book.add(alert(**{"org_id": rig.org, "scope": f"org:{rig.org}"} | changes))
    return {"v": 1, "org_id": one.org_id, "alert_id": one.alert_id}


def to(rig: Rig) -> str:
    (address,) = rig.book.default.recipients["owner"]
    return address


def test_every_kind_of_alert_arrives_filled_in(rig: Rig) -> None:
    for kind in AlertKind:
        rig.send("notifications", told(rig, kind=kind, threshold="balance<1000" if "balance" in kind else "80%"))
    rig.start("notifier")
    eventually(lambda: len(rig.mails(to(rig))) == len(AlertKind), "all are handed over")
    for mail in rig.mails(to(rig)):
        assert mail["Source"] == f"Cutlass <{MAIL_FROM}>"
        for part in ("Subject", "BodyHtml", "BodyText"):
            assert rig.org in mail[part]
            assert "{{" not in mail[part]


def test_poison_blocks_nobody_and_ends_where_it_can_be_looked_at(rig: Rig) -> None:
    missing = {"v": 1, "org_id": rig.org, "alert_id": "nobody-has-it"}
    bad = rig.send("notifications", "not json", {"v": 1}, missing)
    rig.send("notifications", *(told(rig) for _ in range(5)))
    rig.start("notifier")
    eventually(lambda: len(rig.mails(to(rig))) == 5, "the good ones are told while the bad ones fail")
    eventually(lambda: set(bad) <= rig.messages("notifications-dead").keys(), "the bad ones end", seconds=40)
    assert len(rig.mails(to(rig))) == 5, "and none of the good ones was told again"
    letters = {letter.message_id: letter for letter in dead_letters.DeadLetters(None).read(None, "notifications")}
    assert [letters[name].receives for name in bad] == [5, 5, 5]
    reasons = [letters[name].reason for name in bad]
    assert "not JSON" in reasons[0]
    assert 'not {"v": 1' in reasons[1]
    assert reasons[2] == "there is no alert nobody-has-it"


def test_what_was_given_up_is_shown_sent_back_and_dropped_by_the_command(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    one = told(rig)
    kept = rig.book.alerts.pop((rig.org, one["alert_id"]))
    late, poison = rig.send("notifications", one, "poison")
    rig.start("notifier")
    eventually(lambda: {late, poison} <= rig.messages("notifications-dead").keys(), "both end", seconds=40)

    def command(*arguments: str) -> Any:
        code = main(["dead-letters", *arguments, "--json"])
        output = capsys.readouterr()
        assert code == 0, output.err
        return json.loads(output.out.splitlines()[-1])  # the consumers print their metrics here

    listed = {letter["id"]: letter for letter in command("list", "--region", REGION)}
    assert listed[late]["queue"] == "notifications-dead"
    assert listed[late]["from"] == "notifications"
    assert "there is no alert" in listed[late]["reason"]
    assert command("show", late)["body"] == json.dumps(one)
    rig.book.add(kept)
    assert command("redrive", late, "--queue", "notifications") == {"messages": [late]}
    eventually(lambda: len(rig.mails(to(rig))) == 1, "it is told now")
    assert command("drop", poison, "--yes") == {"messages": [poison]}
    assert not {late, poison} & rig.messages("notifications-dead").keys()
    assert main(["dead-letters", "drop", poison, "--yes"]) == 1
    assert f"not there: {poison}" in capsys.readouterr().err


def test_what_is_looked_at_is_there_for_the_next_look(rig: Rig) -> None:
    names = rig.send("webhooks-dead", *({"n": n} for n in range(13)))
    letters = dead_letters.DeadLetters(None)
    for _ in range(2):
        assert set(names) <= {letter.message_id for letter in letters.read(REGION, "webhooks-dead")}
    letters.drop(set(names), REGION, "webhooks")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--queue", "nothing"], "there is no dead-letter queue 'nothing'"),
        (["list", "--region", "paris"], "there is no region 'paris'"),
        (["redrive"], "name messages by their ids"),
        (["redrive", "--all"], "--all needs --queue"),
        (["drop", "x"], "nobody to ask"),
        (["list", "--environment", "moon"], "there is no environment 'moon'"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    rig: Rig, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["dead-letters", *arguments]) in {1, 2}
    assert said in capsys.readouterr().err


def test_a_notice_of_lambda_says_itself_why(rig: Rig) -> None:
    function = f"arn:aws:lambda:eu-west-2:{ACCOUNT}:function:cutlass-tech-meter-dev-london"
    context = {"functionArn": function, "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 3}
    wire = rig.emulator.wires()[REGION]
    rig.addresses["schedule-failures"] = ensure_queue(wire, load_queues()["schedule-failures"], REGION)
    (name,) = rig.send("schedule-failures", {"requestContext": context})
    letters = dead_letters.DeadLetters(None)
    letter = letters.find(name, REGION, "schedule-failures")
    assert letter.reason == "cutlass-tech-meter-dev-london failed 3 times: RetryAttemptsExhausted"
    with pytest.raises(dead_letters.PlatformError, match="came from no queue"):
        letters.redrive({name}, REGION, "schedule-failures")
    assert name in rig.messages("schedule-failures"), "it is put back"
    letters.drop({name}, REGION, "schedule-failures")


def test_a_webhook_that_fails_is_left_alone_for_its_pause(rig: Rig) -> None:
    with serving() as hook:
        rig.book.default = settings(webhook=webhook(hook.url))
        hook.answers = [(503, {}, b"busy")]
        (name,) = rig.send("webhooks", told(rig))
        rig.start("webhook-sender")
        eventually(lambda: hidden_seconds(rig, name) > 10, "it is hidden for its pause")
        assert hidden_seconds(rig, name) <= 30
        assert len(hook.got) == 1


def hidden_seconds(rig: Rig, name: str) -> float:
    return float(rig.messages("webhooks")[name]["VisibleAt"] - rig.store.clock().timestamp())


def test_a_webhook_that_never_takes_it_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook_sender, "_delay", lambda *_: 0)
    with serving() as hook:
        rig.book.default = settings(webhook=webhook(hook.url))
        hook.answers = [(500, {}, b"broken")] * 20
        (name,) = rig.send("webhooks", told(rig))
        rig.start("webhook-sender")
        eventually(lambda: name in rig.messages("webhooks-dead"), "it ends", seconds=40)
        assert 10 <= len(hook.got) <= 12, "a poll that outlives its consumer may swallow a receive"
        letter = dead_letters.DeadLetters(None).find(name, REGION, "webhooks")
        assert letter.reason == f"http://127.0.0.1:{hook.port} answered: 500: broken"
        assert letter.receives == 12


def test_one_slow_webhook_holds_up_no_other(rig: Rig) -> None:
    with serving() as slow, serving() as quick:
        release = threading.Event()
        slow.behave = lambda _: bool(release.wait(20)) and False
        rig.book.default = settings(webhook=webhook(quick.url))
        late = told(rig, org_id=f"{rig.org}-slow")
        rig.book.by_org[f"{rig.org}-slow"] = settings(webhook=webhook(slow.url))
        rig.send("webhooks", late, *(told(rig) for _ in range(6)))
        rig.start("webhook-sender")
        try:
            eventually(lambda: len(quick.got) == 6, "the others are called while one hangs")
        finally:
            release.set()


def test_bounces_arrive_by_the_queue(rig: Rig) -> None:
    address = to(rig)
    told_by_ses = {"bounceType": "Permanent", "bounceSubType": "General"}
    bounce = told_by_ses | {"bouncedRecipients": [{"emailAddress": address}]}
    event = {"eventType": "Bounce", "mail": {"destination": [address]}, "bounce": bounce}
    (bad,) = rig.send("mail-events", {"eventType": "Delivery", "mail": {"destination": []}})
    rig.send("mail-events", event)
    rig.start("mail-events", "notifier")
    eventually(lambda: rig.store.deliveries.look("o", "a", [address]).suppressed, "it is suppressed")
    one = told(rig)
    rig.send("notifications", one)
    entries = eventually(lambda: rig.store.deliveries.of(rig.org, one["alert_id"]), "it is logged")
    assert [entry.status for entry in entries] == ["suppressed"]
    assert not rig.mails(address)
    eventually(lambda: bad in rig.messages("mail-events-dead"), "what nobody asked for ends", seconds=40)
