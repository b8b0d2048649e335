"""Deliveries: one per alert and recipient, what became of it, and when it is tried again.

A delivery is claimed before it is tried and finished after it, so that two consumers of one message do not both
send. A claim ends by itself: whoever crashed between the two leaves a delivery that the message's next receive
claims anew. What was handed over just before such a crash is handed over again; nothing is lost.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from cutlass.domain.alerts import Alert, AlertKind, AlertSettings

LEASE_MS = 60_000
"""How long a claim holds: longer than any function that claims may run."""

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 30, 10_800
"""The pauses between tries of a webhook, before they are jittered: twelve tries take some nine hours."""

OWNER, BILLING, TECHNICAL = "owner", "billing", "technical"
"""The roles of recipients."""


class Channel(StrEnum):
    """How an alert reaches someone."""

    MAIL = "mail"
    WEBHOOK = "webhook"


class Status(StrEnum):
    """What became of a delivery."""

    QUEUED = "queued"
    HELD = "held"
    SENDING = "sending"
    FAILED = "failed"
    SENT = "sent"
    SUPPRESSED = "suppressed"
    REFUSED = "refused"
    GONE = "gone"
    BOUNCED = "bounced"
    COMPLAINED = "complained"


FINAL = frozenset({Status.SENT, Status.SUPPRESSED, Status.REFUSED, Status.GONE, Status.BOUNCED, Status.COMPLAINED})
"""What no try follows. After `failed` one does, as long as there is a message that asks for it."""


class Verdict(StrEnum):
    """Whether a delivery may be tried now."""

    TAKE = "take"
    DONE = "done"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Delivery:
    """An entry of the delivery log.

    Attributes
    ----------
    target : str
        The mail address; of a webhook its scheme and host, for the rest of an address may be a secret.
    attempts : int
        How often it was claimed.
    token : str
        Random, of the last claim: two claims of one moment are not taken for the same.
    at_ms, until_ms : int
        When it was last written; until when its claim holds, or it is held back, in milliseconds since 1970.
    reference : str
        What proves that it was handed over: the message id of SES, the status of the webhook's answer.
    error : str
        Why the last try failed.
    """

    org_id: str
    alert_id: str
    channel: Channel
    target: str
    status: Status
    attempts: int = 0
    at_ms: int = 0
    until_ms: int = 0
    reference: str = ""
    error: str = ""
    token: str = ""


def verdict(entry: Delivery | None, now_ms: int, *, held: bool = False) -> Verdict:
    """Say whether what the log has of a delivery lets it be tried now.

    Parameters
    ----------
    held : bool
        Whether it is the digest that asks: what is held back waits for it alone.
    """
    if entry is None:
        return Verdict.TAKE
    if entry.status in FINAL or (entry.status is Status.HELD and not held):
        return Verdict.DONE
    if entry.status is Status.SENDING and entry.until_ms > now_ms:
        return Verdict.BUSY
    return Verdict.TAKE


def claimed(delivery: Delivery, now_ms: int, token: str) -> Delivery:
    """The delivery as it is claimed for one try."""
    return replace(
        delivery,
        status=Status.SENDING,
        attempts=delivery.attempts + 1,
        at_ms=now_ms,
        until_ms=now_ms + LEASE_MS,
        token=token,
    )


def finished(delivery: Delivery, status: Status, now_ms: int, *, reference: str = "", error: str = "") -> Delivery:
    """The delivery after a try, or when it was decided that there will be none."""
    return replace(delivery, status=status, at_ms=now_ms, until_ms=0, reference=reference, error=error[:500])


def pause_seconds(receives: int, chance: float) -> int:
    """How long a webhook's message waits after so many receives: doubling, up to three hours.

    Parameters
    ----------
    chance : float
        Random, from 0 to 1: the pause lies between half of its length and all of it, so that many that failed
        together do not come again together.
    """
    whole = min(FIRST_PAUSE_SECONDS << max(receives - 1, 0), LONGEST_PAUSE_SECONDS)
    return max(1, round(whole * (0.5 + chance / 2)))


def is_urgent(alert: Alert) -> bool:
    """Whether an alert passes quiet hours and the digest: from here on requests are refused, or someone tests."""
    match alert.kind:
        case AlertKind.TEST:
            return True
        case AlertKind.CROSSED:
            return alert.limit is not None and alert.current_value >= alert.limit
        case AlertKind.BALANCE_LOW:
            return alert.current_value <= 0
    return False


def recipients(alert: Alert, settings: AlertSettings) -> tuple[str, ...]:
    """Who is told of an alert by mail, each address once.

    Owners hear of everything; billing of balances, and of limits that are used up, for it can buy more; the
    technical side of usage. A test goes to all. An address is the same however its letters are written.
    """
    found: dict[str, str] = {}
    for role in _roles(alert):
        for address in settings.recipients.get(role, ()):
            found.setdefault(same_address(address), address)
    return tuple(found.values())


def same_address(address: str) -> str:
    """The form in which two spellings of a mail address are one."""
    return address.strip().lower()


def _roles(alert: Alert) -> Iterable[str]:
    match alert.kind:
        case AlertKind.BALANCE_LOW | AlertKind.BALANCE_RESTORED:
            return OWNER, BILLING
        case AlertKind.CROSSED if not is_urgent(alert):
            return OWNER, TECHNICAL
        case AlertKind.RESOLVED:
            return OWNER, TECHNICAL
    return OWNER, BILLING, TECHNICAL
