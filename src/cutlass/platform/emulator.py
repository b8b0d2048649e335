"""Starts ministack as this platform needs it: `python -m cutlass.platform.emulator`.

Gaps of ministack that are closed here, and nowhere else:

- it listens on every address, and for MQTT and SFTP too: here on one inherited socket of 127.0.0.1;
- it looks for containers to remove when there is a Docker socket: it is shown none;
- it forgets the records of DynamoDB streams when it stops, while DynamoDB keeps them for a day: they are
  saved and loaded with the tables, so what a consumer has not seen yet survives `cutlass down`;
- its streams can only be polled: `GET /_cutlass/changes` answers as soon as a stream has grown, so consumers
  need not ask ten times a second;
- it logs a failure to save its state and ends with 0: here the exit code is 1.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from cutlass.platform.child import follow_parent, inherited_socket
from cutlass.platform.home import locked

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

    def note(self) -> None:
        """Take note of a record; any thread may (items that expire are removed by one of its own)."""
        self._loop.call_soon_threadsafe(self._note)

    def _note(self) -> None:
        self.count += 1
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
            "cutlass_stream_records": dynamodb._stream_records,  # noqa: SLF001
            "cutlass_stream_trimmed": dynamodb._stream_trimmed,  # noqa: SLF001
        }

    def load_all(data: Any) -> None:
        load_state(data)
        dynamodb._stream_records.update(data.get("cutlass_stream_records", {}))  # noqa: SLF001
        dynamodb._stream_trimmed.update(data.get("cutlass_stream_trimmed", {}))  # noqa: SLF001

    dynamodb.get_state, dynamodb.load_persisted_state = get_all, load_all


def announce_changes(dynamodb: Any, changes: Changes) -> None:
    """Make the emulator's DynamoDB tell `changes` of every stream record."""
    emit = dynamodb._emit_stream_event  # noqa: SLF001

    def emit_and_tell(*arguments: Any, **options: Any) -> None:
        emit(*arguments, **options)
        changes.note()

    dynamodb._emit_stream_event = emit_and_tell  # noqa: SLF001


def with_changes(app: App, changes: Changes) -> App:
    """Return the emulator's application with `GET /_cutlass/changes?after=COUNT&timeout=SECONDS` added."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/_cutlass/changes":
            await app(scope, receive, send)
            return
        query = parse_qs(scope["query_string"].decode())
        timeout = min(_LONGEST_WAIT, float(query.get("timeout", ["0"])[0]))
        count = await changes.after(int(query.get("after", ["-1"])[0]), timeout)
        body = json.dumps({"count": count}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return serve


async def serve(descriptor: int) -> float:
    """Run ministack on the listening socket until SIGTERM; return the time at which it began to save."""
    from hypercorn.asyncio import serve as hypercorn_serve  # noqa: PLC0415 (after `configure`)
    from hypercorn.config import Config  # noqa: PLC0415
    from ministack.app import app  # noqa: PLC0415
    from ministack.services import dynamodb  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    changes = Changes(loop)
    keep_streams(dynamodb)
    announce_changes(dynamodb, changes)
    config = Config()
    config.bind = [f"fd://{descriptor}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1  # long polls for changes would otherwise hold up the end
    config.loglevel = "WARNING"
    asked: list[float] = []

    async def stopped() -> None:
        await stop.wait()
        asked.append(time.time())

    await hypercorn_serve(with_changes(app, changes), config, shutdown_trigger=stopped)  # type: ignore[arg-type]
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
