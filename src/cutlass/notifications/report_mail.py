"""Tells that a report of a schedule is ready: by mail, with a signed link, to those who are told alerts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from cutlass.domain.deliveries import Channel, Delivery, Status, Verdict, same_address, verdict
from cutlass.domain.errors import CutlassError
from cutlass.domain.periods import from_millis
from cutlass.domain.report_jobs import Job
from cutlass.notifications.consumer import BadMessageError
from cutlass.notifications.mail import Mailer
from cutlass.notifications.render import Mail, moment, neutral
from cutlass.notifications.telling import AlertBook, NotToldError, Told, send_mail
from cutlass.storage.deliveries import Deliveries

KIND = "report_ready"
TEMPLATE = "report-ready"

LINK_SECONDS = 6 * 3600
"""How long a mailed link lives, unless the credentials that signed it end before."""


class Shelf(Protocol):
    """The reports of a region, as far as mails need them."""

    def get(self, org_id: str, report_id: str) -> Job:
        """Return a report; raises `NotFoundError`."""


class Links(Protocol):
    """What makes links to files of reports."""

    def link(self, job: Job, now: datetime, *, seconds: int) -> tuple[str, datetime] | None:
        """Return a link and when it ends; None where there is no file any more."""


@dataclass(frozen=True, slots=True)
class ReportMessage:
    """What the queue `notifications` holds of a report: which one is ready."""

    org_id: str
    report_id: str

    @classmethod
    def read(cls, body: Any) -> "ReportMessage":
        """Read it off a message's body; raises `BadMessageError`."""
        match body:
            case {"v": 1, "org_id": str(org_id), "report_id": str(report_id)} if org_id and report_id:
                return cls(org_id, report_id)
        raise BadMessageError('the message is not {"v": 1, "kind": "report_ready", "org_id": …, "report_id": …}')


class ReportTeller:
    """Tells the reports of one region. The delivery log has them under their id: a repeated message tells once."""

    def __init__(
        self,
        shelf: Shelf,
        links: Links,
        book: AlertBook,
        deliveries: Deliveries,
        mailer: Mailer,
        clock: Callable[[], datetime],
    ) -> None:
        self._shelf = shelf
        self._links = links
        self._book = book
        self._deliveries = deliveries
        self._mailer = mailer
        self._clock = clock

    def tell(self, message: ReportMessage) -> Told:
        """Mail a link to everyone who has not got one; a report whose file is gone is told to nobody.

        Raises
        ------
        NotToldError
            It did not reach someone, who is tried again when the message comes again; all others have it.
        """
        told = Told()
        job = self._shelf.get(message.org_id, message.report_id)
        link = self._links.link(job, self._clock(), seconds=LINK_SECONDS)
        addresses = self._addresses(message.org_id)
        if link is None or not addresses:
            return told
        mail = mail_of_report(job, *link)
        sight = self._deliveries.look(message.org_id, message.report_id, addresses)
        problems = []
        for name, address in addresses.items():
            fresh = Delivery(message.org_id, message.report_id, Channel.MAIL, address, Status.QUEUED)
            seen = sight.entries.get(name)
            try:
                if verdict(seen, self._deliveries.now_ms()) is Verdict.DONE:
                    continue
                if name in sight.suppressed:
                    self._deliveries.settle(fresh, seen, Status.SUPPRESSED, error=sight.suppressed[name])
                    told.suppressed += 1
                elif send_mail(self._deliveries, self._mailer, mail, [(fresh, seen)]):
                    told.sent += 1
            except CutlassError as error:
                problems.append(f"{address}: {error.message}")
        if problems:
            raise NotToldError("; ".join(problems))
        return told

    def _addresses(self, org_id: str) -> dict[str, str]:
        by_role = self._book.settings(org_id).recipients.values()
        return {same_address(address): address for addresses in by_role for address in addresses}


def mail_of_report(job: Job, url: str, ends: datetime) -> Mail:
    """Return the mail that hands a report over. The link is ours, and written as it is: it has `&` in it."""
    start, end = (str(job.report.get(name, "")) or moment(from_millis(job.created_ms)) for name in ("from", "to"))
    values = {
        "organisation": job.org_id,
        "report": job.report_id,
        "type": str(job.report.get("type", "")),
        "from": start,
        "to": end,
        "expires_at": moment(ends),
    }
    return Mail(TEMPLATE, {name: neutral(value) for name, value in values.items()} | {"url": url})
