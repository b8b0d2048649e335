"""Jobs: reports that were asked for, from the request to the file, and the units set aside for them.

A job is made by a worker that may die at any step, be started twice, or come back late. Every take-over raises
`attempt`, which fences off whoever worked before; every change is one write of the revision that was read. A job
that has ended never changes how it ended, and only then is its reservation ended: committed if there is a report,
released if there is none.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

LEASE_MS = 60_000
"""How long a worker that is not heard of keeps its job."""

WAIT_MS = 900_000
"""How long a queued job waits until its message is sent again, for the one before may be lost."""

MAX_ATTEMPTS = 3
"""How often a job is begun before it is given up."""

LIFE_MS = 3 * 3_600_000
"""How long after its request a job is given up, whatever it waits for."""

HOLD_SECONDS = 4 * 3_600
"""How long its units are held: longer than it lives, so that what ends it still finds them."""

KEEP_MS = 90 * 86_400_000
"""How long a report is kept, as `expire_days` of the bucket says."""

SAME_MS, SAME_LIVE_MS, LATE_MS = 24 * 3_600_000, 300_000, 3_600_000
"""How long the same request is answered with the same report: of a span that had ended (an hour before, so that
late records are in it), and of one that had not."""


class State(StrEnum):
    """Where a job stands; the last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = frozenset({State.QUEUED, State.RUNNING})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no report: a stable name, and a line for people."""

    code: str
    message: str


EXPIRED = Failure("expired", "it was not made in time")
LOST = Failure("worker-lost", f"its worker died {MAX_ATTEMPTS} times")


@dataclass(frozen=True, slots=True)
class Result:
    """The file a job came to: the key of its object in the region's bucket, and what it is."""

    key: str
    content_type: str
    filename: str
    size: int
    rows: int
    scanned_bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """One report that was asked for.

    Attributes
    ----------
    region, name : str
        Where it is made, and what tells it from others there; names sort by time.
    user_id, feature, meter, units : str, str, str, int
        Who pays what for it.
    report : Mapping
        What is asked for, as the body of a request.
    digest : str
        The same for identical requests of one organisation.
    reservation_id : str
        Where its units are set aside.
    schedule, due_ms : str or None, int
        The schedule it was made for, and the time of its run.
    attempt : int
        How often it was begun; whoever began it last is its worker.
    lease_ms : int
        Until when a running job's worker, or a queued one's message, is waited for.
    percent : int
        How much of it is made.
    settled, charged : bool, int
        Whether its reservation was ended, and with how many units.
    rev : int
        Rises with every change.
    """

    region: str
    name: str
    org_id: str
    user_id: str
    feature: str
    meter: str
    units: int
    report: Mapping[str, Any]
    digest: str
    reservation_id: str
    created_ms: int
    deadline_ms: int
    schedule: str | None = None
    due_ms: int = 0
    state: State = State.QUEUED
    attempt: int = 0
    lease_ms: int = 0
    percent: int = 0
    started_ms: int = 0
    ended_ms: int = 0
    result: Result | None = None
    failure: Failure | None = None
    settled: bool = False
    charged: int = 0
    rev: int = field(default=1)

    @property
    def report_id(self) -> str:
        """What callers know it by: it says which region makes it."""
        return f"{self.region}-{self.name}"

    @property
    def cost(self) -> int:
        """What its reservation is committed with: the feature's units for a report, nothing for none."""
        return self.units if self.state is State.SUCCEEDED else 0

    @property
    def to_send(self) -> str | None:
        """The queue that is still to be told of it, None for none.

        The stream tells of every state, so a crash between a write and its message loses nothing.
        """
        if self.state is State.QUEUED:
            return "reports"
        if self.state is State.SUCCEEDED and self.schedule and not self.settled:
            return "notifications"
        return None


def parse_id(report_id: str) -> tuple[str, str]:
    """Read region and name off a report's id; neither need exist."""
    region, _, name = report_id.rpartition("-")
    return region, name


def same_until(end_ms: int, now_ms: int) -> int:
    """Until when a request made now, for a span that ends at `end_ms`, is answered with the same report."""
    return now_ms + (SAME_MS if end_ms <= now_ms - LATE_MS else SAME_LIVE_MS)


# Each rule returns the job as it is then, or None where it does not apply and nothing may change.


def claim(job: Job, now_ms: int) -> Job | None:
    """Begin a job, or take it over from a worker that was not heard of."""
    abandoned = job.state is State.RUNNING and job.lease_ms <= now_ms
    if not (job.state is State.QUEUED or abandoned) or now_ms >= job.deadline_ms or job.attempt >= MAX_ATTEMPTS:
        return None
    return _changed(
        job,
        state=State.RUNNING,
        attempt=job.attempt + 1,
        lease_ms=now_ms + LEASE_MS,
        percent=0,
        started_ms=job.started_ms or now_ms,
    )


def beat(job: Job, attempt: int, percent: int, now_ms: int) -> Job | None:
    """Say that a worker lives, and how far it is; None tells it that the job is no longer its own."""
    if not _is_mine(job, attempt):
        return None
    # Less than 100: that is said by the end.
    return _changed(job, lease_ms=now_ms + LEASE_MS, percent=max(job.percent, min(percent, 99)))


def succeed(job: Job, attempt: int, result: Result, now_ms: int) -> Job | None:
    """End a job with its report."""
    if not _is_mine(job, attempt):
        return None
    return _changed(job, state=State.SUCCEEDED, percent=100, result=result, ended_ms=now_ms, lease_ms=0)


def fail(job: Job, attempt: int, failure: Failure, now_ms: int) -> Job | None:
    """End a job whose worker found that there can be no report."""
    return _failed(job, failure, now_ms) if _is_mine(job, attempt) else None


def retry(job: Job, attempt: int, failure: Failure, now_ms: int) -> Job | None:
    """Queue a job again whose worker met something that may pass, or end it after the last attempt."""
    if not _is_mine(job, attempt):
        return None
    return _queued(job, now_ms) if job.attempt < MAX_ATTEMPTS else _failed(job, failure, now_ms)


def cancel(job: Job, now_ms: int) -> Job | None:
    """End a job that nobody wants any more; its worker learns it from its next beat."""
    if job.state not in OPEN:
        return None
    return _changed(job, state=State.CANCELLED, ended_ms=now_ms, lease_ms=0)


def rescue(job: Job, now_ms: int) -> Job | None:
    """Give up a job whose time is over, and queue one again whose worker died or whose message is lost."""
    if job.state not in OPEN:
        return None
    if now_ms >= job.deadline_ms:
        return _failed(job, EXPIRED, now_ms)
    if job.lease_ms > now_ms:
        return None
    return _queued(job, now_ms) if job.attempt < MAX_ATTEMPTS else _failed(job, LOST, now_ms)


def settle(job: Job, charged: int) -> Job | None:
    """Note that the reservation of an ended job was ended, with so many units."""
    if job.state in OPEN or job.settled:
        return None
    return _changed(job, settled=True, charged=charged)


def _is_mine(job: Job, attempt: int) -> bool:
    return job.state is State.RUNNING and job.attempt == attempt


def _queued(job: Job, now_ms: int) -> Job:
    return _changed(job, state=State.QUEUED, lease_ms=now_ms + WAIT_MS, percent=0)


def _failed(job: Job, failure: Failure, now_ms: int) -> Job:
    return _changed(job, state=State.FAILED, failure=failure, ended_ms=now_ms, lease_ms=0)


def _changed(job: Job, **changes: Any) -> Job:
    return replace(job, rev=job.rev + 1, **changes)
