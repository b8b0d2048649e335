"""Starts ministack as this platform needs it: `python -m cutlass.platform.emulator`.

Gaps of ministack that are closed here, and nowhere else:

- it listens on every address, and for MQTT and SFTP too: here on one inherited socket of 127.0.0.1;
- it looks for containers to remove when there is a Docker socket: it is shown none;
- it forgets the records of DynamoDB streams when it stops, while DynamoDB keeps them for a day: they are
  saved and loaded with the tables, so what a consumer has not seen yet survives `cutlass down`;
- it keeps every record for a day in memory, with both images: `POST /_cutlass/trim` forgets those that all
  readers have passed, else ten thousand decisions would fill a gigabyte;
- its streams can only be polled: `GET /_cutlass/changes` answers as soon as a stream has grown, so consumers
  need not ask ten times a second, and says which, so that one is not asked for another's;
- it logs a failure to save its state and ends with 0: here the exit code is 1.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cutlass.platform.child import follow_parent, inherited_socket
from cutlass.platform.home import locked
from cutlass.platform.local import ACCOUNT
from cutlass.platform.streams import stream_name

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_LONGEST_WAIT = 30.0
_SAVED_FILE = "dynamodb.json"


def configure(folder: Path, port: int) -> None:
    """Set what ministack reads from the environment while it is imported."""
    os.environ.update(
        {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(folder),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(folder / "s3"),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "DOCKER_HOST": f"unix://{folder / 'no-docker'}",
            "LOG_LEVEL": os.environ.get("CUTLASS_EMULATOR_LOG_LEVEL", "WARNING"),
        }
    )


class Changes:
    """Counts the records of all streams, and wakes those who wait for the next one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._grown = asyncio.Event()
        self.count = 0
        self.streams: Counter[str] = Counter()

    def note(self, stream: str) -> None:
        """Take note of a record; any thread may (items that expire are removed by one of its own)."""
        self._loop.call_soon_threadsafe(self._note, stream)

    def _note(self, stream: str) -> None:
        self.count += 1
        self.streams[stream] += 1
        self._grown.set()
        self._grown = asyncio.Event()

    async def after(self, count: int, timeout: float) -> int:
        """Return the number of records once it differs from `count`, or after `timeout` seconds."""
        if self.count == count:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._grown.wait(), timeout)
        return self.count


def keep_streams(dynamodb: Any) -> None:
    """Make the emulator's DynamoDB save and load the records of its streams."""
    get_state, load_state = dynamodb.get_state, dynamodb.load_persisted_state

    def get_all() -> Any:
        return get_state() | {
            "cutlass_stream_records": dynamodb._stream_records,
            "cutlass_stream_trimmed": dynamodb._stream_trimmed,
        }

    def load_all(data: Any) -> None:
        load_state(data)
        dynamodb._stream_records.update(data.get("cutlass_stream_records", {}))
        dynamodb._stream_trimmed.update(data.get("cutlass_stream_trimmed", {}))

    dynamodb.get_state, dynamodb.load_persisted_state = get_all, load_all


def announce_changes(dynamodb: Any, changes: Changes) -> None:
    """Make the emulator's DynamoDB tell `changes` of every stream record."""
    emit = dynamodb._emit_stream_event

    def emit_and_tell(table: str, *arguments: Any, **options: Any) -> None:
        emit(table, *arguments, **options)
        changes.note(stream_name(dynamodb.get_region(), table))

    dynamodb._emit_stream_event = emit_and_tell


def trim(dynamodb: Any, *, aws_region: str, table: str, before: str) -> int:
    """Forget the records of a stream that come before the one with this sequence number; return how many.

    That one stays, so that a reader still finds its place after it.
    """
    scope = (ACCOUNT, aws_region, table)
    records = dynamodb._stream_records.get_scoped(*scope) or []
    count = next(
        (place for place, record in enumerate(records) if record["dynamodb"]["SequenceNumber"] == before), 0
    )
    del records[:count]
    trimmed = dynamodb._stream_trimmed.get_scoped(*scope, 0)
    dynamodb._stream_trimmed.set_scoped(*scope, trimmed + count)
    return count


class OwnRoutes:
    """The emulator's application with routes of ours added.

    `GET /_cutlass/changes?after=COUNT&timeout=SECONDS` waits for stream records,
    `POST /_cutlass/trim?aws_region=…&table=…&before=SEQUENCE` forgets some, and `GET /_cutlass/calls` tells how
    often each AWS operation was called, and how much CPU time it took.
    """

    def __init__(self, app: App, dynamodb: Any, changes: Changes) -> None:
        self._app = app
        self._dynamodb = dynamodb
        self._changes = changes
        self._calls: dict[str, list[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith("/_cutlass/"):
            await self._answer(send, await self._own(scope))
        else:
            began = time.thread_time()
            await self._app(scope, receive, send)
            target = dict(scope["headers"]).get(b"x-amz-target", b"").decode("latin-1")
            tally = self._calls.setdefault(target.rpartition(".")[2] or "other", [0, 0.0])
            tally[0] += 1
            tally[1] += time.thread_time() - began

    async def _own(self, scope: Scope) -> object:
        query = {name: values[0] for name, values in parse_qs(scope["query_string"].decode()).items()}
        path = scope["path"].removeprefix("/_cutlass/")
        if path == "changes":
            timeout = min(_LONGEST_WAIT, float(query.get("timeout", "0")))
            count = await self._changes.after(int(query.get("after", "-1")), timeout)
            return {"count": count, "streams": self._changes.streams}
        if path == "trim" and scope["method"] == "POST":
            return {"trimmed": trim(self._dynamodb, **query)}
        return {name: {"count": int(count), "cpu_seconds": cpu} for name, (count, cpu) in self._calls.items()}

    @staticmethod
    async def _answer(send: Send, value: object) -> None:
        body = json.dumps(value).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def serve(descriptor: int) -> float:
    """Run ministack on the listening socket until SIGTERM; return the time at which it began to save."""
    from hypercorn.asyncio import serve as hypercorn_serve  # noqa: PLC0415 (after `configure`)
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack.app import app  # type: ignore[import-untyped]  # noqa: PLC0415
    from ministack.services import dynamodb  # type: ignore[import-untyped]  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    changes = Changes(loop)
    keep_streams(dynamodb)
    announce_changes(dynamodb, changes)
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    # Clients close idle connections, Terraform's after 90 s. If this side did, it could be just as a request has
    # come: that would be done, its answer lost, and the same request sent again and refused.
    config.keep_alive_timeout = 600
    config.graceful_timeout = 0.2  # long polls for changes would otherwise hold up the end
    config.loglevel = "WARNING"
    asked: list[float] = []

    async def stopped() -> None:
        await stop.wait()
        asked.append(time.time())

    await hypercorn_serve(OwnRoutes(app, dynamodb, changes), config, shutdown_trigger=stopped)  # type: ignore[arg-type]
    return asked[0]


def main() -> int:
    """Run until SIGTERM. The exit code is 1 if the state could not be saved."""
    follow_parent()
    listening = inherited_socket("emulator")
    folder = Path(os.environ["CUTLASS_EMULATOR_FOLDER"])
    configure(folder, listening.getsockname()[1])
    # An emulator that is still saving, after its supervisor was killed, is waited for.
    with locked(folder / ".lock", wait=True):
        asked = asyncio.run(serve(listening.detach()))
        saved = folder / _SAVED_FILE
        if not saved.exists() or saved.stat().st_mtime < asked - 1:
            print(f"the emulator could not save its state under {folder}", file=sys.stderr)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
