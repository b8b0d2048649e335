"""A queue that starts a function: batches, failures, what comes again, and the dead-letter queue."""

import json
import os
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cutlass.contracts import DeadLetter, Function, Queue, QueueSource
from cutlass.platform.consumer.queue import QueueMapping
from cutlass.platform.provision import ensure_queue, ensure_queues
from cutlass.platform.queues import messages_in, queue_attributes, send_to_queue
from cutlass.platform.runtime import Runtime
from tests.integration.platform.emulators import Emulator, eventually

MODULE = "cutlass_test_queue_handlers"

KILLED = """
import os, signal, sys, threading, types
from cutlass.contracts import Function, Queue, QueueSource
from cutlass.platform.consumer.queue import QueueMapping
from cutlass.platform.runtime import Runtime
from cutlass.platform.wire import Wire

handlers = types.ModuleType("handlers")
handlers.die = lambda event, context: os.kill(os.getpid(), signal.SIGKILL)
sys.modules["handlers"] = handlers
function = Function("die", "", "handlers.die", 5, False, {}, {}, (), ())
runtime = Runtime({"die": function}, "london", "eu-west-2")
wire, (endpoint, queue) = Wire(sys.argv[1], "eu-west-2"), sys.argv[1:]
source, queue = QueueSource(queue, 1, 0), Queue(queue, "", 1, 1)
mapping = QueueMapping(
    wire, runtime, function=function, source=source, queue=queue, region="london", window_seconds=0
)
mapping.run(threading.Event(), threading.Event())
"""


class Rig:
    """A queue with a dead-letter queue, and a mapping whose handler the test decides."""

    def __init__(self, emulator: Emulator, number: int) -> None:
        self.wire = emulator.wire()
        self.dead = Queue(f"dead-{number}", "", 2)
        self.queue = Queue(f"queue-{number}", "", 1, 1, DeadLetter(self.dead.name, 3))
        self.queues = {queue.name: queue for queue in (self.queue, self.dead)}
        self.addresses = ensure_queues(self.wire, self.queues, "london")
        self.batches: list[list[str]] = []
        self.events: list[Any] = []
        self.decide: Callable[[list[str]], Any] = lambda _bodies: None
        self._stops: list[Callable[[], None]] = []

    def handler(self, event: Any, _context: Any) -> Any:
        self.events.append(event)
        self.batches.append([record["body"] for record in event["Records"]])
        return self.decide(self.batches[-1])

    def start(self, *, batch_size: int = 10, window: float = 0.0) -> None:
        source = QueueSource(self.queue.name, batch_size, 1)
        function = Function("eat", "", f"{MODULE}.eat", 5, False, {}, {}, (), (), (source,))
        runtime = Runtime({"eat": function}, "london", "eu-west-2")
        stop, drain = threading.Event(), threading.Event()
        mapping = QueueMapping(
            self.wire,
            runtime,
            function=function,
            source=source,
            queue=self.queue,
            region="london",
            window_seconds=window,
        )
        thread = threading.Thread(target=mapping.run, args=(stop, drain))
        thread.start()

        def end() -> None:
            drain.set()
            thread.join(10)
            stop.set()
            runtime.close()
            assert not thread.is_alive(), "it does not end"

        self._stops.append(end)

    def stop(self) -> None:
        while self._stops:
            self._stops.pop()()

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.wire.call(
                "sqs", "SendMessage", {"QueueUrl": self.addresses[self.queue.name], "MessageBody": body}
            )

    def bodies(self) -> list[str]:
        return [body for batch in self.batches for body in batch]

    def left(self, queue: Queue) -> int:
        return messages_in(self.wire, queue.resource("dev", "london"))

    def failing(self, *bodies: str) -> Callable[[list[str]], Any]:
        """Return a decision that names these messages as failed."""

        def decide(_bodies: list[str]) -> Any:
            records = self.events[-1]["Records"]
            bad = [record["messageId"] for record in records if record["body"] in bodies]
            return {"batchItemFailures": [{"itemIdentifier": name} for name in bad]}

        return decide


