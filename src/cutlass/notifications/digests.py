"""Sends what quiet hours or a digest held back, when it is due: one mail per recipient and organisation.

A digest that cannot be sent at all, for its template or its address is refused, goes back to the queue
`notifications` as single alerts: these are tried alone, and end in the dead-letter queue with the reason.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aws_lambda_powertools import Logger

from cutlass.domain.alerts import Alert
from cutlass.domain.deliveries import Channel, Delivery, Status, Verdict, same_address, verdict
from cutlass.domain.errors import CutlassError, NotFoundError, UnavailableError
from cutlass.notifications.consumer import AlertMessage
from cutlass.notifications.mail import Mailer
from cutlass.notifications.render import TemplateError, digest_of, mail_of
from cutlass.notifications.telling import AlertBook, NotToldError, send_mail
from cutlass.storage.aws import RefusedError
from cutlass.storage.deliveries import Deliveries, Held
from cutlass.storage.queues import Queues

logger = Logger()

NOTIFICATIONS = "notifications"
"""The queue whose messages are alerts to be told."""

_LINES = 100
"""Alerts told in one mail; what is more goes into the next one."""


@dataclass(slots=True)
class Released:
    """What came of a look at what was held back, by number: mails, alerts told in them, mails that failed."""

    mails: int = 0
    alerts: int = 0
    failures: int = 0


class Digests:
    """What one region holds back."""

    def __init__(self, book: AlertBook, deliveries: Deliveries, mailer: Mailer, queues: Queues) -> None:
        self._book = book
        self._deliveries = deliveries
        self._mailer = mailer
        self._queues = queues

    def send_due(self, time_left: Callable[[], bool] = lambda: True) -> Released:
        """Send all that is due, as long as there is time; the next look goes on where this one ends.

        A mail that fails holds up no other.
        """
        groups: dict[tuple[str, str], list[Held]] = defaultdict(list)
        for held in self._deliveries.due():
            groups[held.org_id, same_address(held.target)].append(held)
        done = Released()
        for whole in groups.values():
            for start in range(0, len(whole), _LINES):
                if not time_left():
                    return done
                self._one(whole[start : start + _LINES], done)
        return done

    def _one(self, group: list[Held], done: Released) -> None:
        org_id = group[0].org_id
        try:
            sent = self._send(group)
        except (RefusedError, TemplateError) as error:
            logger.warning("a digest is refused: told one by one", org_id=org_id, reason=error.message)
            done.failures += 1
            self._alone(group)
        except (UnavailableError, NotToldError) as error:
            logger.warning("a digest waits", org_id=org_id, reason=error.message)
            done.failures += 1
        except Exception:  # whatever is wrong with one organisation's, the others are told
            logger.exception("a digest failed", org_id=org_id)
            done.failures += 1
        else:
            done.mails += sent > 0
            done.alerts += sent

    def _send(self, group: list[Held]) -> int:
        """Send one mail of what is left to be told, and forget the rest; returns the alerts told."""
        name = same_address(group[0].target)
        wanted: list[tuple[Delivery, Delivery | None]] = []
        alerts: list[Alert] = []
        over: list[Held] = []
        for held in group:
            sight = self._deliveries.look(held.org_id, held.alert_id, [held.target])
            seen = sight.entries.get(name)
            fresh = Delivery(held.org_id, held.alert_id, Channel.MAIL, held.target, Status.HELD)
            found = verdict(seen, self._deliveries.now_ms(), held=True)
            if found is Verdict.TAKE and name in sight.suppressed:
                self._deliveries.settle(fresh, seen, Status.SUPPRESSED, error=sight.suppressed[name])
                over.append(held)
            elif found is Verdict.TAKE:
                alert = self._find(held)
                if alert is not None:
                    alerts.append(alert)
                    wanted.append((fresh, seen))
                over.append(held)
            elif found is Verdict.DONE:
                over.append(held)
        if wanted:
            mail = mail_of(alerts[0]) if len(alerts) == 1 else digest_of(group[0].org_id, alerts)
            send_mail(self._deliveries, self._mailer, mail, wanted, held=True)
        self._forget(over)
        return len(wanted)

    def _find(self, held: Held) -> Alert | None:
        try:
            return self._book.alert(held.org_id, held.alert_id)
        except NotFoundError:
            logger.warning("an alert that was held back is gone", org_id=held.org_id, alert_id=held.alert_id)
            return None

    def _alone(self, group: list[Held]) -> None:
        for held in group:
            try:
                self._queues.send(NOTIFICATIONS, AlertMessage(held.org_id, held.alert_id).written())
            except CutlassError as error:
                logger.warning("not queued; it stays held back", alert_id=held.alert_id, reason=error.message)
            else:
                self._deliveries.release(held)

    def _forget(self, over: Iterable[Held]) -> None:
        for held in over:
            self._deliveries.release(held)
