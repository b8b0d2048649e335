"""Stream consumer of the ledger: this region's entries into its archive."""

from functools import cache
from typing import Any

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.reporting import Archive
from cutlass.reporting.archiver import Archiver
from cutlass.storage.settings import Settings

metrics = Metrics()


@cache
def open_archiver() -> Archiver:
    """Open the archive of the region this process runs in, once per process."""
    return Archiver(Archive.from_environment().own, Settings.from_environment().region)


@metrics.log_metrics
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Archive a batch; a failure is raised, so that the event source mapping sends the batch again, halved."""
    done = open_archiver().archive(event["Records"])
    metrics.add_dimension(name="Region", value=Settings.from_environment().region)
    metrics.add_metric(name="EntriesArchived", unit=MetricUnit.Count, value=done.entries)
    metrics.add_metric(name="ArchiveFiles", unit=MetricUnit.Count, value=done.files)
    metrics.add_metric(name="ArchiveBytes", unit=MetricUnit.Bytes, value=done.bytes)
    return {"batchItemFailures": []}
