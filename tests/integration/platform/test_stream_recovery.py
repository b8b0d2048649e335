"""A batch that failed to the last retry is recovered from the queue once its cause is gone."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cutlass.contracts import DeadLetter, load_catalogue, load_functions, load_queues, load_tables
from cutlass.domain.decisions import DecisionRequest
from cutlass.functions import meter
from cutlass.functions.terms import apply_item
from cutlass.platform.checkpoints import Checkpoint, stream_checkpoint_name
from cutlass.platform.consumer.batches import Policy
from cutlass.platform.consumer.queue import QueueMapping
from cutlass.platform.consumer.stream import StreamMapping
from cutlass.platform.local import base_environment, function_environment
from cutlass.platform.provision import ensure_queues, ensure_table
from cutlass.platform.queues import messages_in
from cutlass.platform.runtime import Runtime
from cutlass.platform.streams import Growth
from cutlass.platform.trimming import Trimmer, readers
from cutlass.storage import Store, open_store
from cutlass.storage.streams import open_streams
from tests.integration.platform.emulators import LONDON, Emulator, eventually, stream

TABLE = "usage-credits"
ORG = "recovery"


class Rig:
    """London's store, the meter on its stream, and the recovery on its queue."""

    def __init__(self, emulator: Emulator, folder: Path) -> None:
        self.emulator, self.folder, self.wire = emulator, folder, emulator.wire()
        for wire in emulator.wires().values():
            for table in load_tables().values():
                ensure_table(wire, table)
            ensure_queues(wire, load_queues(), "sydney")
        known = load_queues()
        dead = DeadLetter("stream-failures-dead", 3)
        short = replace(known["stream-failures"], visibility_timeout_seconds=1, dead_letter=dead)
        self.queues = dict(known) | {short.name: short}
        ensure_queues(self.wire, self.queues, "london")
        self.store: Store = open_store()
        self.store.organisations.put(ORG, plan="basic", home_region="london")
        self._stops: list[Callable[[], None]] = []

    def start(self, *functions: str) -> None:
        runtime = Runtime(load_functions(), "london", LONDON)
        stop, drain = threading.Event(), threading.Event()
        growth = Growth(self.wire, stop=stop)
        made: list[Any] = []
        for name in functions:
            function = load_functions()[name]
            made += [
                StreamMapping(
                    self.wire,
                    runtime,
                    growth,
                    function=function,
                    source=source,
                    region="london",
                    checkpoint=Checkpoint(self.folder, stream_checkpoint_name(name, source.table, "london")),
                    failures=self.queues[source.on_failure],
                    window_seconds=0,
                    policy=Policy(retries=1, bisect=True, longest_backoff_seconds=0.05),
                )
                for source in function.streams
            ]
            made += [
                QueueMapping(
                    self.wire,
                    runtime,
                    function=function,
                    source=source,
                    queue=self.queues[source.queue],
                    region="london",
                    window_seconds=0,
                )
                for source in function.queues
            ]
        threads = [threading.Thread(target=mapping.run, args=(stop, drain)) for mapping in made]
        for thread in threads:
            thread.start()

        def end() -> None:
            drain.set()
            growth.wake()
            for thread in threads:
                thread.join(10)
            stop.set()
            runtime.close()

        self._stops.append(end)

    def stop(self) -> None:
        while self._stops:
            self._stops.pop()()

    def decide(self, user: str, times: int) -> list[str]:
        self.store.organisations.put_user(ORG, user, limits={})
        answers = [self.store.decider.decide(DecisionRequest(ORG, user)) for _ in range(times)]
        assert all(answer.allowed for answer in answers)
        return [answer.decision_id for answer in answers]

    def recorded(self) -> list[str]:
        start, end = self._span()
        page = self.store.ledger.page(ORG, start, end, limit=1000)
        return sorted(entry.entry_id for entry in page.items if entry.kind == "decision")

    def counted(self) -> dict[str, int]:
        start, end = self._span()
        page = self.store.usage.page(ORG, start, end, group_by="user")
        return {row.group: row.units for row in page.items}

    def waiting(self, name: str = "stream-failures") -> int:
        return messages_in(self.wire, self.queues[name].resource("dev", "london"))

    def trim(self) -> int:
        """Trim as the supervisor does, with the other readers past all there is; return what is left."""
        table = load_tables()[TABLE].resource("dev")
        last = stream(self.wire, table)[-1]["dynamodb"]["SequenceNumber"]
        for reader in set(readers(TABLE)) - {"meter"}:
            Checkpoint(self.folder, stream_checkpoint_name(reader, TABLE, "london")).move(last)
        Trimmer(self.emulator.endpoint, self.folder).trim()
        return len(stream(self.wire, table))

    def _span(self) -> tuple[datetime, datetime]:
        now = datetime.now().astimezone()
        return now - timedelta(days=1), now + timedelta(days=1)


