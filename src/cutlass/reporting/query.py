"""Asks the archive by SQL: here by DuckDB, or by Athena where much would have to be brought here.

The text of a question is the same for both: standard SQL over one table `entries`. What differs is where `entries`
comes from.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import duckdb

from cutlass.reporting.archive import Archive
from cutlass.reporting.errors import ReportCancelledError, ReportTooLargeError
from cutlass.reporting.tables import attach, quoted

MAX_ROWS = 500_000
"""The most rows an answer may have: a report is read into memory to be written."""

FUNCTION_MEMORY = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE"
"""The variable in which Lambda tells a function its memory, in megabytes."""

_LOOKS = 0.2
Answer = list[tuple[Any, ...]]


class Questions(Protocol):
    """What answers questions about the archive, and has read so many bytes for that."""

    scanned_bytes: int

    def ask(self, sql: str) -> Answer:
        """Return the rows of an answer; raises `ReportTooLargeError` for more than `MAX_ROWS`."""


@dataclass(slots=True)
class Watch:
    """Whoever waits for a report: is told how far it is, and may cancel it."""

    progress: Callable[[float], None] = lambda _: None
    cancelled: Callable[[], bool] = lambda: False
    _told: float = field(default=0.0)

    def tell(self, done: float) -> None:
        """Tell how much is done, from 0 to 1; raises `ReportCancelledError` where it was cancelled."""
        if self.cancelled():
            raise ReportCancelledError("the report was cancelled")
        if done > self._told:
            self._told = min(done, 1.0)
            self.progress(self._told)


class Local:
    """Asks files on this machine, by DuckDB.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Has the table `entries`.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, scanned_bytes: int, watch: Watch) -> None:
        self.scanned_bytes = scanned_bytes
        self._connection = connection
        self._watch = watch

    def ask(self, sql: str) -> Answer:
        """Return the rows of an answer."""
        done = threading.Event()
        stopped = threading.Event()

        def look() -> None:
            while not done.wait(_LOOKS):
                if self._watch.cancelled():
                    stopped.set()
                    self._connection.interrupt()

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            rows = self._connection.execute(sql).fetchmany(MAX_ROWS + 1)
        except duckdb.InterruptException:
            raise ReportCancelledError("the report was cancelled") from None
        except duckdb.OutOfMemoryException:
            raise too_large("the query does not fit into the worker's memory") from None
        finally:
            done.set()
            looking.join()
        if stopped.is_set():
            raise ReportCancelledError("the report was cancelled")
        return checked(rows)


def checked(rows: Answer) -> Answer:
    """Return an answer if it is not too long."""
    if len(rows) > MAX_ROWS:
        raise too_large(f"the report has more than {MAX_ROWS:,} rows")
    return rows


def too_large(what: str) -> ReportTooLargeError:
    """Return the error of a report that is too large, with what helps."""
    return ReportTooLargeError(what, hint="ask for a shorter period, coarser parts, fewer groups or filters")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a query on this machine may take.

    Attributes
    ----------
    memory_mb : int
        Memory in megabytes, beyond which it goes on in files.
    threads : int or None
        As many as there are unless given.
    disk_mb : int or None
        Those files in megabytes; three quarters of what the disk has left unless given.
    """

    memory_mb: int = 400
    threads: int | None = None
    disk_mb: int | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, *, otherwise: int = 400) -> "Limits":
        """Return half of a function's memory, the rest being Python's; `otherwise` outside Lambda."""
        memory = environ.get(FUNCTION_MEMORY)
        return cls(int(memory) // 2 if memory else otherwise)

    def spilled(self, folder: str) -> int:
        """Return how many megabytes of files may be in a folder: what is made of answers needs room as well."""
        if self.disk_mb is not None:
            return self.disk_mb
        return max(1, shutil.disk_usage(folder).free * 3 // 4 // 1024**2)


@contextmanager
def local(
    archive: Archive, org_id: str, start: datetime, end: datetime, watch: Watch, limits: Limits
) -> Iterator[Local]:
    """Have a span of the archive as questions on this machine, as long as the context lasts."""
    with (
        archive.opened(org_id, start, end) as opened,
        tempfile.TemporaryDirectory(prefix="cutlass-query-") as folder,
        duckdb.connect() as connection,
    ):
        connection.execute(f"SET memory_limit = '{limits.memory_mb}MB'")
        connection.execute(f"SET temp_directory = {quoted(folder)}")
        connection.execute(f"SET max_temp_directory_size = '{limits.spilled(folder)}MB'")
        connection.execute("SET preserve_insertion_order = false")
        if limits.threads:
            connection.execute(f"SET threads = {limits.threads}")
        try:
            attach(connection, opened)
        except duckdb.OutOfMemoryException:
            raise too_large("the archive of the period does not fit into the worker's memory") from None
        yield Local(connection, opened.choice.size, watch)
