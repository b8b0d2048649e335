"""Reports where something fails: the maker, the bucket, the worker at any step, the message, the request."""

import errno

import pytest

from cutlass.domain import report_jobs as rules
from cutlass.domain.decisions import DecisionRequest
from cutlass.domain.errors import ConflictError, InvalidRequestError
from cutlass.domain.report_jobs import LEASE_MS, LIFE_MS, State
from cutlass.domain.reservations import State as Reserved
from cutlass.reporting import ReportCancelledError, ReportTooLargeError
from tests.integration.test_reports import desk
from tests.support.desk import Desk, raising
from tests.support.faults import CrashError, crash_at

__all__ = ["desk"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "report-too-large"),
        (OSError(errno.ENOSPC, "No space left on device"), "report-too-large"),
        (ReportTooLargeError("it has too many rows"), "report-too-large"),
        (InvalidRequestError("there is no such thing"), "invalid-request"),
        (ReportCancelledError("stopped"), "too-long"),
    ],
)
def test_what_no_attempt_mends_fails_at_once(desk: Desk, error: Exception, code: str) -> None:
    job = desk.job()
    with desk.made_by(raising(error)):
        done = desk.work(job)
    assert done is not None
    assert done.failure is not None
    assert (done.state, done.failure.code, done.attempt, done.charged) == (State.FAILED, code, 1, 0)
    assert (desk.paid(), desk.audit()) == ((0, 0), [])


def test_what_may_pass_is_tried_three_times(desk: Desk) -> None:
    job = desk.job()
    with desk.made_by(raising(ZeroDivisionError())):
        for attempt in range(1, 4):
            assert len(desk.dispatch()) == 1, "it is queued again by its own record"
            done = desk.work(job)
            assert done is not None
            assert done.attempt == attempt
    assert done.failure is not None
    assert (done.state, done.failure.code) == (State.FAILED, "not-made")
    assert "Zero" not in done.failure.message, "what went wrong on our side is none of the caller's business"
    assert (desk.paid(), desk.audit()) == ((0, 0), [])


@pytest.mark.parametrize(("refusals", "state", "paid"), [(2, State.SUCCEEDED, 5), (3, State.FAILED, 0)])
def test_a_bucket_that_refuses(desk: Desk, refusals: int, state: State, paid: int) -> None:
    desk.refusals = refusals
    job = desk.job()
    while desk.get(job).state in rules.OPEN:
        desk.work(job)
    assert desk.get(job).state is state
    assert (desk.paid(), desk.audit()) == ((paid, 0), [])


def test_parameters_that_went_bad_fail_clearly(desk: Desk) -> None:
    store = desk.world.stores["london"]
    job = desk.job()
    item = store.dynamo.get("cutlass-tech-reports-dev", f"london#{job.org_id}#reports", job.name)
    assert item is not None
    store.dynamo.put("cutlass-tech-reports-dev", item | {"report": '{"type":"usage; DROP TABLE"}'})
    done = desk.work(job)
    assert done is not None
    assert done.failure is not None
    assert (done.failure.code, desk.paid()) == ("invalid-request", (0, 0))


def test_a_worker_that_dies_is_followed_by_another(desk: Desk) -> None:
    job = desk.job()
    desk.dispatch()
    with desk.made_by(raising(CrashError())), pytest.raises(CrashError):
        desk.work(job)
    assert desk.work(job) is None, "it may only be slow"
    desk.sweep()
    assert desk.dispatch() == []
    desk.world.pass_time(seconds=LEASE_MS / 1000)
    desk.sweep()
    assert [queue for queue, _ in desk.dispatch()] == ["reports"]
    done = desk.work(job)
    assert done is not None
    assert (done.state, done.attempt, desk.paid()) == (State.SUCCEEDED, 2, (5, 0))