@pytest.fixture
def rig(own_emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    settings = function_environment(
        region="london",
        aws_region=LONDON,
        endpoint=own_emulator.endpoint,
        peers={"sydney": own_emulator.endpoint},
    )
    for name, value in (base_environment() | settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(meter.metrics.provider, "namespace", "Cutlass")  # read when it was imported
    open_store.cache_clear()
    open_streams.cache_clear()
    made = Rig(own_emulator, tmp_path)
    try:
        yield made
    finally:
        made.stop()
        open_store.cache_clear()
        open_streams.cache_clear()


@pytest.fixture
def poison(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """While it is set, the ledger cannot take decisions of the user `bad`."""
    broken = threading.Event()
    broken.set()
    record = rig.store.ledger.record

    def choke(entries: Any) -> Any:
        entries = list(entries)
        if broken.is_set() and any(entry.user_id == "bad" for entry in entries):
            raise ValueError("cannot record this")
        return record(entries)

    monkeypatch.setattr(rig.store.ledger, "record", choke)
    return broken


def test_a_failed_batch_is_recovered_when_its_cause_is_gone_and_once_in_effect(
    rig: Rig, poison: threading.Event
) -> None:
    bad, good = rig.decide("bad", 3), rig.decide("good", 4)
    rig.start("meter")
    eventually(lambda: rig.waiting() > 0 and rig.recorded() == sorted(good), "only the poison is given up")
    assert rig.counted() == {"good": 4}
    kept = rig.trim()
    assert kept > 1, "what may be read again was trimmed"

    rig.start("stream-recovery")
    poison.clear()
    eventually(lambda: rig.waiting() == 0, "all messages are done with")
    assert rig.recorded() == sorted(bad + good)
    assert rig.counted() == {"good": 4, "bad": 3}
    assert rig.waiting("stream-failures-dead") == 0
    assert rig.trim() == 1, "what nobody needs any more was kept"


def test_what_cannot_be_recovered_ends_in_the_dead_letter_queue(rig: Rig, poison: threading.Event) -> None:
    rig.decide("bad", 1)
    rig.start("meter", "stream-recovery")
    eventually(lambda: rig.waiting("stream-failures-dead") > 0 and rig.waiting() == 0, "it is given up")
    assert poison.is_set()
    assert rig.recorded() == []


def test_records_that_are_gone_end_in_the_dead_letter_queue(
    rig: Rig, poison: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    rig.decide("bad", 1)
    rig.start("meter")
    eventually(rig.waiting, "the poison is given up")
    rig.stop()
    poison.clear()
    table = load_tables()[TABLE].resource("dev")
    rig.decide("good", 2)
    last = stream(rig.wire, table)[-1]["dynamodb"]["SequenceNumber"]
    rig.wire.own(f"/_cutlass/trim?aws_region={LONDON}&table={table}&before={last}", method="POST")
    rig.start("stream-recovery")
    eventually(lambda: rig.waiting("stream-failures-dead") > 0 and rig.waiting() == 0, "all are given up")
    assert "are lost" in caplog.text


def test_old_terms_that_are_recovered_do_not_undo_newer_ones(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.decide("ann", 1)
    broken = threading.Event()
    broken.set()

    def choke(store: Store, item: Any) -> None:
        if broken.is_set() and item.get("limits") == {"requests": 7}:
            raise ValueError("cannot apply this")
        apply_item(store, item)

    monkeypatch.setattr("cutlass.functions.terms.apply_item", choke)
    rig.store.organisations.put_user(ORG, "ann", limits={"requests": 7})
    rig.store.organisations.put_user(ORG, "ann", limits={"requests": 500})
    rig.start("terms")
    eventually(lambda: rig.waiting() > 0, "the older limits are given up")

    def limit() -> int | None:
        organisation, _ = rig.store.directory.find(ORG)
        assert organisation is not None
        period = organisation.period_at(load_catalogue(), datetime.now().astimezone()).key
        met = rig.store.allotments.read(rig.store.allotments.key(ORG, "ann", "requests", period))
        return met.limit if met else None

    eventually(lambda: limit() == 500, "the newer limits hold")
    broken.clear()
    rig.start("stream-recovery")
    eventually(lambda: rig.waiting() == 0, "the message is done with")
    assert rig.waiting("stream-failures-dead") == 0
    assert limit() == 500
