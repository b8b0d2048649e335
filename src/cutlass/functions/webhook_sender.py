"""Consumer of the queue `webhooks`: calls organisations' webhooks, again and again over hours where they fail.

Between two tries the message itself waits in the queue, hidden for as long as the pause is. After its last receive
it goes to the dead-letter queue.
"""

from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.contracts import load_queues
from cutlass.domain.deliveries import Status
from cutlass.notifications.calling import CallLaterError
from cutlass.notifications.consumer import AlertMessage, Message, consume
from cutlass.notifications.desk import open_desk
from cutlass.notifications.telling import WEBHOOKS

metrics = Metrics()

_AT_ONCE = 10


@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Call the webhooks of a batch side by side, so that a slow one holds up no other."""
    desk = open_desk()
    ends: list[Status | None] = []

    def call(message: Message) -> None:
        try:
            ends.append(desk.webhooks.call(AlertMessage.read(message.body), message.receives))
        except CallLaterError as error:
            desk.store.queues.delay(WEBHOOKS, message.receipt, _delay(message, error.seconds))
            raise

    answer = consume(event, WEBHOOKS, call, desk.store.deliveries, context, at_once=_AT_ONCE)
    metrics.add_dimension(name="Region", value=desk.store.region)
    for name, count in (
        ("WebhooksTaken", ends.count(Status.SENT)),
        ("WebhooksRefused", ends.count(Status.REFUSED) + ends.count(Status.GONE)),
        ("WebhooksFailed", len(answer["batchItemFailures"])),
    ):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    return answer


def _delay(message: Message, seconds: int) -> int:
    """What was received for the last time goes to the dead-letter queue now, not after a pause nobody uses."""
    dead_letter = load_queues()[WEBHOOKS].dead_letter
    return 0 if dead_letter is not None and message.receives >= dead_letter.max_receives else seconds
