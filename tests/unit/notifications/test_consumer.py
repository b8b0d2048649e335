"""A batch, message by message: what fails is named, and the reason kept; nothing holds up the others."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cutlass.domain.errors import UnavailableError
from cutlass.notifications.consumer import AlertMessage, BadMessageError, Message, consume
from cutlass.storage.deliveries import Failure


class Log:
    def __init__(self, *, broken: bool = False) -> None:
        self.noted: list[Failure] = []
        self.broken = broken

    def now_ms(self) -> int:
        return 1

    def note_failure(self, failure: Failure) -> None:
        if self.broken:
            raise UnavailableError("no answer")
        self.noted.append(failure)


class Context:
    def __init__(self, millis: int) -> None:
        self.millis = millis

    def get_remaining_time_in_millis(self) -> int:
        return self.millis


def event(*bodies: str, receives: int = 2) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{place}",
                "receiptHandle": f"r{place}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": str(receives)},
            }
            for place, body in enumerate(bodies)
        ]
    }


def failed(answer: dict[str, Any]) -> list[str]:
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


def refuse(*ids: str) -> Callable[[Message], None]:
    def work(message: Message) -> None:
        if message.message_id in ids:
            raise UnavailableError("no answer")

    return work


def test_what_fails_is_named_with_its_reason_and_the_rest_is_done() -> None:
    log, done = Log(), []

    def work(message: Message) -> None:
        refuse("m1")(message)
        done.append((message.message_id, message.receipt, message.receives, message.body))

    assert failed(consume(event('{"n":0}', "{}", '{"n":2}'), "q", work, log, None)) == ["m1"]
    assert done == [("m0", "r0", 2, {"n": 0}), ("m2", "r2", 2, {"n": 2})]
    assert log.noted == [Failure("q", "m1", "no answer", 2, 1)]


def test_poison_fails_alone() -> None:
    log = Log()
    assert failed(consume(event("{}", "not json", "{}"), "q", refuse(), log, None)) == ["m1"]
    assert "not JSON" in log.noted[0].error


def test_a_bug_fails_its_message_alone_and_is_kept_by_name() -> None:
    log = Log()

    def work(message: Message) -> None:
        assert message.message_id != "m0", "a bug"

    assert failed(consume(event("{}", "{}"), "q", work, log, None)) == ["m0"]
    assert log.noted[0].error.startswith("AssertionError: a bug")


def test_a_reason_that_cannot_be_kept_stops_nothing() -> None:
    answer = consume(event("{}", "{}"), "q", refuse("m0", "m1"), Log(broken=True), None)
    assert sorted(failed(answer)) == ["m0", "m1"]


def test_a_slow_message_is_given_up_before_the_functions_time_is_over() -> None:
    log, release = Log(), threading.Event()

    def work(message: Message) -> None:
        if message.message_id == "m0":
            release.wait(20)

    try:
        assert failed(consume(event("{}", "{}"), "q", work, log, Context(3_200), at_once=2)) == ["m0"]
    finally:
        release.set()
    assert "was not done in the function's time" in log.noted[0].error


def test_what_there_was_no_time_to_begin_comes_again() -> None:
    log = Log()
    begun = []
    release = threading.Event()

    def work(message: Message) -> None:
        begun.append(message.message_id)
        release.wait(20)

    try:
        answer = consume(event("{}", "{}", "{}"), "q", work, log, Context(3_200))
    finally:
        release.set()
    assert sorted(failed(answer)) == ["m0", "m1", "m2"]
    assert begun == ["m0"]


@pytest.mark.parametrize(
    "body",
    [
        *(None, [], "x", {}, {"v": 2, "org_id": "o", "alert_id": "a"}),
        *(
            {"v": 1, "org_id": 7, "alert_id": "a"},
            {"v": 1, "org_id": "", "alert_id": "a"},
            {"v": 1, "org_id": "o"},
        ),
    ],
)
def test_a_message_that_names_no_alert_is_poison(body: Any) -> None:
    with pytest.raises(BadMessageError):
        AlertMessage.read(body)


def test_a_message_is_read_as_it_was_written() -> None:
    message = AlertMessage("org456", "a1")
    assert AlertMessage.read(json.loads(json.dumps(message.written()))) == message