@pytest.fixture
def rig(emulator: Emulator, unique: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    made = Rig(emulator, unique())
    module = types.ModuleType(MODULE)
    vars(module)["eat"] = made.handler
    monkeypatch.setitem(sys.modules, MODULE, module)
    yield made
    made.stop()


def test_messages_come_in_batches_and_are_deleted(rig: Rig) -> None:
    rig.send(*(f"m{number}" for number in range(7)))
    rig.start(batch_size=3)
    eventually(lambda: len(rig.bodies()) == 7, "all are consumed")
    assert sorted(rig.bodies()) == [f"m{number}" for number in range(7)]
    assert [len(batch) for batch in rig.batches] == [3, 3, 1]
    eventually(lambda: rig.left(rig.queue) == 0, "all are deleted")


def test_a_batch_of_more_than_ten_is_gathered(rig: Rig) -> None:
    rig.send(*(f"m{number}" for number in range(25)))
    rig.start(batch_size=20, window=0.3)
    eventually(lambda: len(rig.bodies()) == 25, "all are consumed")
    assert [len(batch) for batch in rig.batches] == [20, 5]
    eventually(lambda: rig.left(rig.queue) == 0, "all are deleted")


def test_a_message_that_comes_while_it_waits_is_handed_on_at_once(rig: Rig) -> None:
    rig.start()
    rig.send("first")
    eventually(lambda: rig.bodies() == ["first"], "it comes", seconds=2)


def test_a_record_has_the_shape_that_lambda_gives(rig: Rig) -> None:
    rig.wire.call(
        "sqs",
        "SendMessage",
        {
            "QueueUrl": rig.addresses[rig.queue.name],
            "MessageBody": "hello",
            "MessageAttributes": {"kind": {"DataType": "String", "StringValue": "greeting"}},
        },
    )
    rig.start()
    (event,) = eventually(lambda: rig.events, "it comes")
    (record,) = event["Records"]
    assert (record["body"], record["md5OfBody"]) == ("hello", "5d41402abc4b2a76b9719d911017c592")
    assert (record["eventSource"], record["awsRegion"]) == ("aws:sqs", "eu-west-2")
    name = rig.queue.resource("dev", "london")
    assert record["eventSourceARN"] == f"arn:aws:sqs:eu-west-2:111111111111:{name}"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert {"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"} <= set(record["attributes"])
    assert record["messageAttributes"]["kind"]["stringValue"] == "greeting"
    assert record["messageId"]
    assert record["receiptHandle"]


def test_only_what_failed_comes_again(rig: Rig) -> None:
    rig.decide = rig.failing("bad")
    rig.send("good", "bad", "fine")
    rig.start()
    eventually(lambda: rig.bodies().count("bad") == 1, "the first time")
    rig.decide = lambda _bodies: {"batchItemFailures": []}
    eventually(lambda: rig.bodies().count("bad") == 2, "it comes again")
    eventually(lambda: rig.left(rig.queue) == 0, "it is deleted")
    assert (rig.bodies().count("good"), rig.bodies().count("fine")) == (1, 1)


@pytest.mark.parametrize("way", ["raises", "malformed"])
def test_what_fails_as_a_whole_comes_again_until_it_is_dead(rig: Rig, way: str) -> None:
    def choke(_bodies: list[str]) -> Any:
        if way == "raises":
            raise ValueError("cannot eat this")
        return {"batchItemFailures": [{"itemIdentifier": "somebody else"}]}

    rig.decide = choke
    rig.send("a", "b")
    rig.start()
    eventually(lambda: rig.left(rig.dead) == 2, "both are dead")
    assert rig.bodies().count("a") == rig.bodies().count("b") == 3
    assert rig.left(rig.queue) == 0


def test_a_consumer_killed_inside_a_batch_loses_nothing(rig: Rig, emulator: Emulator) -> None:
    rig.send("a")
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, emulator.endpoint, rig.queue.name],
        env=os.environ | {"AWS_EC2_METADATA_DISABLED": "true"},
        timeout=30,
        check=False,
    )
    assert killed.returncode == -9
    assert rig.left(rig.queue) == 1
    rig.start()
    eventually(lambda: rig.bodies() == ["a"], "it comes again")


def test_it_ends_at_once_while_it_waits_and_after_the_batch_while_it_works(rig: Rig) -> None:
    rig.start()
    rig.stop()
    began, may_end = threading.Event(), threading.Event()

    def work(_bodies: list[str]) -> None:
        began.set()
        may_end.wait(10)

    rig.decide = work
    rig.start()
    rig.send("a")
    assert began.wait(10)
    threading.Timer(0.2, may_end.set).start()
    rig.stop()
    assert rig.left(rig.queue) == 0, "the batch it worked on was not deleted"


def test_a_queue_is_brought_up_to_date(rig: Rig) -> None:
    address = rig.addresses[rig.queue.name]

    def attributes() -> dict[str, str]:
        return queue_attributes(rig.wire, address, "VisibilityTimeout", "MessageRetentionPeriod", "RedrivePolicy")

    dead = f"arn:aws:sqs:eu-west-2:111111111111:{rig.dead.resource('dev', 'london')}"
    found = attributes()
    assert (found["VisibilityTimeout"], found["MessageRetentionPeriod"]) == ("1", "86400")
    assert json.loads(found["RedrivePolicy"]) == {"deadLetterTargetArn": dead, "maxReceiveCount": 3}
    send_to_queue(rig.wire, rig.queue.resource("dev", "london"), {"kept": True})

    changed = Queue(rig.queue.name, "", 2, 60)
    assert ensure_queue(rig.wire, changed, "london") == address
    found = attributes()
    assert (found["VisibilityTimeout"], found["MessageRetentionPeriod"]) == ("60", "172800")
    assert "RedrivePolicy" not in found
    ensure_queues(rig.wire, rig.queues, "london")
    assert json.loads(attributes()["RedrivePolicy"])["maxReceiveCount"] == 3
    assert rig.left(rig.queue) == 1, "its messages stay"
