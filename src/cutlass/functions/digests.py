"""On a schedule: sends what quiet hours and digests held back, when it is due."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.notifications.desk import open_desk

metrics = Metrics()

_MARGIN_MS = 10_000
"""What is left of the function's time when it begins no other mail."""


@metrics.log_metrics
def handler(_event: object, context: Any) -> dict[str, int]:
    """Send what is due; a mail that fails is tried again by the next run."""
    desk = open_desk()
    done = desk.digests.send_due(lambda: context.get_remaining_time_in_millis() > _MARGIN_MS)
    metrics.add_dimension(name="Region", value=desk.store.region)
    for name, count in (("DigestsSent", done.mails), ("DigestsFailed", done.failures)):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    return asdict(done)
