"""The network between the regions: links that delay and break."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cutlass.domain.errors import InvalidRequestError
from cutlass.platform.replicator.wan import Link, Wan


@pytest.fixture
def wan(tmp_path: Path) -> Wan:
    return Wan(tmp_path / "wan.json")


def test_the_state_outlives_its_process(wan: Wan, tmp_path: Path) -> None:
    wan.change({"partitioned": True, "delay_ms": 7, "rtt_ms": 270})
    again = Wan(tmp_path / "wan.json")
    assert again.as_dict() == {"partitioned": True, "delay_ms": 7, "rtt_ms": 270}


@pytest.mark.parametrize(
    "wanted",
    [
        {"nonsense": 1},
        {"partitioned": 1},
        {"delay_ms": -1},
        {"rtt_ms": True},
        {"rtt_ms": "5"},
        {"delay_ms": 10**9},
        [],
    ],
)
def test_a_wrong_change_is_refused_whole(wan: Wan, wanted: Any) -> None:
    before = wan.as_dict()
    with pytest.raises(InvalidRequestError):
        wan.change({"delay_ms": 5} | wanted if isinstance(wanted, dict) else wanted)
    assert wan.as_dict() == before


async def ended(reader: asyncio.StreamReader) -> None:
    """The connection is over, in one of the two ways a caller may see it."""
    with suppress(ConnectionError):
        assert await reader.read() == b"", "bytes came through a cut link"


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Link], Awaitable[None]]


def through_link(wan: Wan, talk: Talk) -> None:
    """Talk to an echo through a link."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    async def run() -> None:
        far = await asyncio.start_server(echo, "127.0.0.1", 0)
        link = Link(wan, "127.0.0.1", far.sockets[0].getsockname()[1])
        near = await asyncio.start_server(link.serve, "127.0.0.1", 0)
        async with far, near:
            reader, writer = await asyncio.open_connection("127.0.0.1", near.sockets[0].getsockname()[1])
            try:
                async with asyncio.timeout(5):
                    await talk(reader, writer, link)
            finally:
                writer.close()
                link.cut()
                async with asyncio.timeout(5):
                    while len(asyncio.all_tasks()) > 1:
                        await asyncio.sleep(0.001)

    asyncio.run(run())


def test_bytes_pass_both_ways_and_so_does_the_end(wan: Wan) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: Link) -> None:
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        writer.write_eof()
        assert await reader.read() == b""

    through_link(wan, talk)


def test_an_answer_is_late_by_the_round_trip_but_keeps_its_order(wan: Wan) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: Link) -> None:
        writer.write(b"x")
        await reader.readexactly(1)  # the handshake is over
        began = time.monotonic()
        for number in range(20):
            writer.write(bytes([number]))
            await asyncio.sleep(0.001)
        assert await reader.readexactly(20) == bytes(range(20))
        # Late by one round trip, not by one for each: they are under way together.
        assert 0.08 <= time.monotonic() - began < 0.5

    wan.change({"rtt_ms": 80})
    through_link(wan, talk)


def test_a_cut_breaks_connections_and_lets_no_new_one_pass(wan: Wan) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: Link) -> None:
        writer.write(b"x")
        await reader.readexactly(1)
        wan.change({"partitioned": True})
        link.cut()
        await ended(reader)

    through_link(wan, talk)

    async def refused(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: Link) -> None:
        writer.write(b"x")
        await ended(reader)

    through_link(wan, refused)
