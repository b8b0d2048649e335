"""The gaps of the emulator that its launcher closes."""

import sys
import threading
import time
from pathlib import Path

import pytest

from cutlass.platform.layout import EMULATOR
from cutlass.platform.streams import Growth, StreamReader, sequence_number
from tests.integration.platform.emulators import (
    LONDON,
    SYDNEY,
    Emulator,
    eventually,
    make_table,
    put,
    stream,
    values,
)


def test_what_was_not_consumed_survives_a_stop(own_emulator: Emulator) -> None:
    wire = own_emulator.wire()
    make_table(wire, "kept")
    for number in range(5):
        put(wire, "kept", f"k{number}", number)
    before = stream(wire, "kept")
    place = sequence_number(before[1])
    own_emulator.stop()
    own_emulator.start()
    put(wire, "kept", "k5", 5)
    assert values(wire, "kept") == {f"k{number}": number for number in range(6)}
    after = StreamReader(wire, "kept", place).read(100)
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in after] == ["k2", "k3", "k4", "k5"]
    numbers = [int(sequence_number(record)) for record in [*before[:2], *after]]
    assert numbers == sorted(numbers)


def test_a_trimmed_stream_still_lets_its_readers_find_their_place(emulator: Emulator, table: str) -> None:
    wire = emulator.wire()
    reader = StreamReader(wire, table, None)
    for number in range(6):
        put(wire, table, f"k{number}", number)
    seen = reader.read(4)
    wire.own(f"/_cutlass/trim?aws_region={LONDON}&table={table}&before={sequence_number(seen[3])}", method="POST")
    assert len(stream(wire, table)) == 3
    for one in (reader, StreamReader(wire, table, sequence_number(seen[3]))):
        assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in one.read(100)] == ["k4", "k5"]
    # A place that is gone: what is left is new to that reader.
    assert len(StreamReader(wire, table, sequence_number(seen[0])).read(100)) == 3


def test_a_waiting_reader_is_woken_by_a_write(emulator: Emulator, table: str) -> None:
    stop = threading.Event()
    growth = Growth(emulator.wire(), stop=stop)
    eventually(lambda: growth.version > 0, "the first answer")
    time.sleep(0.1)
    seen = growth.version
    threading.Timer(0.2, put, (emulator.wire(SYDNEY), table, "a", 1)).start()
    began = time.monotonic()
    growth.wait(seen, 10)
    assert 0.1 < time.monotonic() - began < 2
    stop.set()


def test_a_reader_is_woken_by_its_own_stream_alone(emulator: Emulator, table: str) -> None:
    stop = threading.Event()
    growth = Growth(emulator.wire(), stop=stop)
    eventually(lambda: growth.version > 0, "the first answer")
    london, sydney = growth.of(LONDON, table), growth.of(SYDNEY, table)
    before, other = london.version, sydney.version
    put(emulator.wire(SYDNEY), table, "a", 1)
    eventually(lambda: sydney.version == other + 1, "Sydney's is told of")
    assert london.version == before
    growth.wake()
    assert (london.version, sydney.version) == (before + 1, other + 2), "a wake is for all"
    stop.set()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_listens_on_one_socket_of_127_0_0_1(emulator: Emulator) -> None:
    pid = next(child.pid for child in emulator.children if child.program.name == EMULATOR)
    inodes = {Path(f"/proc/{pid}/fd/{one.name}").readlink().name for one in Path(f"/proc/{pid}/fd").iterdir()}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                found.append(fields[1])
    port = int(emulator.endpoint.rpartition(":")[2])
    assert found == [f"0100007F:{port:04X}"]
