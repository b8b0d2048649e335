"""What the platform on this machine told: mails that its SES was handed, and calls of webhooks."""

from dataclasses import dataclass
from datetime import UTC, datetime

from cutlass.domain.deliveries import Channel
from cutlass.domain.periods import from_millis
from cutlass.platform.home import Home
from cutlass.platform.local import ACCOUNT
from cutlass.platform.operator import open_stores
from cutlass.platform.running import Running
from cutlass.platform.wire import Wire


@dataclass(frozen=True, slots=True)
class Sent:
    """A mail, or a call of a webhook.

    Attributes
    ----------
    to : str
        The address, or the webhook's scheme and host.
    status : str
        What became of it; a mail in SES is sent.
    """

    at: datetime
    kind: str
    to: str
    status: str
    subject: str
    text: str = ""
    html: str = ""
    reference: str = ""


def read_mailbox() -> list[Sent]:
    """Return all mails and calls of both regions, the oldest first. Mails are forgotten when the emulator stops.

    Raises
    ------
    NotRunningError
        No platform runs in the home folder.
    """
    running = Running.find(Home.from_environment())
    calls = [
        Sent(
            at=from_millis(entry.at_ms),
            kind="webhook",
            to=entry.target,
            status=str(entry.status),
            subject=f"{entry.org_id}: {entry.alert_id}",
            text=entry.error,
            reference=entry.reference,
        )
        for store in open_stores(None).values()
        for entry in store.deliveries.log(Channel.WEBHOOK, store.region)
    ]
    return sorted([*_mails(running.endpoint), *calls], key=lambda sent: sent.at)


def _mails(endpoint: str) -> list[Sent]:
    wire = Wire(endpoint, "us-east-1")
    found = wire.own(f"/_ministack/ses/messages?account={ACCOUNT}")["messages"].get(ACCOUNT, [])
    return [
        Sent(
            at=datetime.fromtimestamp(mail["Timestamp"], UTC),
            kind="mail",
            to=", ".join(mail["To"]),
            status="sent",
            subject=mail["Subject"],
            text=mail["BodyText"],
            html=mail["BodyHtml"] or "",
            reference=mail["MessageId"],
        )
        for mail in found
    ]
