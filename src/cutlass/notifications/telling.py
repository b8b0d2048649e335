"""Tells an alert: one mail per recipient, and one message to the queue of webhooks.

Each delivery is claimed in the log right before it is tried and finished right after, so that a message that comes
again, or twice at once, sends nothing twice. Between SES's answer and the entry in the log is one write to
DynamoDB: only a crash within it makes the mail go out again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cutlass.domain.alerts import Alert, AlertSettings
from cutlass.domain.deliveries import (
    Channel,
    Delivery,
    Status,
    Verdict,
    is_urgent,
    recipients,
    same_address,
    verdict,
)
from cutlass.domain.errors import CutlassError
from cutlass.domain.periods import to_millis
from cutlass.domain.quiet_hours import send_at
from cutlass.notifications.consumer import AlertMessage
from cutlass.notifications.mail import Mailer
from cutlass.notifications.render import Mail, mail_of
from cutlass.storage.deliveries import Deliveries, Sight
from cutlass.storage.queues import Queues

WEBHOOKS = "webhooks"
"""The queue whose messages are calls to be made."""

ORGANISATION_TAG, ALERT_TAG = "organisation", "alert"
"""What SES's events about a mail say of it."""


class NotToldError(CutlassError):
    """An alert did not reach everyone yet; who has it does not get it again."""

    code = "not-told"


class AlertBook(Protocol):
    """The alerts and settings of a region, as far as deliveries need them."""

    def alert(self, org_id: str, alert_id: str) -> Alert:
        """Return the record of an alert; raises `NotFoundError`."""

    def settings(self, org_id: str) -> AlertSettings:
        """Return what an organisation has set, or what its plan sets for it."""


class Remembered:
    """A book whose settings are read once per organisation: for one batch, whose alerts are often of one."""

    def __init__(self, book: AlertBook) -> None:
        self._book = book
        self._settings: dict[str, AlertSettings] = {}

    def alert(self, org_id: str, alert_id: str) -> Alert:
        """Return the record of an alert; raises `NotFoundError`."""
        return self._book.alert(org_id, alert_id)

    def settings(self, org_id: str) -> AlertSettings:
        """Return what an organisation has set, as it was when it was asked for first."""
        if org_id not in self._settings:
            self._settings[org_id] = self._book.settings(org_id)
        return self._settings[org_id]


@dataclass(slots=True)
class Told:
    """What came of telling an alert, by number."""

    sent: int = 0
    held: int = 0
    suppressed: int = 0
    queued: int = 0


class Teller:
    """Tells the alerts of one region."""

    def __init__(
        self,
        book: AlertBook,
        deliveries: Deliveries,
        mailer: Mailer,
        queues: Queues,
        clock: Callable[[], datetime],
    ) -> None:
        self._book = book
        self._deliveries = deliveries
        self._mailer = mailer
        self._queues = queues
        self._clock = clock

    def tell(self, message: AlertMessage) -> Told:
        """Hand an alert over to everyone who is to have it and has not.

        Raises
        ------
        NotToldError
            It did not reach someone, who is tried again when the message comes again; all others have it.
        """
        alert = self._book.alert(message.org_id, message.alert_id)
        told = Told()
        if not alert.tell:
            return told
        settings = self._book.settings(message.org_id)
        addresses = recipients(alert, settings)
        sight = self._deliveries.look(alert.org_id, alert.alert_id, addresses)
        problems = []
        if settings.webhook is not None and "" not in sight.entries:
            try:
                self._queue(message)
                told.queued += 1
            except CutlassError as error:
                problems.append(f"the webhook: {error.message}")
        mail, due = mail_of(alert), self._due(alert, settings)
        for address in addresses:
            try:
                self._mail(alert, mail, address, sight, due, told)
            except CutlassError as error:
                problems.append(f"{address}: {error.message}")
        if problems:
            raise NotToldError("; ".join(problems))
        return told

    def _due(self, alert: Alert, settings: AlertSettings) -> datetime | None:
        now = self._clock()
        due = now if is_urgent(alert) else send_at(settings, now)
        return due if due > now else None

    def _queue(self, message: AlertMessage) -> None:
        """Ask for the call, then note that: two messages for one call do no harm, none would."""
        self._queues.send(WEBHOOKS, message.written())
        entry = Delivery(message.org_id, message.alert_id, Channel.WEBHOOK, "", Status.QUEUED)
        self._deliveries.note(entry, Status.QUEUED)

    def _mail(
        self, alert: Alert, mail: Mail, address: str, sight: Sight, due: datetime | None, told: Told
    ) -> None:
        name = same_address(address)
        seen = sight.entries.get(name)
        fresh = Delivery(alert.org_id, alert.alert_id, Channel.MAIL, address, Status.QUEUED)
        if verdict(seen, self._deliveries.now_ms()) is Verdict.DONE:
            return
        if name in sight.suppressed:
            self._deliveries.settle(fresh, seen, Status.SUPPRESSED, error=sight.suppressed[name])
            told.suppressed += 1
        elif due is not None and seen is None:
            self._deliveries.hold(fresh, to_millis(due))
            told.held += 1
        elif send_mail(self._deliveries, self._mailer, mail, [(fresh, seen)]):
            told.sent += 1


def send_mail(
    deliveries: Deliveries,
    mailer: Mailer,
    mail: Mail,
    wanted: list[tuple[Delivery, Delivery | None]],
    *,
    held: bool = False,
) -> bool:
    """Claim deliveries to one address, hand one mail over that tells of all, and write that down.

    Parameters
    ----------
    wanted : list
        Each delivery, and what the log had of it.

    Returns
    -------
    bool
        Whether a mail was sent: not where all were over, or another sends them.

    Raises
    ------
    CutlassError
        It could not be handed over, or another consumer is at it: the deliveries are to be tried again.
    """
    mailer.check(mail)
    claims = [deliveries.claim(fresh, seen, held=held) for fresh, seen in wanted]
    mine = [claim for claim in claims if claim is not None]
    if len(mine) < len(wanted):
        for claim in mine:
            deliveries.finish(claim, Status.FAILED, error="another consumer was at work on the same mail")
        raise NotToldError("another consumer is at work on the same mail")
    first = mine[0]
    tags = {ORGANISATION_TAG: first.org_id, ALERT_TAG: first.alert_id}
    try:
        reference = mailer.send(first.target, mail, tags if len(mine) == 1 else {ORGANISATION_TAG: first.org_id})
    except CutlassError as error:
        for claim in mine:
            deliveries.finish(claim, Status.FAILED, error=error.message)
        raise
    for claim in mine:
        deliveries.finish(claim, Status.SENT, reference=reference)
    return True
