"""On a schedule: what has to happen although nobody asks for it."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.storage import open_store

SECONDS = 40.0
"""How long one run may take; the next goes on from where it stopped."""

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
def handler(_event: dict[str, Any], _context: object) -> None:
    """Keep house in this region for a while."""
    store = open_store()
    kept = store.housekeeping.run(SECONDS)
    for failure in kept.failed:
        logger.warning("an organisation could not be kept", organisation=failure)
    if kept.ended_units or kept.settled:
        logger.info("house kept", ended_units=kept.ended_units, settled=kept.settled)
    metrics.add_dimension(name="Region", value=store.region)
    for name, count in (
        ("OrganisationsLookedAt", kept.looked_at),
        ("PeriodsOpenedAhead", kept.opened),
        ("UnitsEnded", kept.ended_units),
        ("AllotmentsSettled", kept.settled),
        ("HousekeepingFailures", len(kept.failed)),
        ("HousekeepingUnfinished", 0 if kept.whole else 1),
    ):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
