"""Bounces and complaints end in suppression, other events in the log, anything else in the dead-letter queue."""

from typing import Any

import pytest

from cutlass.domain.deliveries import Status
from cutlass.notifications.consumer import BadMessageError
from cutlass.notifications.mail import _tags
from cutlass.notifications.mail_events import read_event

TAGS = {name: [value] for name, value in _tags({"organisation": "org456", "alert": "80%@org:org456"}).items()}
MAIL = {"messageId": "m-1", "destination": ["ops@example.com"], "tags": TAGS}


def bounce(kind: str) -> dict[str, Any]:
    recipients = [{"emailAddress": "ops@example.com", "action": "failed"}]
    told = {"bounceType": kind, "bounceSubType": "General", "bouncedRecipients": recipients}
    return {"eventType": "Bounce", "mail": MAIL, "bounce": told}


def complaint(**more: Any) -> dict[str, Any]:
    told = {"complainedRecipients": [{"emailAddress": "ops@example.com"}]} | more
    return {"eventType": "Complaint", "mail": MAIL, "complaint": told}


@pytest.mark.parametrize(
    ("body", "status", "suppress"),
    [
        (bounce("Permanent"), Status.BOUNCED, True),
        (bounce("Transient"), Status.BOUNCED, False),
        (bounce("Undetermined"), Status.BOUNCED, False),
        (complaint(), Status.COMPLAINED, True),
        (complaint(complaintFeedbackType="abuse"), Status.COMPLAINED, True),
        (complaint(complaintFeedbackType="not-spam"), Status.COMPLAINED, False),
        ({"eventType": "Reject", "mail": MAIL, "reject": {"reason": "Bad content"}}, Status.FAILED, False),
        (
            {"eventType": "Rendering Failure", "mail": MAIL, "failure": {"errorMessage": "no used"}},
            Status.FAILED,
            False,
        ),
    ],
)
def test_an_event_says_what_follows(body: dict[str, Any], status: Status, suppress: bool) -> None:
    event = read_event(body)
    assert (event.status, event.suppress, event.addresses) == (status, suppress, ("ops@example.com",))
    assert (event.org_id, event.alert_id) == ("org456", "80%@org:org456")


def test_a_notification_of_an_identity_is_read_too() -> None:
    told = {key: value for key, value in bounce("Permanent").items() if key != "eventType"}
    assert read_event(told | {"notificationType": "Bounce"}).suppress


def test_mail_that_is_not_of_an_alert_is_suppressed_all_the_same() -> None:
    event = read_event(bounce("Permanent") | {"mail": {"destination": ["ops@example.com"]}})
    assert event.suppress
    assert (event.org_id, event.alert_id) == (None, None)


def test_tags_of_others_are_not_taken_for_ours() -> None:
    tags = {"organisation": ["ä"], "alert": ["="]}
    assert read_event(bounce("Permanent") | {"mail": MAIL | {"tags": tags}}).org_id is None


@pytest.mark.parametrize(
    "body",
    [
        *(None, [], "text", 7, {}, {"eventType": "Bounce"}, {"eventType": "Bounce", "mail": MAIL}),
        *({"eventType": "Delivery", "mail": MAIL}, {"eventType": "Bounce", "mail": MAIL, "bounce": {}}),
    ],
)
def test_what_is_no_event_is_poison(body: Any) -> None:
    with pytest.raises(BadMessageError):
        read_event(body)


def test_a_tag_that_would_be_too_long_is_left_out() -> None:
    assert _tags({"organisation": "o" * 300, "alert": "a"}) == {}
