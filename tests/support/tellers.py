"""What delivers in a region of a world, as the functions it runs in: held to those functions' roles."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from cutlass.domain.alerts import Alert, AlertSettings
from cutlass.domain.deliveries import LEASE_MS, Delivery, Status
from cutlass.notifications.calling import Webhooks
from cutlass.notifications.consumer import AlertMessage
from cutlass.notifications.digests import Digests, Released
from cutlass.notifications.mail_events import apply, read_event
from cutlass.notifications.telling import Teller, Told
from cutlass.notifications.webhook import Caller
from cutlass.storage.codec import Wire
from cutlass.storage.dynamo import Dynamo
from tests.support.faults import CrashError
from tests.support.permissions import acting
from tests.support.telling import Book, Ses, Sqs, alert
from tests.support.world import World


class Desk:
    """What tells the alerts of one region of a world, with stand-ins for SES and SQS."""

    def __init__(self, world: World, region: str = "london", *, told: AlertSettings | None = None) -> None:
        self.world = world
        self.region = region
        self.store = world.stores[region]
        self.log = self.store.deliveries
        self.book = Book(told)
        self.ses, self.sqs = Ses(), Sqs()
        mailer, clock = self.ses.mailer(), self.store.clock
        self.teller = Teller(self.book, self.log, mailer, self.sqs, clock)  # type: ignore[arg-type]
        self.digests = Digests(self.book, self.log, mailer, self.sqs)  # type: ignore[arg-type]
        self.webhooks = Webhooks(
            self.book, self.log, Caller(loopback=True), "dev", clock, loopback=True, chance=lambda: 1.0
        )

    def add(self, **changes: Any) -> Alert:
        """Record an alert of the world's organisation."""
        values = {"org_id": self.world.org, "scope": f"org:{self.world.org}", "at": self.world.now}
        return self.book.add(alert(**values | changes))

    def tell(self, one: Alert) -> Told:
        """Take a message of the queue `notifications`."""
        with acting("notifier", self.region):
            return self.teller.tell(message_of(one))

    def call(self, one: Alert, receives: int = 1) -> Status | None:
        """Take a message of the queue `webhooks`."""
        with acting("webhook-sender", self.region):
            return self.webhooks.call(message_of(one), receives)

    def send_due(self) -> Released:
        """Let the clock start the digests."""
        with acting("digests", self.region):
            return self.digests.send_due()

    def take(self, event: dict[str, Any]) -> int:
        """Take a message of the queue `mail-events`."""
        with acting("mail-events", self.region):
            return apply(self.log, read_event(event))

    def entries(self, one: Alert) -> dict[str, Delivery]:
        """The delivery log of an alert, by recipient, as this region has it."""
        return {entry.target: entry for entry in self.log.of(one.org_id, one.alert_id)}

    def later(self, **passed: float) -> None:
        """Let time pass; without a number, until no claim holds any more."""
        self.world.now += timedelta(**passed) if passed else timedelta(milliseconds=LEASE_MS)


def message_of(one: Alert) -> AlertMessage:
    return AlertMessage(one.org_id, one.alert_id)


def strangers(world: World) -> tuple[str, str, str]:
    """Addresses of the test's own: what bounces is written to by no organisation any more."""
    return tuple(f"{name}-{world.org}@example.com" for name in ("ann", "bob", "cat"))  # type: ignore[return-value]


def bounce(address: str, kind: str = "Permanent", **mail: Any) -> dict[str, Any]:
    """What SES tells of a mail to an address that bounced."""
    told = {"bounceType": kind, "bounceSubType": "General", "bouncedRecipients": [{"emailAddress": address}]}
    return {"eventType": "Bounce", "mail": {"destination": [address]} | mail, "bounce": told}


class Steps:
    """Counts the steps of what runs inside, those to DynamoDB and those it is told of, and ends it at one of them.

    A step has two moments: before it is done and after. Moment 0 is before the first step, 1 after it, and so on.
    """

    def __init__(self, crash_at: int | None) -> None:
        self.passed = 0
        self._crash_at = crash_at

    def moment(self) -> None:
        """Pass one moment, or end here."""
        if self.passed == self._crash_at:
            self._crash_at = None
            raise CrashError
        self.passed += 1

    @contextmanager
    def of(self, desk: Desk) -> Iterator[None]:
        """Take part in every step of a desk inside the block."""
        dynamo = desk.store.dynamo

        def call(operation: str, request: Wire) -> Wire:
            self.moment()
            answer = Dynamo.call(dynamo, operation, request)
            self.moment()
            return answer

        dynamo.call = call  # type: ignore[method-assign]
        desk.ses.before = desk.ses.after = lambda _: self.moment()
        desk.sqs.before = self.moment
        try:
            yield
        finally:
            del dynamo.call  # type: ignore[method-assign]
            desk.ses.before = desk.ses.after = lambda _: None
            desk.sqs.before = lambda: None


def crashing_everywhere(make: Callable[[], Desk], run: Callable[[Desk], Any]) -> Iterator[Desk]:
    """Run something once for each of its moments, ended there by a crash; give the desk after each."""
    moment = 0
    while True:
        desk, steps = make(), Steps(moment)
        with steps.of(desk):
            try:
                run(desk)
            except CrashError:
                yield desk
            else:
                return
        moment += 1
