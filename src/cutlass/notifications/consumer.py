"""A queue's batch, message by message: one that fails comes again by itself, with the reason on record.

The reason is kept under the message's id, which it also has in the dead-letter queue: `cutlass dead-letters` shows
it there.
"""

import json
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol

from aws_lambda_powertools import Logger

from cutlass.domain.errors import CutlassError
from cutlass.storage.deliveries import Failure

logger = Logger()

_MARGIN_SECONDS = 3.0
"""What is left of a function's time when it waits for no message any more."""


class BadMessageError(CutlassError):
    """A message is not what its queue is for. It comes again and ends in the dead-letter queue."""

    code = "bad-message"


class FailureLog(Protocol):
    """Where it is written why a message failed."""

    def now_ms(self) -> int:
        """The time in milliseconds since 1970."""

    def note_failure(self, failure: Failure) -> None:
        """Write why a message failed."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message that was received, and how often it was by now."""

    message_id: str
    receipt: str
    receives: int
    body: Any


@dataclass(frozen=True, slots=True)
class AlertMessage:
    """What the queues `notifications` and `webhooks` hold: which alert is to be told."""

    org_id: str
    alert_id: str

    @classmethod
    def read(cls, body: Any) -> "AlertMessage":
        """Read it off a message's body; raises `BadMessageError`."""
        match body:
            case {"v": 1, "org_id": str(org_id), "alert_id": str(alert_id)} if org_id and alert_id:
                return cls(org_id, alert_id)
        raise BadMessageError('the message is not {"v": 1, "org_id": …, "alert_id": …}')

    def written(self) -> dict[str, Any]:
        """Return it as a message's body."""
        return {"v": 1, "org_id": self.org_id, "alert_id": self.alert_id}


def consume(
    event: dict[str, Any],
    queue: str,
    work: Callable[[Message], None],
    log: FailureLog,
    context: Any,
    *,
    at_once: int = 1,
) -> dict[str, Any]:
    """Do each message of a batch and return those that failed, as Lambda wants it.

    Parameters
    ----------
    at_once : int
        How many messages are worked on at once. A slow one holds up no other, and is given up, to come again, when
        the function's time is nearly over.
    """
    records = event["Records"]
    pool = ThreadPoolExecutor(max(1, min(at_once, len(records))))
    running = {pool.submit(_one, record, work): record for record in records}
    failed = []
    waiting = set(running)
    while waiting:
        done, waiting = wait(waiting, timeout=_seconds_left(context), return_when=FIRST_COMPLETED)
        failed += [(running[future], problem) for future in done if (problem := future.exception()) is not None]
        if not done:
            break
    pool.shutdown(wait=False, cancel_futures=True)
    failed += [(running[future], TimeoutError("it was not done in the function's time")) for future in waiting]
    for record, problem in failed:
        _note(queue, record, problem, log)
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record, _ in failed]}


def _one(record: dict[str, Any], work: Callable[[Message], None]) -> None:
    try:
        body = json.loads(record["body"])
    except ValueError as error:
        raise BadMessageError(f"the message is not JSON: {error}") from None
    work(Message(record["messageId"], record["receiptHandle"], _receives(record), body))


def _receives(record: dict[str, Any]) -> int:
    return int(record.get("attributes", {}).get("ApproximateReceiveCount", 1))


def _note(queue: str, record: dict[str, Any], problem: BaseException, log: FailureLog) -> None:
    told = problem.message if isinstance(problem, CutlassError) else f"{type(problem).__name__}: {problem}"
    details = {"queue": queue, "message_id": record["messageId"], "receives": _receives(record)}
    if isinstance(problem, CutlassError):
        # The reason may name people's addresses: it is on record, and not in the log.
        logger.warning("message failed", code=problem.code, **details)
    else:
        logger.error("message failed", exc_info=problem, **details)
    try:
        log.note_failure(Failure(queue, record["messageId"], told, _receives(record), log.now_ms()))
    except Exception:  # the message comes again either way; that its reason is not kept must not stop the others
        logger.exception("the reason is not kept", message_id=record["messageId"])


def _seconds_left(context: Any) -> float | None:
    if context is None:
        return None
    left: float = context.get_remaining_time_in_millis() / 1000
    return max(0.0, left - _MARGIN_SECONDS)
