"""A stream that starts a function: batches, failures, retries, and where given up ones go."""

import json
import sys
import threading
import types
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cutlass.contracts import Function, Queue, StreamSource
from cutlass.platform.checkpoints import Checkpoint
from cutlass.platform.consumer.batches import Policy
from cutlass.platform.consumer.stream import StreamMapping
from cutlass.platform.provision import ensure_queue
from cutlass.platform.runtime import Runtime
from cutlass.platform.streams import Growth, Record, sequence_number
from tests.integration.platform.emulators import Emulator, eventually, make_table, put

MODULE = "cutlass_test_stream_handlers"


def names(records: list[Record]) -> list[str]:
    return [record["dynamodb"]["Keys"]["pk"]["S"] for record in records]


class Rig:
    """A table, a queue, and a mapping whose handler the test decides."""

    def __init__(self, emulator: Emulator, folder: Path, number: int) -> None:
        self.wire = emulator.wire()
        self.folder = folder
        self.source = StreamSource(f"things-{number}", 10, 1, 2, bisect=True, on_failure=f"failures-{number}")
        self.table = f"cutlass-tech-{self.source.table}-dev"
        self.queue = Queue(self.source.on_failure, "", 1)
        make_table(self.wire, self.table)
        self.queue_url = ensure_queue(self.wire, self.queue, "london")
        self.batches: list[list[str]] = []
        self.decide: Callable[[list[Record]], Any] = lambda _records: None
        self._stops: list[Callable[[], None]] = []

    def handler(self, event: Any, _context: Any) -> Any:
        self.batches.append(names(event["Records"]))
        return self.decide(event["Records"])

    def only(self, attribute: str) -> None:
        """Filter the stream to changes whose new image has a number of that name."""
        self.source = replace(self.source, has_attribute=attribute)

    def start(self, *, window: float = 0.0, policy: Policy | None = None) -> None:
        function = Function("eat", "", f"{MODULE}.eat", 5, False, {}, {}, (self.source,), ())
        runtime = Runtime({"eat": function}, "london", "eu-west-2")
        stop, drain = threading.Event(), threading.Event()
        growth = Growth(self.wire, stop=stop)
        mapping = StreamMapping(
            self.wire,
            runtime,
            growth,
            function=function,
            source=self.source,
            region="london",
            checkpoint=Checkpoint(self.folder, self.source.table),
            failures=self.queue,
            window_seconds=window,
            policy=policy or Policy(retries=2, bisect=True, longest_backoff_seconds=0.1),
        )
        thread = threading.Thread(target=mapping.run, args=(stop, drain))
        thread.start()

        def end() -> None:
            stop.set()
            growth.wake()
            thread.join(10)
            runtime.close()

        self._stops.append(end)

    def stop(self) -> None:
        while self._stops:
            self._stops.pop()()

    def put(self, *keys: str) -> None:
        for key in keys:
            put(self.wire, self.table, key, 1)

    def eaten(self) -> set[str]:
        return {key for batch in self.batches for key in batch}

    def notices(self) -> list[dict[str, Any]]:
        request = {"QueueUrl": self.queue_url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0}
        messages = self.wire.call("sqs", "ReceiveMessage", request).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]


@pytest.fixture
def rig(
    emulator: Emulator, tmp_path: Path, unique: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Rig]:
    made = Rig(emulator, tmp_path, unique())
    module = types.ModuleType(MODULE)
    vars(module)["eat"] = made.handler
    monkeypatch.setitem(sys.modules, MODULE, module)
    yield made
    made.stop()


def test_records_come_in_order_in_batches_of_the_size(rig: Rig) -> None:
    keys = [f"k{number:02d}" for number in range(25)]
    rig.put(*keys)
    rig.start()
    eventually(lambda: len(rig.eaten()) == 25, "all are consumed")
    assert [key for batch in rig.batches for key in batch] == keys
    assert [len(batch) for batch in rig.batches] == [10, 10, 5]


def test_a_record_has_the_shape_that_lambda_gives(rig: Rig) -> None:
    seen: list[Record] = []
    rig.decide = seen.extend
    rig.put("a")
    rig.start()
    eventually(lambda: seen, "the record comes")
    record = seen[0]
    assert (record["eventName"], record["eventSource"], record["awsRegion"]) == (
        "INSERT",
        "aws:dynamodb",
        "eu-west-2",
    )
    assert record["eventSourceARN"].startswith(
        f"arn:aws:dynamodb:eu-west-2:111111111111:table/{rig.table}/stream/"
    )
    assert record["dynamodb"]["NewImage"] == {"pk": {"S": "a"}, "sk": {"S": "-"}, "v": {"N": "1"}}
    assert isinstance(record["dynamodb"]["ApproximateCreationDateTime"], int | float)


