"""Stream consumer of the reports table: tells the queues what is to be done next.

The record is its own outbox: a job is written first and the stream tells of it until its message is sent, so no
crash loses one. A message may come twice, and says no more than which report it is about.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from cutlass.storage import Store, open_store
from cutlass.storage.codec import Item, decode_item
from cutlass.storage.report_items import is_job, job_from_item

logger = Logger()
processor = BatchProcessor(EventType.DynamoDBStreams)


def handler(event: dict[str, Any], context: Any) -> Any:
    """Send what a batch asks for; the first record that fails is sent again with all behind it."""
    return process_partial_response(event=event, record_handler=dispatch, processor=processor, context=context)


def dispatch(record: DynamoDBRecord) -> None:
    """Send what one stream record asks for."""
    image = record.raw_event["dynamodb"].get("NewImage")
    if image is not None:
        dispatch_item(open_store(), decode_item(image))


def dispatch_item(store: Store, item: Item) -> None:
    """Send the message of a job of this region; copies of other regions' jobs are theirs to send."""
    if not is_job(item):
        return
    job = job_from_item(item)
    if job.region != store.region or job.to_send is None:
        return
    message: dict[str, Any] = {"v": 1, "org_id": job.org_id, "report_id": job.report_id}
    if job.to_send == "notifications":
        message["kind"] = "report_ready"
    store.queues.send(job.to_send, message)
    logger.info("report dispatched", queue=job.to_send, report_id=job.report_id)
