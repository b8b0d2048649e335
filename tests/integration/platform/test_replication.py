"""Copies between the regions: late, in order, cut and healed, and the same everywhere in the end."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cutlass.contracts import load_tables, load_topology
from cutlass.platform.checkpoints import Checkpoint
from cutlass.platform.layout import CONTROL, REPLICATOR, link_name, ways
from cutlass.platform.processes import Program
from cutlass.platform.provision import ensure_table
from cutlass.platform.replicator.pump import Pump
from cutlass.platform.replicator.rules import STAMP, LatestWrites, Write, stamp
from cutlass.platform.replicator.wan import Wan
from cutlass.platform.running import address
from cutlass.platform.status import set_network
from cutlass.platform.streams import Growth
from tests.integration.platform.emulators import (
    Emulator,
    delete,
    eventually,
    listening,
    put,
    stream,
    update,
    values,
)


class Rig:
    """Both pumps of one table, in threads of this process."""

    def __init__(self, emulator: Emulator, table: str, folder: Path) -> None:
        self.table = table
        self.wires = emulator.wires()
        self.london, self.sydney = self.wires["london"], self.wires["sydney"]
        self.wan = Wan(folder / "wan.json")
        self.wan.change({"delay_ms": 0})
        self.folder = folder
        self.running: list[tuple[threading.Event, list[threading.Thread]]] = []
        self.start()

    def start(self) -> None:
        stop = threading.Event()
        self.growth = Growth(self.london, stop=stop)
        latest = LatestWrites()
        self.pumps = [
            Pump(
                table=self.table,
                region=region,
                own=wire,
                others={name: other for name, other in self.wires.items() if name != region},
                wan=self.wan,
                growth=self.growth,
                latest=latest,
                checkpoint=Checkpoint(self.folder, f"{self.table}-{region}"),
            )
            for region, wire in self.wires.items()
        ]
        threads = [threading.Thread(target=pump.run, args=(stop, threading.Event())) for pump in self.pumps]
        for thread in threads:
            thread.start()
        self.running.append((stop, threads))

    def stop(self) -> None:
        while self.running:
            stop, threads = self.running.pop()
            stop.set()
            self.growth.wake()
            for thread in threads:
                thread.join(10)

    def network(self, **wanted: object) -> None:
        self.wan.change(wanted)
        self.growth.wake()

    def settled(self) -> None:
        """Wait until both streams are read to their ends, twice: copies make records too."""

        def still() -> bool:
            before = [len(stream(wire, self.table)) for wire in self.wires.values()]
            time.sleep(0.15)
            waiting = [pump.status()["pending"] for pump in self.pumps]
            return not any(waiting) and before == [len(stream(wire, self.table)) for wire in self.wires.values()]

        eventually(still, "replication comes to rest")

    def same(self, expected: dict[str, int]) -> None:
        eventually(
            lambda: values(self.london, self.table) == values(self.sydney, self.table) == expected,
            f"both regions hold {expected}",
        )
        self.settled()
        assert values(self.london, self.table) == values(self.sydney, self.table) == expected


@pytest.fixture
def rig(emulator: Emulator, table: str, tmp_path: Path) -> Iterator[Rig]:
    made = Rig(emulator, table, tmp_path)
    yield made
    made.stop()


def test_writes_of_both_regions_are_in_both_and_do_not_come_back(rig: Rig) -> None:
    for number in range(10):
        put(rig.london, rig.table, f"l{number}", number)
        put(rig.sydney, rig.table, f"s{number}", number)
    rig.same({f"{region}{number}": number for region in "ls" for number in range(10)})
    # Ten writes of its own and ten copies: nothing went round.
    assert [len(stream(wire, rig.table)) for wire in rig.wires.values()] == [20, 20]


def test_a_copy_is_late_by_the_delay(rig: Rig) -> None:
    rig.network(delay_ms=700)
    put(rig.london, rig.table, "a", 1)
    began = time.monotonic()
    eventually(lambda: values(rig.sydney, rig.table), "the copy arrives")
    assert 0.6 <= time.monotonic() - began < 3


def test_updates_and_deletions_are_copied(rig: Rig) -> None:
    put(rig.london, rig.table, "a", 1)
    put(rig.london, rig.table, "b", 1)
    rig.same({"a": 1, "b": 1})
    update(rig.sydney, rig.table, "a", 2)  # a copy that is written where it was copied to
    delete(rig.sydney, rig.table, "b")
    rig.same({"a": 2})
    put(rig.london, rig.table, "b", 3)
    rig.same({"a": 2, "b": 3})


def test_while_cut_nothing_passes_and_after_healing_all_does_in_order(rig: Rig) -> None:
    put(rig.london, rig.table, "a", 0)
    rig.same({"a": 0})
    rig.network(partitioned=True)
    for number in range(1, 30):
        update(rig.london, rig.table, "a", number)
        put(rig.london, rig.table, f"k{number % 7}", number)
    eventually(lambda: rig.pumps[0].status()["pending"] == 58, "the changes wait")
    assert values(rig.sydney, rig.table) == {"a": 0}
    rig.network(partitioned=False)
    last = {f"k{number % 7}": number for number in range(1, 30)}
    rig.same({"a": 29} | last)
    # What was overwritten while it waited is not copied: one record per item, each newer than the last.
    copied = [int(record["dynamodb"]["NewImage"]["v"]["N"]) for record in stream(rig.sydney, rig.table)]
    assert len(copied) == 1 + 1 + 7


def test_a_conflict_ends_with_the_later_write_in_both(rig: Rig) -> None:
    rig.network(partitioned=True)
    put(rig.london, rig.table, "a", 1)
    put(rig.sydney, rig.table, "b", 1)
    time.sleep(0.02)  # the clock of the records has milliseconds
    put(rig.sydney, rig.table, "a", 2)
    put(rig.london, rig.table, "b", 2)
    eventually(lambda: all(pump.status()["pending"] == 2 for pump in rig.pumps), "the changes wait")
    rig.network(partitioned=False)
    rig.same({"a": 2, "b": 2})


def test_a_later_deletion_wins_over_a_write(rig: Rig) -> None:
    put(rig.london, rig.table, "a", 1)
    rig.same({"a": 1})
    rig.network(partitioned=True)
    update(rig.london, rig.table, "a", 2)
    time.sleep(0.02)
    delete(rig.sydney, rig.table, "a")
    eventually(lambda: all(pump.status()["pending"] == 1 for pump in rig.pumps), "the changes wait")
    rig.network(partitioned=False)
    rig.same({})


def test_a_copy_that_overwrote_a_later_write_is_put_right(rig: Rig) -> None:
    """The copy was under way when the region itself wrote: as if the pump had not looked in time."""
    put(rig.sydney, rig.table, "a", 2)
    rig.same({"a": 2})
    older = {
        "pk": {"S": "a"},
        "sk": {"S": "-"},
        "v": {"N": "1"},
        STAMP: stamp(Write(1000, "london", "1".zfill(40))),
    }
    rig.sydney.call("dynamodb", "PutItem", {"TableName": rig.table, "Item": older})
    rig.same({"a": 2})


def test_after_a_restart_what_was_copied_overwrites_nothing_newer(rig: Rig) -> None:
    put(rig.london, rig.table, "a", 1)
    rig.same({"a": 1})
    rig.stop()
    update(rig.sydney, rig.table, "a", 2)
    put(rig.london, rig.table, "b", 1)
    for kept in rig.folder.glob(f"{rig.table}-london.json"):
        kept.unlink()  # as if it had been killed before the position was written: all of it comes again
    rig.start()
    rig.same({"a": 2, "b": 1})


def test_kill_9_in_the_middle_loses_nothing(own_emulator: Emulator) -> None:
    regions = load_topology().regions
    table = load_tables()["ledger"]
    for wire in own_emulator.wires().values():
        for one in load_tables().values():
            ensure_table(wire, one)
    names = [CONTROL, *(link_name(source, target) for source, target in ways(regions))]
    own_emulator.sockets |= {name: listening() for name in names}
    settings = {"AWS_ENDPOINT_URL": own_emulator.endpoint, "CUTLASS_REPLICATION_DELAY_MS": "20"}
    program = Program(REPLICATOR, "cutlass.platform.replicator", settings, names)
    control = address(own_emulator.sockets[CONTROL].getsockname()[1])
    london, sydney = own_emulator.wires()["london"], own_emulator.wires()["sydney"]
    name = table.resource("dev")

    def killed(after: Callable[[], bool], what: str) -> None:
        child = own_emulator.spawn(program)
        eventually(after, what)
        child.process.kill()
        child.process.wait()

    for number in range(150):
        put(london, name, f"k{number}", number)
    killed(lambda: len(values(sydney, name)) > 20, "some are copied")
    for number in range(150):
        update(london, name, f"k{number}", number + 1000)
    killed(lambda: any(value >= 1000 for value in values(sydney, name).values()), "some updates are copied")
    for number in range(0, 150, 3):
        delete(london, name, f"k{number}")
    killed(lambda: len(values(sydney, name)) < 145, "some deletions are copied")

    last = own_emulator.spawn(program)
    expected = {f"k{number}": number + 1000 for number in range(150) if number % 3}
    eventually(lambda: values(sydney, name) == expected, "Sydney holds what London does")
    assert values(london, name) == expected, "a copy came back"

    assert set_network(control, {"partitioned": True})["partitioned"] is True
    put(london, name, "cut", 1)
    last.process.kill()
    last.process.wait()
    own_emulator.spawn(program)
    assert set_network(control, {})["partitioned"] is True, "a kill has healed the network"
    assert "cut" not in values(sydney, name)
    set_network(control, {"partitioned": False})
    eventually(lambda: "cut" in values(sydney, name), "the change passes after healing")
