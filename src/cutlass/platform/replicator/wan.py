"""The network between the regions: how slow it is, and whether it is there."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from cutlass.domain.errors import InvalidRequestError
from cutlass.platform.home import read_json, write_json

Queue = asyncio.Queue[tuple[float, bytes]]

_LONGEST_MILLISECONDS = 600_000


class Wan:
    """The state of the network, kept in a file so that it outlives a kill of its process.

    Attributes
    ----------
    partitioned : bool
        Whether nothing passes between regions.
    delay_ms : int
        How much later a copy of an item arrives.
    rtt_ms : int
        How much longer a direct call to another region takes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        kept = read_json(path) or {}
        self.partitioned = bool(kept.get("partitioned", False))
        self.delay_ms = int(kept.get("delay_ms", os.environ.get("CUTLASS_REPLICATION_DELAY_MS", "300")))
        self.rtt_ms = int(kept.get("rtt_ms", os.environ.get("CUTLASS_WAN_RTT_MS", "0")))

    @property
    def delay(self) -> float:
        """The delay of copies in seconds."""
        return self.delay_ms / 1000

    def as_dict(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {"partitioned": self.partitioned, "delay_ms": self.delay_ms, "rtt_ms": self.rtt_ms}

    def change(self, wanted: Any) -> None:
        """Set what is named in `wanted`.

        Raises
        ------
        InvalidRequestError
            A name or a value is wrong; nothing was changed.
        """
        if not isinstance(wanted, dict):
            raise InvalidRequestError("what is wanted must be an object")
        for name, value in wanted.items():
            if name not in self.as_dict():
                raise InvalidRequestError(f"{name!r} is none of: partitioned, delay_ms, rtt_ms", field=name)
            right = isinstance(value, bool) if name == "partitioned" else type(value) is int
            if not right or not 0 <= value <= _LONGEST_MILLISECONDS:
                raise InvalidRequestError(f"{name} cannot be {value!r}", field=name)
        for name, value in wanted.items():
            setattr(self, name, value)
        write_json(self._path, self.as_dict())


class Link:
    """A way from one region to another: passes bytes on, late by half a round trip, or breaks every connection.

    Parameters
    ----------
    wan : Wan
        The network the link is part of.
    host, port
        Where the other region's API is.
    """

    def __init__(self, wan: Wan, host: str, port: int) -> None:
        self._wan = wan
        self._host = host
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        if self._wan.partitioned:
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            await asyncio.sleep(self._wan.rtt_ms / 1000)  # the handshake's round trip
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
            self._writers.add(far_writer)
            try:
                async with asyncio.TaskGroup() as group:
                    for source, target in ((reader, far_writer), (far_reader, writer)):
                        under_way: Queue = asyncio.Queue()
                        group.create_task(self._send(source, under_way))
                        group.create_task(_receive(under_way, target))
            finally:
                self._writers.discard(far_writer)
                far_writer.transport.abort()
        except (OSError, ExceptionGroup):
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    def cut(self) -> None:
        """Break every connection."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _send(self, reader: asyncio.StreamReader, under_way: Queue) -> None:
        """Put what is read on its way; pieces are on their way together, as on a long line."""
        while True:
            data = await reader.read(65_536)
            under_way.put_nowait((asyncio.get_running_loop().time() + self._wan.rtt_ms / 2000, data))
            if not data:
                return


async def _receive(under_way: Queue, writer: asyncio.StreamWriter) -> None:
    """Write what arrives, when it arrives; the empty piece is the end."""
    while True:
        due, data = await under_way.get()
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        if not data:
            with suppress(OSError):
                writer.write_eof()
            return
        writer.write(data)
        await writer.drain()
