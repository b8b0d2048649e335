"""On a schedule: gives back this region's reservations whose deadline has passed."""

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.storage import open_store

PER_SHARD = 100
"""Deadlines of each shard that one run looks at, so that it ends in its time; the next run goes on."""

metrics = Metrics()


@metrics.log_metrics
def handler(_event: object, _context: object) -> None:
    """End what is overdue; a failure is raised behind all that could be ended."""
    store = open_store()
    expired = store.reservations.expire_overdue(PER_SHARD)
    metrics.add_dimension(name="Region", value=store.region)
    metrics.add_metric(name="ReservationsExpired", unit=MetricUnit.Count, value=expired)
