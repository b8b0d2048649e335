"""Scheduled reports: every run once, keyed by when it is due, whatever comes between."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cutlass.contracts import load_reports
from cutlass.domain.errors import InvalidRequestError, NotFoundError, NotInPlanError
from cutlass.domain.periods import PeriodRule, from_millis
from cutlass.domain.report_jobs import Job, State
from cutlass.domain.reports import ReportSpec
from cutlass.domain.schedules import MAX_SCHEDULES, Every, Schedule
from tests.support.desk import Desk
from tests.support.faults import CrashError
from tests.support.world import World

MONTHLY = {"type": "summary", "format": "pdf"}


def spec_of(org_id: str, body: dict[str, object]) -> ReportSpec:
    return ReportSpec.of(org_id, body, load_reports())


@pytest.fixture
def desk(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    """A world whose organisation may have schedules, in a zone whose clocks move."""
    world.found(plan="premium", period=PeriodRule(1, "Europe/London"))
    return Desk(world).install(monkeypatch, tmp_path)


def put(desk: Desk, name: str = "monthly", region: str = "london", **changes: object) -> Schedule:
    wanted = {"user_id": "ann", "every": Every.MONTH, "at_minutes": 360, "report": MONTHLY} | changes
    return desk.world.stores[region].schedules.put(desk.world.org, name, **wanted, spec_of=spec_of)[0]


def run(desk: Desk, region: str = "london") -> int:
    return desk.world.stores[region].schedules.run(200, spec_of)


def made(desk: Desk, region: str = "london") -> list[Job]:
    return desk.world.stores[region].reports.page(desk.world.org, limit=50).items[::-1]


def test_a_run_reports_the_month_before_and_is_told_of_once(desk: Desk) -> None:
    schedule = put(desk)
    assert from_millis(schedule.due_ms) == datetime(2026, 12, 1, 6, tzinfo=UTC)
    run(desk)
    assert made(desk) == [], "it is not due"
    desk.world.now = datetime(2026, 12, 1, 6, tzinfo=UTC)
    for _ in range(3):
        run(desk)
    (job,) = made(desk)
    assert (job.feature, job.units, job.schedule) == ("report.schedule", 3, "monthly")
    assert job.report["from"] == "2026-11-01T00:00:00+00:00"
    assert job.report["to"] == "2026-12-01T00:00:00+00:00"
    desk.dispatch()
    desk.work(job)
    told = [message for queue, message in desk.dispatch() if queue == "notifications"]
    assert told == [{"v": 1, "kind": "report_ready", "org_id": desk.world.org, "report_id": job.report_id}]
    schedule = desk.world.stores["london"].schedules.get(desk.world.org, "monthly")
    assert (schedule.last_report, schedule.last_outcome) == (job.report_id, "made")
    assert from_millis(schedule.due_ms) == datetime(2027, 1, 1, 6, tzinfo=UTC)
    assert (desk.paid(), desk.audit()) == ((3, 0), [])


@pytest.mark.parametrize("call", range(1, 10))
def test_a_clock_that_dies_at_any_step_asks_once(desk: Desk, monkeypatch: pytest.MonkeyPatch, call: int) -> None:
    put(desk)
    desk.world.now = datetime(2026, 12, 1, 6, tzinfo=UTC)
    store, calls = desk.world.stores["london"], 0
    real = store.dynamo.call

    def dying(operation: str, request: dict[str, object]) -> dict[str, object]:
        nonlocal calls
        answer = real(operation, request)
        calls += 1
        if calls == call:
            raise CrashError
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(store.dynamo, "call", dying)
        try:
            run(desk)
        except CrashError:
            pass
        else:
            assert calls < call
    run(desk)
    assert len(made(desk)) == 1
    assert desk.paid() == (0, 3)


def test_a_clock_that_stood_still_makes_up_for_every_day(desk: Desk) -> None:
    put(desk, every=Every.DAY)
    desk.world.pass_time(days=3)
    while run(desk):
        pass
    spans = sorted((job.report["from"][:10], job.report["to"][:10]) for job in made(desk))
    assert spans == [("2026-11-22", "2026-11-23"), ("2026-11-23", "2026-11-24"), ("2026-11-24", "2026-11-25")]


def test_a_run_that_is_refused_is_told_and_the_next_one_comes(desk: Desk) -> None:
    desk.world.stores["london"].organisations.put_user(desk.world.org, "ann", limits={"reports": 2})
    desk.world.replicate()
    put(desk, every=Every.DAY)
    desk.world.pass_time(days=1)
    run(desk)
    schedule = desk.world.stores["london"].schedules.get(desk.world.org, "monthly")
    assert (schedule.last_report, schedule.last_outcome) == (None, "user_limit_reached")
    assert schedule.due_ms > schedule.last_due_ms
    assert (made(desk), desk.paid()) == ([], (0, 0))


def test_a_plan_without_schedules_has_none(desk: Desk) -> None:
    desk.world.stores["london"].organisations.put(desk.world.org + "basic", plan="basic", home_region="london")
    desk.world.stores["london"].organisations.put_user(desk.world.org + "basic", "ann", limits={})
    desk.world.org += "basic"
    with pytest.raises(NotInPlanError):
        put(desk)


@pytest.mark.parametrize("report", [{"type": "nonsense"}, {"type": "usage", "group_by": ["colour"]}])
def test_a_schedule_of_what_cannot_be_made_is_refused(desk: Desk, report: dict[str, object]) -> None:
    with pytest.raises(InvalidRequestError):
        put(desk, report=report)


def test_a_schedule_is_changed_from_the_other_region_and_run_by_its_own(desk: Desk) -> None:
    put(desk)
    desk.world.replicate()
    changed = put(desk, region="sydney", every=Every.DAY)
    assert (changed.region, changed.rev) == ("london", 2)
    desk.world.pass_time(days=1)
    run(desk, "sydney")
    assert made(desk, "sydney") == []
    run(desk)
    assert [job.region for job in made(desk)] == ["london"]


def test_a_deleted_schedule_does_not_run(desk: Desk) -> None:
    put(desk, every=Every.DAY)
    schedules = desk.world.stores["london"].schedules
    schedules.delete(desk.world.org, "monthly")
    with pytest.raises(NotFoundError):
        schedules.delete(desk.world.org, "monthly")
    desk.world.pass_time(days=2)
    run(desk)
    assert (made(desk), schedules.page(desk.world.org).items) == ([], [])


def test_replacing_a_schedule_leaves_one_next_run(desk: Desk) -> None:
    put(desk, every=Every.DAY)
    put(desk, every=Every.DAY, at_minutes=720)
    put(desk, every=Every.DAY, at_minutes=360)
    desk.world.pass_time(days=1)
    run(desk)
    (job,) = made(desk)
    desk.work(job)
    assert desk.get(job).state is State.SUCCEEDED


def test_an_organisation_has_so_many_schedules_and_no_more(desk: Desk) -> None:
    for number in range(MAX_SCHEDULES):
        put(desk, f"s{number}")
    with pytest.raises(Exception, match="the most there may be"):
        put(desk, "one-more")
    assert put(desk, "s7", every=Every.DAY).every is Every.DAY
