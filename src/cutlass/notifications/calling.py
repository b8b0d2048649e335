"""Calls an organisation's webhook with an alert, and says what is to follow from its answer."""

import random
from collections.abc import Callable
from datetime import datetime

from cutlass.domain.deliveries import (
    LONGEST_PAUSE_SECONDS,
    Channel,
    Delivery,
    Status,
    Verdict,
    pause_seconds,
    verdict,
)
from cutlass.domain.errors import CutlassError, InvalidRequestError
from cutlass.notifications.consumer import AlertMessage
from cutlass.notifications.events import CONTENT_TYPE, SIGNATURE_FIELD, cloud_event, secrets_at, signature
from cutlass.notifications.targets import ForbiddenTargetError, Target, read_target
from cutlass.notifications.telling import AlertBook
from cutlass.notifications.webhook import Answer, Caller, CallFailedError
from cutlass.storage.deliveries import Deliveries

_GONE = 410
_SHOWN = 200


class CallLaterError(CutlassError):
    """A webhook did not take an alert; it is called again after so many seconds."""

    code = "call-later"

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.seconds = seconds


class Webhooks:
    """The webhooks that the alerts of one region are told to.

    Parameters
    ----------
    environment : str
        Part of the events' source.
    chance : callable, optional
        Random numbers from 0 to 1, for the pauses.
    """

    def __init__(
        self,
        book: AlertBook,
        deliveries: Deliveries,
        caller: Caller,
        environment: str,
        clock: Callable[[], datetime],
        *,
        loopback: bool = False,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._book = book
        self._deliveries = deliveries
        self._caller = caller
        self._environment = environment
        self._clock = clock
        self._loopback = loopback
        self._chance = chance

    def call(self, message: AlertMessage, receives: int) -> Status | None:
        """Call the webhook, unless it has the alert already; returns what became of it, None if there is none.

        The settings are those of now: a webhook that was changed is called where it is by now.

        Parameters
        ----------
        receives : int
            How often the message was received, which makes the pauses longer.

        Raises
        ------
        CallLaterError
            It did not take it.
        """
        seen = self._deliveries.look(message.org_id, message.alert_id).entries.get("")
        found = verdict(seen, self._deliveries.now_ms())
        if found is Verdict.DONE:
            return None
        if found is Verdict.BUSY:
            raise CallLaterError("another consumer is calling", pause_seconds(1, 1))
        settings = self._book.settings(message.org_id)
        fresh = Delivery(message.org_id, message.alert_id, Channel.WEBHOOK, "", Status.QUEUED)
        if settings.webhook is None:
            self._deliveries.settle(fresh, seen, Status.REFUSED, error="the organisation has no webhook any more")
            return Status.REFUSED
        try:
            target = read_target(settings.webhook.url, loopback=self._loopback)
        except InvalidRequestError as error:
            self._deliveries.settle(fresh, seen, Status.REFUSED, error=error.message)
            return Status.REFUSED
        body = cloud_event(self._book.alert(message.org_id, message.alert_id), self._environment)
        fresh = Delivery(message.org_id, message.alert_id, Channel.WEBHOOK, target.origin, Status.QUEUED)
        mine = self._deliveries.claim(fresh, seen)
        if mine is None:
            raise CallLaterError("another consumer is calling", pause_seconds(1, 1))
        now = self._clock()
        headers = {
            "Content-Type": CONTENT_TYPE,
            "User-Agent": "Cutlass-Webhooks/1",
            SIGNATURE_FIELD: signature(body, secrets_at(settings.webhook, now), now),
        }
        return self._try(mine, target, body, headers, receives)

    def _try(self, mine: Delivery, target: Target, body: bytes, headers: dict[str, str], receives: int) -> Status:
        pause = pause_seconds(receives, self._chance())
        try:
            answer = self._caller.post(target, body, headers)
        except ForbiddenTargetError as error:
            self._deliveries.finish(mine, Status.REFUSED, error=error.message)
            return Status.REFUSED
        except CallFailedError as error:
            self._deliveries.finish(mine, Status.FAILED, error=str(error))
            raise CallLaterError(str(error), pause) from error
        if 200 <= answer.status < 300:
            self._deliveries.finish(mine, Status.SENT, reference=str(answer.status))
            return Status.SENT
        told = _told(target, answer)
        if answer.status == _GONE:
            self._deliveries.finish(mine, Status.GONE, reference=str(answer.status), error=told)
            return Status.GONE
        self._deliveries.finish(mine, Status.FAILED, reference=str(answer.status), error=told)
        raise CallLaterError(told, max(pause, min(answer.retry_after or 0, LONGEST_PAUSE_SECONDS)))


def _told(target: Target, answer: Answer) -> str:
    kind = "answered with a redirect, which is not followed" if 300 <= answer.status < 400 else "answered"
    body = " ".join(answer.body.split())[:_SHOWN]
    return f"{target.origin} {kind}: {answer.status}" + (f": {body}" if body else "")
