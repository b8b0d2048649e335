"""Reports as jobs: what is asked for is made, charged and handed out once, whoever dies in between."""

from pathlib import Path

import pytest

from cutlass.domain.decisions import Reason
from cutlass.domain.errors import ConflictError, IdempotencyMismatchError, NotFoundError
from cutlass.domain.report_jobs import State
from tests.support.desk import Desk, raising
from tests.support.world import World


@pytest.fixture
def desk(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    """A world with an organisation that may make ten reports."""
    world.found()
    return Desk(world).install(monkeypatch, tmp_path)


def test_a_report_is_made_and_charged_once_however_often_its_message_comes(desk: Desk) -> None:
    job = desk.job()
    assert desk.paid() == (0, 5), "its units are set aside when it is asked for"
    ((queue, message),) = desk.dispatch()
    assert queue == "reports"
    assert message == {"v": 1, "org_id": desk.world.org, "report_id": job.report_id}
    done = desk.work(job)
    assert done is not None
    assert (done.state, done.percent, done.settled, done.charged) == (State.SUCCEEDED, 100, True, 5)
    assert desk.paid() == (5, 0)
    assert desk.files.keys() == {done.result.key} if done.result else False
    assert desk.work(job) is None, "the message came again"
    desk.sweep()
    assert desk.dispatch() == [], "nothing more is to be done"
    assert (desk.paid(), desk.audit()) == ((5, 0), [])


def test_the_same_request_id_asks_for_one_report(desk: Desk) -> None:
    first = desk.job(request="r1", to="2026-11-22T12:00:00Z")
    desk.world.pass_time(minutes=10)  # past the window of an identical request
    again = desk.ask(request="r1", to="2026-11-22T12:00:00Z")
    assert (again.job, again.made) == (first, False)
    with pytest.raises(IdempotencyMismatchError):
        desk.ask(request="r1", format="csv")
    assert desk.paid() == (0, 5)


def test_an_identical_request_gets_the_same_report_for_nothing(desk: Desk) -> None:
    first = desk.job(request="r1")
    assert desk.job(request="r2", user="bob").report_id == first.report_id, "also while it is made"
    desk.work(first)
    desk.world.pass_time(hours=23)
    answered = desk.ask(request="r3")
    assert answered.job is not None
    assert (answered.job.report_id, answered.made) == (first.report_id, False)
    desk.world.pass_time(hours=2)
    assert desk.job(request="r4").report_id != first.report_id, "its window is over"
    assert (desk.paid(), desk.audit()) == ((5, 5), [])


def test_a_report_that_failed_answers_for_no_other(desk: Desk) -> None:
    with desk.made_by(raising(MemoryError())):
        first = desk.job()
        desk.work(first)
    second = desk.job()
    assert second.report_id != first.report_id
    desk.cancel(second)
    assert desk.job().report_id not in {first.report_id, second.report_id}


def test_the_other_region_answers_with_the_same_report_and_tells_how_far_it_is(desk: Desk) -> None:
    job = desk.job()
    desk.world.replicate()
    answered = desk.ask("sydney")
    assert answered.job is not None
    assert (answered.job.report_id, answered.made) == (job.report_id, False)
    desk.work(job)
    assert desk.get(job, "sydney").state is State.SUCCEEDED, "an open job is looked for where it is made"
    desk.world.replicate()
    desk.world.cut()
    assert desk.get(job, "sydney").charged == 5, "also while the other region does not answer"
    desk.world.heal()


def test_another_organisations_report_does_not_exist(desk: Desk) -> None:
    job = desk.job()
    reports = desk.world.stores["london"].reports
    other = desk.world.org + "x"
    for act in (reports.get, reports.cancel, reports.claim):
        with pytest.raises(NotFoundError):
            act(other, job.report_id)
    assert reports.page(other, limit=10).items == []
    for name in ("london-", "nowhere-1", "", "-"):
        with pytest.raises(NotFoundError):
            reports.get(desk.world.org, name)


def test_reports_are_listed_over_regions_newest_first_page_by_page(desk: Desk) -> None:
    made = []
    for number in range(6):
        made.append(desk.job("london" if number % 2 else "sydney", to=f"2026-10-{number + 2:02d}").report_id)
        desk.world.pass_time(seconds=1)
    desk.world.replicate()
    for region in ("london", "sydney"):
        reports, found, after = desk.world.stores[region].reports, [], None
        while True:
            page = reports.page(desk.world.org, limit=4, after=after)
            found += [job.report_id for job in page.items]
            after = page.next
            if after is None:
                break
        assert found == made[::-1]


# --- refusals ---------------------------------------------------------------------------------------


def test_a_report_beyond_the_limit_is_refused_and_leaves_nothing(desk: Desk) -> None:
    for day in range(10):
        desk.work(desk.job(to=f"2026-10-{day + 2:02d}"))
    answered = desk.ask()
    assert answered.job is None
    assert answered.refused.reason is Reason.USER_LIMIT_REACHED
    assert answered.refused.retry_after is not None
    assert (desk.paid(), desk.audit()) == ((50, 0), [])
    desk.job(to="2026-10-02", request="other-user", user="bob")


def test_a_request_without_a_user_is_paid_by_the_organisation(desk: Desk) -> None:
    for day in range(11):  # more than a user of this plan may
        job = desk.job("sydney" if day % 2 else "london", user=None, to=f"2026-10-{day + 2:02d}")
        assert job.user_id == "cutlass:reports"


def test_a_caller_cannot_end_the_reservation_of_a_report(desk: Desk) -> None:
    job = desk.job()
    reservations = desk.world.stores["london"].reservations
    for end in (reservations.release, reservations.commit):
        with pytest.raises(ConflictError, match="belongs to a report"):
            end(job.reservation_id)
    desk.work(job)
    assert desk.paid() == (5, 0)


# --- cancelling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ["london", "sydney"])
def test_a_cancelled_report_gives_its_units_back(desk: Desk, region: str) -> None:
    job = desk.job()
    assert desk.cancel(job, region).state is State.CANCELLED
    assert desk.cancel(job, region).state is State.CANCELLED
    assert desk.work(job) is None
    desk.sweep()
    assert (desk.paid(), desk.audit(), desk.files) == ((0, 0), [], {})


def test_a_report_that_is_cancelled_while_it_is_made_is_not_charged(desk: Desk) -> None:
    def making(_spec: object, _out: object, _progress: object, _cancelled: object) -> None:
        desk.cancel(job)

    job = desk.job()
    with desk.made_by(making):
        assert desk.work(job) is None
    assert desk.get(job).state is State.CANCELLED
    assert (desk.paid(), desk.audit()) == ((0, 0), [])
    finished = desk.job()
    desk.work(finished)
    with pytest.raises(ConflictError):
        desk.cancel(finished)


def test_a_worker_learns_from_its_beat_that_nobody_wants_its_report(desk: Desk) -> None:
    job = desk.job()
    store = desk.world.stores["london"]
    mine = store.reports.claim(job.org_id, job.report_id)
    assert mine is not None
    assert store.reports.beat(mine, 10)
    desk.cancel(job)
    assert not store.reports.beat(mine, 20)
