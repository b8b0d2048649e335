"""On a schedule: asks for the reports that are due, and looks after those that nobody heard of."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.domain.errors import CutlassError
from cutlass.functions.reports import spec_of
from cutlass.storage import Store, open_store

PER_RUN = 200
"""Schedules, and open reports, that one run looks at; the next goes on behind what it has done."""

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
def handler(_event: dict[str, Any], _context: object) -> None:
    """Ask for what is due, then look after what is open; a failure is raised behind all that could be done."""
    store = open_store()
    failures: list[CutlassError] = []
    metrics.add_dimension(name="Region", value=store.region)
    for name, work in (("ScheduledReports", _ask), ("ReportsLookedAfter", _look_after)):
        try:
            metrics.add_metric(name=name, unit=MetricUnit.Count, value=work(store))
        except CutlassError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _ask(store: Store) -> int:
    return store.schedules.run(PER_RUN, spec_of)


def _look_after(store: Store) -> int:
    return store.reports.sweep(PER_RUN)
