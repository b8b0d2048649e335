"""Many workers, a sweep, a caller who cancels, messages that come twice or never: one report, one charge.

The production rules run against a table of one item, which takes a change only over the revision it was made of,
and a reservation that remembers its end. Deliberate bugs in the rules must be noticed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from unittest.mock import patch

import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from cutlass.domain import report_jobs as rules
from cutlass.domain.report_jobs import HOLD_SECONDS, LEASE_MS, LIFE_MS, WAIT_MS, Failure, Job, Result, State

T0 = 1_790_000_000_000
UNITS = 5
FAULT = Failure("not-made", "it could not be made")

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["message", "beat", "finish", "fault", "fail", "settle", "cancel", "sweep", "wait"]),
        st.integers(0, 1),
        st.sampled_from([1_000, LEASE_MS, WAIT_MS, LIFE_MS // 2]),
    ),
    max_size=40,
)


@dataclass
class Worker:
    """What a worker remembers; what is stored may have gone on without it."""

    attempt: int = 0


@dataclass
class Yard:
    """One job, whoever works on it, and the reservation that pays for it."""

    job: Job
    now: int = T0
    workers: list[Worker] = field(default_factory=lambda: [Worker(), Worker()])
    files: set[str] = field(default_factory=set)
    ends: list[int] = field(default_factory=list)
    now_at_end: int = 0

    def change(self, rule: Callable[[Job], Job | None]) -> Job | None:
        """Write over the revision that was read, as the store does."""
        before, then = self.job, rule(self.job)
        if then is None:
            return None
        assert then.rev == before.rev + 1, "a change that nobody could tell from none"
        if before.state not in rules.OPEN:
            was, now = (before.state, before.result, before.failure), (then.state, then.result, then.failure)
            assert was == now, "a job that has ended changed how it ended"
        self.job = then
        return then

    def step(self, what: str, who: int, millis: int) -> None:
        worker = self.workers[who]
        match what:
            case "wait":
                self.now += millis
            case "message":
                self.claim(worker)
            case "cancel":
                self.change(lambda job: rules.cancel(job, self.now))
            case "sweep":
                self.change(lambda job: rules.rescue(job, self.now))
                self.settle()
            case "settle":
                self.settle()
            case _ if worker.attempt:
                self.work(what, worker.attempt)

    def claim(self, worker: Worker) -> None:
        before = self.job
        if claimed := self.change(lambda job: rules.claim(job, self.now)):
            heard = before.state is State.RUNNING and before.lease_ms > self.now
            assert not heard, "it was taken from a worker that is heard of"
            assert claimed.attempt > before.attempt, "nothing fences off the worker before"
            worker.attempt = claimed.attempt

    def work(self, what: str, attempt: int) -> None:
        if what == "finish":
            self.files.add(key := f"org/job/{attempt}")
            result = Result(key, "text/csv", "x.csv", 1, 1, 1)
            done = self.change(lambda job: rules.succeed(job, attempt, result, self.now))
        else:
            done = self.change(
                {
                    "beat": lambda job: rules.beat(job, attempt, 50, self.now),
                    "fault": lambda job: rules.retry(job, attempt, FAULT, self.now),
                    "fail": lambda job: rules.fail(job, attempt, FAULT, self.now),
                }[what]
            )
        assert done is None or done.attempt == attempt, "a worker changed what another one makes"

    def settle(self) -> None:
        """End the reservation as the job ended, perhaps again: it remembers how, and takes no other end."""
        if self.job.state in rules.OPEN or self.job.settled:
            return
        cost = self.job.cost
        assert not self.ends or self.ends[0] == cost, "the reservation was ended otherwise before"
        self.ends = self.ends or [cost]
        self.change(lambda job: rules.settle(job, cost))

    def finish(self) -> None:
        """Leave it alone: the sweep ends and settles it while its units are held."""
        while self.job.state in rules.OPEN or not self.job.settled:
            self.step("sweep", 0, 0)
            self.now += LEASE_MS
            assert self.now <= max(T0 + HOLD_SECONDS * 1000, self.now_at_end + 2 * LEASE_MS), "it is never ended"
        made = self.job.state is State.SUCCEEDED
        assert self.ends == [UNITS if made else 0], "what was charged is not what was made"
        assert self.job.charged == self.ends[0]
        assert not made or (self.job.result is not None and self.job.result.key in self.files)
        assert self.job.attempt <= rules.MAX_ATTEMPTS


def _new() -> Job:
    return Job(
        region="london",
        name="job",
        org_id="org",
        user_id="ann",
        feature="report.export",
        meter="reports",
        units=UNITS,
        report={},
        digest="d",
        reservation_id="london-r",
        created_ms=T0,
        deadline_ms=T0 + LIFE_MS,
        lease_ms=T0 + WAIT_MS,
    )


def play(steps: list[tuple[str, int, int]]) -> None:
    yard = Yard(_new())
    for step in steps:
        yard.step(*step)
    yard.now_at_end = yard.now
    yard.finish()


@given(STEPS)
def test_one_report_and_one_charge_whatever_comes(steps: list[tuple[str, int, int]]) -> None:
    play(steps)


SCENARIOS = [
    [("message", 0, 0), ("wait", 0, LEASE_MS), ("message", 1, 0), ("finish", 0, 0), ("finish", 1, 0)],
    [("message", 0, 0), ("message", 1, 0), ("finish", 0, 0)],
    [("message", 0, 0), ("finish", 0, 0), ("settle", 0, 0), ("cancel", 0, 0), ("sweep", 0, 0)],
    [("message", 0, 0), ("wait", 0, LEASE_MS), ("sweep", 0, 0), ("message", 1, 0), ("finish", 0, 0)],
]


@pytest.mark.parametrize("steps", SCENARIOS)
def test_what_workers_usually_run_into(steps: list[tuple[str, int, int]]) -> None:
    play(steps)


def unfenced(job: Job, _attempt: int) -> bool:
    return job.state is State.RUNNING


def greedy(job: Job, now_ms: int) -> Job | None:
    return replace(job, state=State.RUNNING, attempt=job.attempt + 1, lease_ms=now_ms + LEASE_MS, rev=job.rev + 1)


def same_attempt(job: Job, now_ms: int) -> Job | None:
    if job.state is not State.QUEUED:
        return None
    return replace(job, state=State.RUNNING, lease_ms=now_ms + LEASE_MS, rev=job.rev + 1)


def too_late(job: Job, now_ms: int) -> Job | None:
    return replace(job, state=State.CANCELLED, rev=job.rev + 1)


def forgetful(job: Job, now_ms: int) -> Job | None:
    if job.state in rules.OPEN and now_ms >= job.deadline_ms:
        return None
    return rescue(job, now_ms)


rescue = rules.rescue

MUTANTS = {
    "a late worker is heard": ("_is_mine", unfenced),
    "whoever asks gets the job": ("claim", greedy),
    "a claim does not fence": ("claim", same_attempt),
    "an ended job can be cancelled": ("cancel", too_late),
    "the sweep forgets what expired": ("rescue", forgetful),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_bug_put_in_on_purpose_is_noticed(name: str) -> None:
    def noticed(steps: list[tuple[str, int, int]]) -> bool:
        try:
            play(steps)
        except AssertionError:
            return True
        return False

    what, bug = MUTANTS[name]
    with patch.object(rules, what, bug):
        if any(map(noticed, SCENARIOS)):
            return
        try:
            find(STEPS, noticed, settings=settings(max_examples=3_000, database=None, deadline=None))
        except NoSuchExample:
            pytest.fail(f"no history noticed that {name}")
