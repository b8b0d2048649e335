"""What tells alerts in the region this process runs in, put together once."""

from functools import cache, cached_property

from cutlass.contracts import load_emails
from cutlass.domain.errors import ContractError
from cutlass.notifications.calling import Webhooks
from cutlass.notifications.digests import Digests
from cutlass.notifications.mail import Mailer
from cutlass.notifications.report_mail import ReportTeller
from cutlass.notifications.telling import AlertBook, Remembered, Teller
from cutlass.notifications.webhook import Caller
from cutlass.storage import Store, open_store
from cutlass.storage.aws import SES, Aws


class Desk:
    """The deliverers of one region.

    Parameters
    ----------
    book : AlertBook
        Where alerts and settings are read.
    """

    def __init__(self, store: Store, book: AlertBook, *, caller: Caller | None = None) -> None:
        self.store = store
        self._book = book
        self._settings = store.settings
        self._aws_region = store.topology.regions[store.region].aws_region
        self._caller = caller

    @cached_property
    def mailer(self) -> Mailer:
        """What sends mail; raises `ContractError` where nothing says from whom."""
        if not self._settings.mail_from:
            raise ContractError("environment variable CUTLASS_MAIL_FROM is not set: from whom does mail come?")
        where = self._settings.environment, self._settings.region
        ses = Aws(SES, self._aws_region, endpoint=self._settings.endpoint)
        return Mailer(ses, load_emails(), self._settings.mail_from, lambda email: email.resource(*where))

    def teller(self) -> Teller:
        """Make what tells the alerts of one batch."""
        book = Remembered(self._book)
        return Teller(book, self.store.deliveries, self.mailer, self.store.queues, self.store.clock)

    @cached_property
    def report_teller(self) -> ReportTeller:
        """What mails reports that were made on a schedule."""
        store = self.store
        return ReportTeller(
            store.reports, store.report_files, self._book, store.deliveries, self.mailer, store.clock
        )

    @cached_property
    def digests(self) -> Digests:
        """What sends the alerts that were held back."""
        return Digests(self._book, self.store.deliveries, self.mailer, self.store.queues)

    @cached_property
    def webhooks(self) -> Webhooks:
        """What calls webhooks."""
        loopback = self._settings.loopback_webhooks
        caller = self._caller or Caller(loopback=loopback)
        environment = self._settings.environment
        return Webhooks(
            self._book, self.store.deliveries, caller, environment, self.store.clock, loopback=loopback
        )


@cache
def open_desk() -> Desk:
    """Open the desk of the region this process runs in, once per process."""
    store = open_store()
    return Desk(store, store.alerts)
