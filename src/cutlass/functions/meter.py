"""Stream consumer of the limits table: decisions into the ledger and the usage."""

from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.storage import open_store

metrics = Metrics()


@metrics.log_metrics
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Record a batch; a failure is raised, so that the event source mapping sends the batch again, halved.

    The decisions' metrics are emitted here and not by the decision itself, which stays lean. A batch told
    again is counted again: the metrics show traffic, the usage table counts.
    """
    store = open_store()
    metered = store.meter.record(event["Records"])
    metrics.add_dimension(name="Region", value=store.region)
    for name, count in (
        ("DecisionsAllowed", metered.decisions),
        ("DecisionsRefused", metered.refusals),
        ("LedgerWrites", metered.segments),
        ("UsageTransactions", metered.rollups),
        ("RingTrims", metered.trims),
    ):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
    return {"batchItemFailures": []}
