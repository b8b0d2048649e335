"""Decides on alerts: started by changes of usage, and on a schedule by the looks that are due."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.storage import open_store

SECONDS = 40.0
"""How long one run of the schedule may take; the next goes on from where it stopped."""

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Look at what a batch touched, or what is due; a failure is raised, so that the batch comes again, halved."""
    store = open_store()
    if "Records" in event:
        recorded = store.alert_evaluator.record(event["Records"])
    else:
        done = store.alert_rounds.run(SECONDS)
        recorded = done.alerts
        metrics.add_metric(name="AlertLooks", unit=MetricUnit.Count, value=done.looks)
        metrics.add_metric(name="AlertLooksUnfinished", unit=MetricUnit.Count, value=0 if done.whole else 1)
    if recorded:
        logger.info("alerts recorded", alerts=recorded)
    metrics.add_dimension(name="Region", value=store.region)
    metrics.add_metric(name="AlertsRecorded", unit=MetricUnit.Count, value=recorded)
    return {"batchItemFailures": []}
