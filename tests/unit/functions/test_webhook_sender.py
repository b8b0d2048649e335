"""A webhook's message waits in the queue for its pause, and not before it is given up."""

from types import SimpleNamespace
from typing import Any

import pytest

from cutlass.contracts import load_queues
from cutlass.domain.deliveries import Status
from cutlass.functions import webhook_sender
from cutlass.notifications.calling import CallLaterError
from tests.support.telling import Sqs

DEAD_LETTER = load_queues()["webhooks"].dead_letter
assert DEAD_LETTER is not None


class Log:
    noted: list[Any]

    def __init__(self) -> None:
        self.noted = []

    def now_ms(self) -> int:
        return 1

    def note_failure(self, failure: Any) -> None:
        self.noted.append(failure)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    def call(message: Any, receives: int) -> Status:
        if message.alert_id == "taken":
            return Status.SENT
        raise CallLaterError("it answered: 503", 60 * receives)

    made = SimpleNamespace(
        webhooks=SimpleNamespace(call=call),
        store=SimpleNamespace(region="london", deliveries=Log(), queues=Sqs()),
    )
    monkeypatch.setattr(webhook_sender, "open_desk", lambda: made)
    monkeypatch.setattr(webhook_sender.metrics.provider, "namespace", "Cutlass")  # read when it was imported
    return made


def event(alert_id: str, receives: int) -> dict[str, Any]:
    body = f'{{"v": 1, "org_id": "org456", "alert_id": "{alert_id}"}}'
    attributes = {"ApproximateReceiveCount": str(receives)}
    return {"Records": [{"messageId": "m1", "receiptHandle": "r1", "body": body, "attributes": attributes}]}


def test_what_was_taken_is_over(desk: SimpleNamespace) -> None:
    assert webhook_sender.handler(event("taken", 1), None) == {"batchItemFailures": []}
    assert not desk.store.queues.delays


def test_what_was_not_taken_comes_again_after_its_pause(desk: SimpleNamespace) -> None:
    answer = webhook_sender.handler(event("late", 3), None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert desk.store.queues.delays == [180]
    assert desk.store.deliveries.noted[0].error == "it answered: 503"


def test_what_was_received_for_the_last_time_is_given_up_at_once(desk: SimpleNamespace) -> None:
    webhook_sender.handler(event("late", DEAD_LETTER.max_receives), None)
    webhook_sender.handler(event("late", DEAD_LETTER.max_receives - 1), None)
    assert desk.store.queues.delays == [0, 60 * (DEAD_LETTER.max_receives - 1)]
