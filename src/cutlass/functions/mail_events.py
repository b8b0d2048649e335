"""Consumer of the queue `mail-events`: bounces, complaints, and mails that SES could not send."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.domain.deliveries import Status
from cutlass.notifications.consumer import Message, consume
from cutlass.notifications.mail_events import MailEvent, apply, read_event
from cutlass.storage import open_store

logger = Logger()
metrics = Metrics()

QUEUE = "mail-events"


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take a batch of events in."""
    store = open_store()
    seen: list[MailEvent] = []

    def take(message: Message) -> None:
        told = read_event(message.body)
        added = apply(store.deliveries, told)
        seen.append(told)
        # Whose address it is stays out of the log; the delivery log has it.
        logger.info(
            "mail event",
            status=told.status,
            reason=told.reason,
            org_id=told.org_id,
            alert_id=told.alert_id,
            suppressed=added,
        )

    answer = consume(event, QUEUE, take, store.deliveries, context)
    metrics.add_dimension(name="Region", value=store.region)
    for name, status in (
        ("MailsBounced", Status.BOUNCED),
        ("MailsComplained", Status.COMPLAINED),
        ("MailsNotSent", Status.FAILED),
    ):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=sum(one.status is status for one in seen))
    return answer
