"""The mail that a report of a schedule is ready: to everyone once, with a link as it was signed."""

import json
from datetime import datetime, timedelta

import pytest

from cutlass.domain.deliveries import Status
from cutlass.domain.errors import UnavailableError
from cutlass.domain.report_jobs import Job, State
from cutlass.notifications.consumer import BadMessageError
from cutlass.notifications.report_mail import ReportMessage, ReportTeller
from cutlass.notifications.telling import NotToldError, Told
from tests.support.permissions import acting
from tests.support.tellers import Desk, crashing_everywhere
from tests.support.telling import settings
from tests.support.world import World

TWO = ("ann@example.com", "bob@example.com")
URL = "https://reports.example.com/a.pdf?b=1&c=2"


class ReportDesk(Desk):
    """A desk with one report that is made, and a link to its file while that is there."""

    def __init__(self, world: World) -> None:
        super().__init__(world, told=settings(*TWO))
        self.there = True
        self.job = Job(
            region=self.region,
            name="r1",
            org_id=world.org,
            user_id="ann",
            feature="report.schedule",
            meter="reports",
            units=3,
            report={"type": "summary", "from": "2026-11-01T00:00:00+00:00", "to": "2026-12-01T00:00:00+00:00"},
            digest="d",
            reservation_id="london-r1",
            created_ms=0,
            deadline_ms=0,
            schedule="monthly",
            state=State.SUCCEEDED,
        )
        mailer, clock = self.ses.mailer(), self.store.clock
        self.reports = ReportTeller(self, self, self.book, self.log, mailer, clock)

    def get(self, org_id: str, report_id: str) -> Job:
        assert (org_id, report_id) == (self.job.org_id, self.job.report_id)
        return self.job

    def link(self, job: Job, now: datetime, *, seconds: int) -> tuple[str, datetime] | None:
        return (URL, now + timedelta(seconds=seconds)) if self.there else None

    def hand_out(self) -> Told:
        """Take the message of the queue `notifications`."""
        with acting("notifier", self.region):
            return self.reports.tell(ReportMessage(self.job.org_id, self.job.report_id))

    def log_of_report(self) -> dict[str, Status]:
        return {entry.target: entry.status for entry in self.log.of(self.job.org_id, self.job.report_id)}


@pytest.fixture
def desk(world: World) -> ReportDesk:
    return ReportDesk(world)


def test_everyone_gets_one_link_however_often_the_message_comes(desk: ReportDesk) -> None:
    assert [desk.hand_out().sent for _ in range(3)] == [2, 0, 0]
    assert desk.ses.addresses == list(TWO)
    template = desk.ses.sent[0][1]["Content"]["Template"]
    values = json.loads(template["TemplateData"])
    assert (template["TemplateName"], values["url"]) == ("report-ready", URL)
    assert (values["report"], values["type"]) == ("london-r1", "summary")
    assert desk.log_of_report() == dict.fromkeys(TWO, Status.SENT)


def test_a_suppressed_address_gets_none_and_a_file_that_is_gone_is_told_to_nobody(desk: ReportDesk) -> None:
    gone = f"{desk.world.org}@example.com"  # other tests on this engine write to the others
    desk.book.default = settings(gone, "bob@example.com")
    desk.log.suppress(gone, "bounce")
    desk.there = False
    assert desk.hand_out() == Told()
    desk.there = True
    assert desk.hand_out() == Told(sent=1, suppressed=1)
    assert desk.ses.addresses == ["bob@example.com"]


def test_one_that_fails_keeps_nobody_else_from_it_and_is_tried_again(desk: ReportDesk) -> None:
    def refuse(address: str) -> None:
        if address == "ann@example.com":
            raise UnavailableError("SES does not answer")

    desk.ses.before = refuse
    with pytest.raises(NotToldError, match=r"ann@example\.com: SES does not answer"):
        desk.hand_out()
    desk.ses.before = lambda _: None
    desk.later()
    assert desk.hand_out().sent == 1
    assert sorted(desk.ses.addresses) == list(TWO)


def test_a_crash_at_any_step_leaves_nobody_without(engine: object) -> None:
    for desk in crashing_everywhere(lambda: ReportDesk(World(engine)), lambda desk: desk.hand_out()):  # type: ignore[attr-defined,arg-type]
        assert isinstance(desk, ReportDesk)
        desk.later()
        desk.hand_out()
        assert set(desk.ses.addresses) == set(TWO)
        assert len(desk.ses.sent) <= 3, "more than the one mail whose answer was lost went out twice"


@pytest.mark.parametrize("body", [{}, {"v": 2, "org_id": "o", "report_id": "r"}, {"v": 1, "org_id": "o"}, "text"])
def test_a_message_that_is_none_is_refused(body: object) -> None:
    with pytest.raises(BadMessageError, match="report_ready"):
        ReportMessage.read(body)
