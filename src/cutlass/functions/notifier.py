"""Consumer of the queue `notifications`: tells alerts, and reports of schedules, to whom they are for.

A message that fails comes again, and after its last receive goes to the dead-letter queue; `cutlass dead-letters`
says why.
"""

from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.notifications.consumer import AlertMessage, Message, consume
from cutlass.notifications.desk import open_desk
from cutlass.notifications.digests import NOTIFICATIONS
from cutlass.notifications.report_mail import KIND, ReportMessage
from cutlass.notifications.telling import Told

metrics = Metrics()

_AT_ONCE = 4


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Tell a batch of alerts, a few at once: SES takes only so many mails a second."""
    desk = open_desk()
    teller, reports, told = desk.teller(), desk.report_teller, list[Told]()

    def tell(message: Message) -> None:
        match message.body:
            case {"kind": str(kind)} if kind == KIND:
                told.append(reports.tell(ReportMessage.read(message.body)))
            case body:
                told.append(teller.tell(AlertMessage.read(body)))

    answer = consume(event, NOTIFICATIONS, tell, desk.store.deliveries, context, at_once=_AT_ONCE)
    metrics.add_dimension(name="Region", value=desk.store.region)
    for name, count in (
        ("MailsSent", sum(one.sent for one in told)),
        ("MailsHeld", sum(one.held for one in told)),
        ("MailsSuppressed", sum(one.suppressed for one in told)),
        ("AlertsNotTold", len(answer["batchItemFailures"])),
    ):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    return answer
