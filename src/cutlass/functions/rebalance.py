"""Moves units between regions ahead of need: started by changes of pools, and by a schedule."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from cutlass.domain.errors import UnavailableError
from cutlass.storage import keys, open_store
from cutlass.storage.codec import decode_item
from cutlass.storage.items import pool_from_item

logger = Logger()
metrics = Metrics()


@metrics.log_metrics
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Pull for pools that will be short; on the schedule, send to other regions' pools that are.

    What a region that does not answer keeps from happening is not tried again here: the next change of the
    pool, or the schedule, finds the same shortage.
    """
    store = open_store()
    if "Records" not in event:
        moved = store.rebalancer.even_out_all()
    else:
        moved = sum(_pull(org_id, meter) for org_id, meter in _short(event["Records"]))
    metrics.add_dimension(name="Region", value=store.region)
    metrics.add_metric(name="UnitsRebalanced", unit=MetricUnit.Count, value=moved)
    return {"batchItemFailures": []}


def _short(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Whose pools in this region will be short, by organisation and meter, as the newest records show them."""
    store = open_store()
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for record in records:
        if image := record["dynamodb"].get("NewImage"):
            item = decode_item(image)
            if "minted" in item:
                newest[item["pk"], item["sk"]] = item
    found: dict[tuple[str, str], None] = {}
    for (pk, _), item in newest.items():
        owner = keys.parse_pool(pk)
        if owner and owner[0] == store.region and store.rebalancer.short_soon(pool_from_item(item)):
            found[owner[1], owner[2]] = None
    return list(found)


def _pull(org_id: str, meter: str) -> int:
    try:
        return open_store().rebalancer.pull_ahead(org_id, meter)
    except UnavailableError as error:
        logger.warning("not rebalanced", org_id=org_id, meter=meter, reason=error.message)
        return 0
