"""On a schedule: makes few files of many in this region's archive, and sums of what plans keep no longer."""

import time
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.reporting import Archive
from cutlass.reporting.compaction import Compactor
from cutlass.storage import open_store

SECONDS = 600.0
"""How long one run may begin new work; the next looks at what is left."""

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
def handler(_event: dict[str, Any], _context: object) -> None:
    """Compact this region's archive for a while."""
    store = open_store()
    until = time.monotonic() + SECONDS

    def kept_days(org_id: str) -> int | None:
        organisation, _ = store.directory.find(org_id)
        # Of an organisation that nobody knows nothing is taken away: it may only not have come here yet.
        return organisation.plan_at(store.catalogue, store.clock()).detail_days if organisation else None

    compactor = Compactor(Archive.from_environment().own, store.clock, kept_days, lambda: time.monotonic() > until)
    done = compactor.run()
    if done.summed:
        logger.info("months reduced to their sums", months=done.summed)
    metrics.add_dimension(name="Region", value=store.region)
    for name, count in (
        ("ArchiveFilesWritten", done.written),
        ("ArchiveFilesDeleted", done.deleted),
        ("CompactionUnfinished", 0 if done.whole else 1),
    ):
        metrics.add_metric(name=name, unit=MetricUnit.Count, value=count)
