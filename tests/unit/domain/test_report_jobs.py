"""Jobs of reports: whoever comes when, a job is begun by one at a time and ends once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain import report_jobs as rules
from cutlass.domain.report_jobs import EXPIRED, LEASE_MS, LIFE_MS, LOST, MAX_ATTEMPTS, Failure, Job, Result, State

RESULT = Result("org/name/1/usage.json", "application/json", "usage.json", 2, 1, 0)
BROKEN = Failure("not-made", "it could not be made")
T0 = 1_790_000_000_000


def job(**changes: object) -> Job:
    made = Job(
        region="london",
        name="019a",
        org_id="org",
        user_id="ann",
        feature="report.export",
        meter="reports",
        units=5,
        report={"type": "usage"},
        digest="d",
        reservation_id="london-r",
        created_ms=T0,
        deadline_ms=T0 + LIFE_MS,
        lease_ms=T0 + rules.WAIT_MS,
    )
    return replace(made, **changes)


def claimed(at: int = T0, **changes: object) -> Job:
    found = rules.claim(job(**changes), at)
    assert found is not None
    return found


def test_a_report_costs_its_units_and_none_costs_nothing() -> None:
    running = claimed()
    made = rules.succeed(running, 1, RESULT, T0)
    assert made is not None
    assert made.cost == 5
    failed = rules.fail(running, 1, BROKEN, T0)
    cancelled = rules.cancel(running, T0)
    assert failed is not None
    assert cancelled is not None
    assert failed.cost == cancelled.cost == 0


def test_nobody_takes_a_job_whose_worker_is_heard_of() -> None:
    running = claimed()
    assert rules.claim(running, T0 + LEASE_MS - 1) is None
    kept = rules.beat(running, 1, 40, T0 + LEASE_MS - 1)
    assert kept is not None
    assert kept.percent == 40
    assert rules.claim(kept, T0 + LEASE_MS) is None


def test_a_worker_that_comes_back_late_changes_nothing() -> None:
    running = claimed()
    taken_over = rules.claim(running, T0 + LEASE_MS)
    assert taken_over is not None
    assert taken_over.attempt == 2
    assert rules.beat(taken_over, 1, 99, T0 + LEASE_MS) is None
    assert rules.succeed(taken_over, 1, RESULT, T0 + LEASE_MS) is None
    assert rules.fail(taken_over, 1, BROKEN, T0 + LEASE_MS) is None
    assert rules.retry(taken_over, 1, BROKEN, T0 + LEASE_MS) is None


def test_progress_never_goes_back_and_is_whole_only_at_the_end() -> None:
    running = rules.beat(claimed(), 1, 60, T0)
    assert running is not None
    later = rules.beat(running, 1, 10, T0)
    full = rules.beat(running, 1, 100, T0)
    assert later is not None
    assert full is not None
    assert (later.percent, full.percent) == (60, 99)


def test_the_sweep_sends_again_what_nobody_heard_of_and_in_the_end_gives_it_up() -> None:
    found, now = job(), T0
    for attempt in range(1, MAX_ATTEMPTS + 1):
        begun = rules.claim(found, now)
        assert begun is not None
        assert begun.attempt == attempt
        assert rules.rescue(begun, now + LEASE_MS - 1) is None
        now += LEASE_MS
        after = rules.rescue(begun, now)
        assert after is not None
        found = after
    assert (found.state, found.failure) == (State.FAILED, LOST)


def test_a_message_that_is_lost_is_sent_again_without_costing_an_attempt() -> None:
    assert rules.rescue(job(), T0 + rules.WAIT_MS - 1) is None
    again = rules.rescue(job(), T0 + rules.WAIT_MS)
    assert again is not None
    assert (again.state, again.attempt, again.to_send) == (State.QUEUED, 0, "reports")
    assert again.rev == 2, "without a change the stream would not tell of it"


def test_a_job_that_nobody_makes_is_given_up_before_its_units_are() -> None:
    late = rules.rescue(claimed(lease_ms=0), T0 + LIFE_MS)
    assert late is not None
    assert (late.state, late.failure) == (State.FAILED, EXPIRED)
    assert rules.claim(job(), T0 + LIFE_MS) is None
    assert rules.HOLD_SECONDS * 1000 > LIFE_MS


def test_only_a_scheduled_report_is_told_of_and_only_until_it_is_settled() -> None:
    made = rules.succeed(claimed(), 1, RESULT, T0)
    scheduled = rules.succeed(claimed(schedule="monthly"), 1, RESULT, T0)
    assert made is not None
    assert scheduled is not None
    assert (made.to_send, scheduled.to_send) == (None, "notifications")
    settled = rules.settle(scheduled, 3)
    assert settled is not None
    assert settled.to_send is None


@pytest.mark.parametrize(
    ("end_ms", "window"),
    [
        (T0 - rules.LATE_MS, rules.SAME_MS),
        (T0 - rules.LATE_MS + 1, rules.SAME_LIVE_MS),
        (T0 + 86_400_000, rules.SAME_LIVE_MS),
    ],
)
def test_a_span_that_still_grows_is_the_same_for_minutes_only(end_ms: int, window: int) -> None:
    assert rules.same_until(end_ms, T0) == T0 + window


def taken(step: str, found: Job, who: int, now: int) -> Job | None:
    return {
        "claim": lambda: rules.claim(found, now),
        "beat": lambda: rules.beat(found, who, 50, now),
        "succeed": lambda: rules.succeed(found, who, RESULT, now),
        "fail": lambda: rules.fail(found, who, BROKEN, now),
        "retry": lambda: rules.retry(found, who, BROKEN, now),
        "cancel": lambda: rules.cancel(found, now),
        "rescue": lambda: rules.rescue(found, now),
        "settle": lambda: rules.settle(found, found.cost),
    }[step]()


STEPS = st.sampled_from(["claim", "beat", "succeed", "fail", "retry", "cancel", "rescue", "settle", "wait"])


@given(st.lists(st.tuples(STEPS, st.integers(1, 4)), max_size=60))
def test_whatever_comes_in_whatever_order_a_job_ends_once(steps: list[tuple[str, int]]) -> None:
    now, found = T0, job()
    ended: Job | None = None
    for step, who in steps:
        if step == "wait":
            now += LEASE_MS // 2 * who
            continue
        then = taken(step, found, who, now)
        if then is None:
            continue
        assert then.rev == found.rev + 1
        assert then.attempt - found.attempt in {0, 1}
        assert then.attempt <= MAX_ATTEMPTS
        if ended is not None:
            assert (then.state, then.result, then.failure) == (ended.state, ended.result, ended.failure)
            assert then.settled
            assert not found.settled, "it was settled twice"
        found = then
        assert (found.result is not None) == (found.state is State.SUCCEEDED)
        assert (found.failure is not None) == (found.state is State.FAILED)
        if found.state not in rules.OPEN and ended is None:
            ended = found
    while found.state in rules.OPEN:  # left alone, the sweep ends it
        now += LEASE_MS
        found = rules.rescue(found, now) or found
        assert now <= T0 + LIFE_MS + 61 * 2 * LEASE_MS