def test_a_worker_that_comes_back_late_writes_over_nothing(desk: Desk) -> None:
    job = desk.job()

    def making(*_: object) -> None:
        desk.world.pass_time(seconds=LEASE_MS / 1000)
        with desk.made_by(lambda *_: None):
            assert desk.work(job) is not None  # a second worker takes over, and is quicker

    with desk.made_by(making):
        assert desk.work(job) is None
    done = desk.get(job)
    assert done.result is not None
    assert (done.attempt, done.result.key.split("/")[2]) == (2, "2")
    assert (desk.paid(), desk.audit()) == ((5, 0), [])


def test_a_job_whose_workers_all_die_is_given_up_and_its_units_come_back(desk: Desk) -> None:
    job = desk.job()
    for _ in range(3):
        with desk.made_by(raising(CrashError())), pytest.raises(CrashError):
            desk.work(job)
        desk.world.pass_time(seconds=LEASE_MS / 1000)
        desk.sweep()
    done = desk.get(job)
    assert done.failure is not None
    assert (done.state, done.failure.code, done.settled) == (State.FAILED, "worker-lost", True)
    assert (desk.paid(), desk.audit()) == ((0, 0), [])


def test_a_job_whose_message_died_is_sent_again_and_in_the_end_given_up(desk: Desk) -> None:
    job = desk.job()
    desk.dispatch()
    desk.world.pass_time(milliseconds=rules.WAIT_MS)
    desk.sweep()
    assert len(desk.dispatch()) == 1
    desk.world.pass_time(milliseconds=LIFE_MS)
    desk.sweep()
    done = desk.get(job)
    assert done.failure is not None
    assert (done.failure.code, desk.paid(), desk.audit()) == ("expired", (0, 0), [])
    (held,) = [found for found in desk.world.reservations() if found.request_id.startswith("report:")]
    assert held.state is Reserved.RELEASED


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(1, 13))
def test_a_worker_killed_at_any_step(desk: Desk, call: int, when: str) -> None:
    job = desk.job()
    with crash_at(desk.world.stores["london"].dynamo, call, when):
        desk.work(job)
    for _ in range(4):
        desk.world.pass_time(seconds=LEASE_MS / 1000)
        desk.sweep()
        if desk.dispatch():
            desk.work(job)
    done = desk.get(job)
    assert (done.state, done.settled, done.charged) == (State.SUCCEEDED, True, 5)
    assert (desk.paid(), desk.audit()) == ((5, 0), [])
    assert desk.open() == [], "nothing is left to look after"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(1, 9))
def test_a_request_killed_at_any_step_is_charged_once_when_it_is_sent_again(
    desk: Desk, call: int, when: str
) -> None:
    with crash_at(desk.world.stores["london"].dynamo, call, when):
        desk.ask(request="r1")
    job = desk.job(request="r1")
    assert desk.paid() == (0, 5)
    desk.work(job)
    assert (desk.paid(), desk.audit()) == ((5, 0), [])


def test_a_request_that_nobody_sends_again_gives_its_units_back_at_its_deadline(desk: Desk) -> None:
    store = desk.world.stores["london"]
    store.reservations.reserve(
        DecisionRequest(desk.world.org, "ann", "report.export", request_id="report:lost"),
        ttl_seconds=rules.HOLD_SECONDS,
    )
    assert desk.paid() == (0, 5)
    desk.world.pass_time(seconds=rules.HOLD_SECONDS + 1)
    store.reservations.expire_overdue(250)
    assert (desk.paid(), desk.audit()) == ((0, 0), [])


def test_a_request_id_whose_hold_is_gone_is_refused_and_not_made_for_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = desk.world.stores["london"]
    with monkeypatch.context() as patch:
        patch.setattr(store.dynamo, "transact", _only_reserves(store.dynamo.transact))
        with pytest.raises(CrashError):
            desk.ask(request="r1")
    desk.world.pass_time(seconds=rules.HOLD_SECONDS + 1)
    store.reservations.expire_overdue(250)
    with pytest.raises(ConflictError, match="too old"):
        desk.ask(request="r1")
    assert desk.job(request="r2")


def _only_reserves(transact):
    def call(writes: list[dict[str, dict[str, object]]]) -> None:
        if any("reports" in str(part["TableName"]) for write in writes for part in write.values()):
            raise CrashError
        transact(writes)

    return call