def test_the_window_gathers_what_comes_within_it(rig: Rig) -> None:
    rig.start(window=1.0)
    rig.put("a", "b", "c")
    eventually(lambda: rig.batches, "a batch comes")
    assert rig.batches == [["a", "b", "c"]]


def test_after_a_partial_failure_only_the_rest_comes_again(rig: Rig) -> None:
    failed_once: set[str] = set()

    def fail_once(records: list[Record]) -> Any:
        bad = [record for record in records if names([record]) == ["c"] and "c" not in failed_once]
        failed_once.update(names(bad))
        return {"batchItemFailures": [{"itemIdentifier": sequence_number(record)} for record in bad]}

    rig.decide = fail_once
    rig.put("a", "b", "c", "d")
    rig.start()
    eventually(lambda: len(rig.batches) == 2, "the rest comes again")
    assert rig.batches == [["a", "b", "c", "d"], ["c", "d"]]


def test_a_poisonous_record_is_cut_out_tried_again_and_reported_and_the_others_are_consumed(rig: Rig) -> None:
    done: list[str] = []

    def choke(records: list[Record]) -> None:
        if "poison" in names(records):
            raise ValueError("cannot eat this")
        done.extend(names(records))

    rig.decide = choke
    rig.put("a", "b", "poison", "c", "d")
    rig.start()
    eventually(lambda: set(done) == {"a", "b", "c", "d"}, "all others are consumed")
    assert done == ["a", "b", "c", "d"]
    assert rig.batches.count(["poison"]) == 3, "one call and two retries"
    (notice,) = eventually(rig.notices, "the failure is reported")
    assert notice["requestContext"]["functionArn"].endswith(":function:cutlass-tech-eat-dev-london")
    assert notice["requestContext"]["approximateInvokeCount"] == 3
    where = notice["DDBStreamBatchInfo"]
    assert where["batchSize"] == 1
    assert where["startSequenceNumber"] == where["endSequenceNumber"]
    assert f"table/{rig.table}/stream/" in where["streamArn"]


def test_a_restart_goes_on_after_the_last_batch_that_was_done(rig: Rig) -> None:
    rig.put("a", "b")
    rig.start()
    eventually(lambda: rig.eaten() == {"a", "b"}, "the first are consumed")
    rig.stop()
    rig.put("c")
    rig.batches.clear()
    rig.start()
    eventually(lambda: rig.batches, "the next comes")
    assert rig.batches == [["c"]]


def test_what_was_under_way_at_the_end_comes_again(rig: Rig) -> None:
    def never(_records: list[Record]) -> None:
        raise ValueError("the store is down")

    rig.decide = never
    rig.put("a")
    rig.start(policy=Policy(retries=1000, bisect=True, longest_backoff_seconds=0.05))
    eventually(lambda: len(rig.batches) > 3, "it is tried again and again")
    rig.stop()
    rig.decide = lambda _records: None
    rig.batches.clear()
    rig.start()
    eventually(lambda: rig.batches, "it comes again after the restart")
    assert rig.batches == [["a"]]
    assert rig.notices() == []


def test_a_filter_passes_over_what_has_not_the_attribute(rig: Rig) -> None:
    rig.only("minted")
    rig.start()
    rig.put("a", "b")
    for key, value in (("pool", {"N": "7"}), ("named", {"S": "7"})):
        item = {"pk": {"S": key}, "sk": {"S": "-"}, "minted": value}
        rig.wire.call("dynamodb", "PutItem", {"TableName": rig.table, "Item": item})
    rig.put("c")
    eventually(lambda: rig.batches, "the pool comes")
    assert rig.batches == [["pool"]]


def test_what_a_filter_passed_over_is_not_read_again_after_a_restart(rig: Rig) -> None:
    rig.only("minted")
    rig.put("a", "b")
    rig.start()
    checkpoint = Checkpoint(rig.folder, rig.source.table)
    eventually(lambda: Checkpoint(rig.folder, rig.source.table).after, "the position moves on")
    assert checkpoint.after is None, "it was read before the records were"
    assert rig.batches == []
