"""Stream consumer of the ledger: a request charged in two regions is charged once in the end."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.storage import open_store

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Look at a batch; a failure is raised, so that the event source mapping sends the batch again, halved."""
    store = open_store()
    done = store.compensation.compensate(event["Records"])
    if done.refunds:
        logger.info("charges of another region's requests refunded", refunds=done.refunds)
    metrics.add_dimension(name="Region", value=store.region)
    metrics.add_metric(name="ChargesCompared", unit=MetricUnit.Count, value=done.charges)
    metrics.add_metric(name="ChargesCompensated", unit=MetricUnit.Count, value=done.refunds)
    return {"batchItemFailures": []}
