"""Consumer of the queue `stream-failures`: does again what a stream's consumer gave up.

A message says where a batch stands in its stream, not what is in it, and DynamoDB keeps the records for a day:
they are read again and given to the function that failed on them. Until that succeeds the message comes again,
and in the end goes to the dead-letter queue.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from cutlass.contracts import load_functions
from cutlass.functions import alert_evaluator, alert_outbox, compensator, meter, report_dispatcher, terms
from cutlass.storage import keys, open_store
from cutlass.storage.streams import Record, Span, open_streams

logger = Logger()
processor = BatchProcessor(EventType.SQS)

LOST_METRIC = "StreamRecordsLost"
"""Counts records that were no longer in the stream; again with every try, so the sum says more than was lost."""


class RecoveryError(Exception):
    """A failed batch could not be done again, or not wholly."""


def handler(event: dict[str, Any], context: Any) -> Any:
    """Recover each message's batch; messages that fail come again."""
    return process_partial_response(event=event, record_handler=recover, processor=processor, context=context)


def recover(record: SQSRecord, lambda_context: Any = None) -> None:
    """Do one failed batch again.

    Raises
    ------
    RecoveryError
        The message is not a stream's failure, the function failed again, or records were gone; those that
        were left are done then.
    """
    try:
        _recover(record.body, lambda_context)
    except Exception:
        logger.exception("not recovered", message_id=record.message_id)
        raise


def _recover(body: str, context: Any) -> None:
    name, span = _notice(body)
    records = open_streams().read(span)
    if records:
        _again(name, records, context)
        logger.info("recovered", function=name, records=len(records), shard=span.shard, first=span.first)
    lost = span.count - len(records)
    if lost > 0:
        with single_metric(LOST_METRIC, MetricUnit.Count, lost) as metric:
            metric.add_dimension("function", name)
        raise RecoveryError(
            f"{lost} of {span.count} records for {name} are no longer in the stream: they are lost"
        )


def _notice(body: str) -> tuple[str, Span]:
    """Return the failed function and where its records are, from the message Lambda sent."""
    try:
        notice = json.loads(body)
        resource = notice["requestContext"]["functionArn"].split(":")[6]
        where = notice["DDBStreamBatchInfo"]
        first, last = where["startSequenceNumber"], where["endSequenceNumber"]
        span = Span(where["streamArn"], where["shardId"], first, last, int(where["batchSize"]))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise RecoveryError(f"the message is not a stream's failure: {type(error).__name__}: {error}") from error
    settings = open_store().settings
    functions = load_functions()
    for name in _AGAIN:
        if functions[name].resource(settings.environment, settings.region) == resource:
            return name, span
    raise RecoveryError(f"nothing is known of recovering {resource}; known are {', '.join(_AGAIN)} of this region")


def _again(name: str, records: list[Record], context: Any) -> None:
    answer = _AGAIN[name]({"Records": records}, context)
    failed = len(answer["batchItemFailures"])
    if failed:
        raise RecoveryError(f"{name} failed again, on {failed} of {len(records)} records")


def _meter_again(event: dict[str, Any], context: Any) -> Any:
    """Record the decisions. Usage takes those that come before the last one it counted for counted, too."""
    return meter.handler(event, context)


def _terms_again(event: dict[str, Any], context: Any) -> Any:
    """Apply the items as they are by now: an older state must not come after a newer one."""
    store = open_store()
    table = store.settings.table(keys.ORGANISATIONS)
    changes = {json.dumps(record["dynamodb"]["Keys"], sort_keys=True): record for record in event["Records"]}
    records = []
    for record in changes.values():
        key = record["dynamodb"]["Keys"]
        answer = store.dynamo.call("GetItem", {"TableName": table, "Key": key, "ConsistentRead": True})
        if "Item" in answer:
            records.append({**record, "dynamodb": {**record["dynamodb"], "NewImage": answer["Item"]}})
    return terms.handler({"Records": records}, context) if records else {"batchItemFailures": []}


def _compensator_again(event: dict[str, Any], context: Any) -> Any:
    """Look at the charges once more; what was refunded meanwhile is not refunded again."""
    return compensator.handler(event, context)


def _evaluator_again(event: dict[str, Any], context: Any) -> Any:
    """Look at the figures as they are by now."""
    return alert_evaluator.handler(event, context)


def _outbox_again(event: dict[str, Any], context: Any) -> Any:
    """Send the messages; one that was sent before is told once."""
    return alert_outbox.handler(event, context)


def _dispatcher_again(event: dict[str, Any], context: Any) -> Any:
    """Send the messages once more; what was begun meanwhile is not begun again."""
    return report_dispatcher.handler(event, context)


def _archiver_again(event: dict[str, Any], context: Any) -> Any:
    """Archive the entries; those that are there are there once."""
    from cutlass.functions import archiver  # noqa: PLC0415 - brings DuckDB, which nothing else here needs

    return archiver.handler(event, context)


def _looked_at(_event: dict[str, Any], _context: Any) -> Any:
    """Do nothing: what the records say is old, and the schedule has looked at everything since."""
    return {"batchItemFailures": []}


_AGAIN: Mapping[str, Callable[[dict[str, Any], Any], Any]] = {
    "meter": _meter_again,
    "terms": _terms_again,
    "compensator": _compensator_again,
    "alert-evaluator": _evaluator_again,
    "alert-outbox": _outbox_again,
    "report-dispatcher": _dispatcher_again,
    "archiver": _archiver_again,
    "rebalance": _looked_at,
    "gateway-keys": _looked_at,
}
