"""What SES tells of mails that were handed over: bounces, complaints, and what it could not send.

An address that bounced for good, or whose owner complained, is written to no more, by any organisation: every such
mail counts against all that are sent. SES keeps a list of its own too (infra/400-messaging-layer/mail.tf); with
ours the delivery log says why nothing was sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cutlass.domain.deliveries import Status
from cutlass.notifications.consumer import BadMessageError
from cutlass.notifications.mail import read_tag
from cutlass.notifications.telling import ALERT_TAG, ORGANISATION_TAG
from cutlass.storage.deliveries import Deliveries

_PERMANENT = "Permanent"
_NOT_SPAM = "not-spam"


@dataclass(frozen=True, slots=True)
class MailEvent:
    """What became of a mail: of which alert, at which addresses, and whether they are written to no more."""

    status: Status
    addresses: tuple[str, ...]
    reason: str
    suppress: bool
    org_id: str | None = None
    alert_id: str | None = None


def read_event(body: Any) -> MailEvent:
    """Read an event of SES; raises `BadMessageError` for what is none that was asked for."""
    try:
        return _read(body)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise BadMessageError(f"the message is no event of SES: {type(error).__name__}: {error}") from None


def _read(body: Mapping[str, Any]) -> MailEvent:
    kind = body.get("eventType") or body["notificationType"]
    mail = body["mail"]
    org_id, alert_id = (_tag(mail.get("tags") or {}, name) for name in (ORGANISATION_TAG, ALERT_TAG))
    of = {"org_id": org_id, "alert_id": alert_id}
    if kind == "Bounce":
        bounce = body["bounce"]
        addresses = tuple(str(one["emailAddress"]) for one in bounce["bouncedRecipients"])
        reason = f"bounced: {bounce['bounceType']}, {bounce.get('bounceSubType', 'no more is known')}"
        # SES tries on for hours after a transient one, and tells of it when it gives up: the next may arrive.
        return MailEvent(Status.BOUNCED, addresses, reason, bounce["bounceType"] == _PERMANENT, **of)
    if kind == "Complaint":
        complaint = body["complaint"]
        addresses = tuple(str(one["emailAddress"]) for one in complaint["complainedRecipients"])
        feedback = complaint.get("complaintFeedbackType")
        reason = f"complained: {feedback or 'no more is known'}"
        return MailEvent(Status.COMPLAINED, addresses, reason, feedback != _NOT_SPAM, **of)
    addresses = tuple(str(address) for address in mail["destination"])
    if kind == "Reject":
        return MailEvent(
            Status.FAILED, addresses, f"SES rejected it: {body['reject']['reason']}", suppress=False, **of
        )
    if kind in {"Rendering Failure", "RenderingFailure"}:
        why = (body.get("failure") or {}).get("errorMessage", "no more is known")
        return MailEvent(Status.FAILED, addresses, f"SES could not fill it in: {why}", suppress=False, **of)
    raise BadMessageError(f"the message is an event of SES that nobody asked for: {kind}")


def apply(deliveries: Deliveries, event: MailEvent) -> int:
    """Take an event in, once or many times alike; returns the addresses that are suppressed from now on."""
    added = 0
    for address in event.addresses:
        if event.suppress:
            added += deliveries.suppress(address, event.reason)
        if event.org_id and event.alert_id:
            deliveries.mark(event.org_id, event.alert_id, address, event.status, event.reason)
    return added


def _tag(tags: Mapping[str, Any], name: str) -> str | None:
    try:
        return read_tag(tags[name][0])
    except (KeyError, IndexError, ValueError):
        return None
