"""The record a run leaves: JSON lines of who did what, when, from which commit, and how it ended."""

import getpass
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cutlass.deploy.errors import DeployError

Listener = Callable[[dict[str, Any]], None]


def now() -> datetime:
    """Return the time, in UTC."""
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """Return a moment in RFC 3339, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def operator() -> str:
    """Return who is at the keyboard: user@machine."""
    return f"{getpass.getuser()}@{socket.gethostname()}"


class Record:
    """The file of one run. Each line is on disk before the work goes on; threads may share it.

    Parameters
    ----------
    folder : Path
        Where the files of all runs are.
    listener : callable, optional
        Is given each line too, for whoever watches.
    """

    def __init__(self, folder: Path, listener: Listener | None = None) -> None:
        self.run = f"{now().strftime('%Y%m%dT%H%M%S')}-{os.getpid()}"
        self._path = folder / f"{self.run}.jsonl"
        self._listener = listener
        self._lock = threading.Lock()

    def __call__(self, event: str, **fields: Any) -> None:
        """Write that something happened.

        Raises
        ------
        DeployError
            The disk is full, or the folder cannot be written.
        """
        line = {"at": stamp(now()), "event": event, "run": self.run} | fields
        with self._lock:
            try:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line, ensure_ascii=False) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
            except OSError as error:
                raise cannot_write(self._path, error) from None
        self.show(event, **fields)

    def show(self, event: str, **fields: Any) -> None:
        """Tell whoever watches what need not be kept."""
        if self._listener is not None:
            self._listener({"at": stamp(now()), "event": event, "run": self.run} | fields)


def cannot_write(path: Path, error: OSError) -> DeployError:
    """Return the error of a file that cannot be written."""
    return DeployError(
        f"{path.name} cannot be written: {error.strerror}",
        hint=f"make room under {path.parent}, then run the same command again: nothing was half recorded",
    )


def read_records(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of all runs, oldest first; a line that was cut off by a crash is passed over."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                value = json.loads(line)
            except ValueError:
                continue
            yield value
