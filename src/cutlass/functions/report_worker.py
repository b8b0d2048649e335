"""Consumer of the queue `reports`: makes reports.

A message is only a hint: who makes a report is decided by its job (`cutlass.domain.report_jobs`). A message for a
job that another worker has, or that has ended, is done. So a job is not bound to the fate of its message either:
should its worker die, the sweep sends another.
"""

import errno
import json
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from aws_lambda_powertools import Logger

from cutlass.contracts import load_reports
from cutlass.domain.errors import CutlassError, UnavailableError
from cutlass.domain.report_jobs import LEASE_MS, Failure, Job, Result
from cutlass.domain.reports import ReportSpec
from cutlass.reporting import Archive, Athena, Limits, Made, ReportCancelledError, make
from cutlass.storage import Store, open_store

BEAT_SECONDS = LEASE_MS / 4000
"""How often a worker is heard of at least: two beats may fail before its lease ends."""

TELL_SECONDS = 1.0
"""How often progress is told at most."""

ENDING_MS = 20_000
"""What is left of the function's time when it gives up, to say so."""

TOO_LONG = Failure("too-long", "it could not be made in the time a worker has; ask for a shorter span")
TOO_LARGE = Failure("report-too-large", "it needs more memory or disk than a worker has; ask for a shorter span")
NOT_STORED = Failure("not-stored", "its data could not be read, or its file not be stored")
NOT_MADE = Failure("not-made", "it could not be made")

logger = Logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make the reports that messages name; a message that could not be dealt with comes again."""
    failed = []
    for record in event["Records"]:
        try:
            message = json.loads(record["body"])
            work(open_store(), message["org_id"], message["report_id"], context.get_remaining_time_in_millis)
        except Exception:
            logger.exception("a report could not be worked on", message_id=record["messageId"])
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def work(store: Store, org_id: str, report_id: str, left_ms: Callable[[], int]) -> Job | None:
    """Make a report of this region; returns its job as this leaves it, None where it is not this one's to make.

    Parameters
    ----------
    left_ms : Callable
        Tells how much time is left, in milliseconds.
    """
    job = store.reports.claim(org_id, report_id)
    if job is None:
        return None
    try:
        with tempfile.TemporaryDirectory(prefix="report-") as folder, Pulse(store, job) as pulse:
            made = _make(job, Path(folder), pulse, left_ms)
            result = _keep(store, job, made)
    except Exception as error:
        failure, may_pass = judged(error)
        logger.exception("a report was not made", report_id=report_id, attempt=job.attempt, code=failure.code)
        return store.reports.retry(job, failure) if may_pass else store.reports.fail(job, failure)
    return store.reports.succeed(job, result)


def judged(error: Exception) -> tuple[Failure, bool]:
    """What an error means for a job: what to say of it, and whether it may pass by the next attempt."""
    if isinstance(error, ReportCancelledError):
        # Either the job is no longer this worker's, and what it says of it is not heard; or its time is over.
        return TOO_LONG, False
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOSPC):
        return TOO_LARGE, False
    if isinstance(error, UnavailableError):
        return NOT_STORED, True
    if isinstance(error, CutlassError) and error.status < 500:
        return Failure(error.code, error.message), False
    return NOT_MADE, True


def _make(job: Job, folder: Path, pulse: "Pulse", left_ms: Callable[[], int]) -> Made:
    return make(
        ReportSpec.of(job.org_id, job.report, load_reports()),
        Archive.from_environment(),
        folder,
        progress=pulse.tell,
        cancelled=lambda: pulse.lost or left_ms() < ENDING_MS,
        limits=Limits.from_environment(),
        athena=open_athena(),
    )


@cache
def open_athena() -> Athena | None:
    """Return what asks large archives of this region, None where there is none; one for the whole process."""
    return Athena.from_environment()


def _keep(store: Store, job: Job, made: Made) -> Result:
    """Write the file into the region's bucket."""
    size = made.path.stat().st_size
    key = store.report_files.put(job, made.path, filename=made.filename, content_type=made.content_type)
    return Result(key, made.content_type, made.filename, size, made.rows, made.scanned_bytes)


class Pulse:
    """Keeps a job while it is worked on, and tells how far it is, from a thread of its own.

    Attributes
    ----------
    lost : bool
        Whether the job is no longer this worker's: it was cancelled, or another took it over.
    """

    def __init__(self, store: Store, job: Job) -> None:
        self._store = store
        self._job = job
        self._done = 0.0
        self._told = 0
        self._beat_at = time.monotonic() + BEAT_SECONDS
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self.lost = False

    def __enter__(self) -> "Pulse":
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """End, so that no beat comes behind the end of the job."""
        self._stop.set()
        self._thread.join()

    def tell(self, done: float) -> None:
        """Take note of how much is done, from 0 to 1."""
        self._done = done

    def beat(self) -> None:
        """Say that this worker lives, and how far it is; a store that does not answer is asked again soon."""
        percent = int(self._done * 100)
        try:
            self.lost = not self._store.reports.beat(self._job, percent)
        except CutlassError:
            logger.warning("a beat failed", report_id=self._job.report_id)
            return
        self._told = percent
        self._beat_at = time.monotonic() + BEAT_SECONDS

    def _run(self) -> None:
        while not self._stop.wait(TELL_SECONDS) and not self.lost:
            if int(self._done * 100) != self._told or time.monotonic() >= self._beat_at:
                self.beat()
