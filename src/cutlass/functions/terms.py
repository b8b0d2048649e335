"""Stream consumer of the organisations table: changed terms and new grants into this region's items.

The table is global, so changes made in any region arrive here.
"""

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.pools import mint
from cutlass.storage import Store, open_store
from cutlass.storage.codec import Item, decode_item
from cutlass.storage.directory import grant_from_item, organisation_from_item, user_from_item

logger = Logger()
processor = BatchProcessor(EventType.DynamoDBStreams)


def handler(event: dict[str, Any], context: Any) -> Any:
    """Apply a batch; the first record that fails is sent again with all behind it."""
    return process_partial_response(event=event, record_handler=apply, processor=processor, context=context)


def apply(record: DynamoDBRecord) -> None:
    """Apply the change that one stream record tells of."""
    image = record.raw_event["dynamodb"].get("NewImage")
    if image is not None:
        apply_item(open_store(), decode_item(image))


def apply_item(store: Store, item: Item) -> None:
    """Apply an organisation, user, grant or void to the region of the store, once or many times alike."""
    _apply(store, item)
    store.alert_dues.changed(item)


def _apply(store: Store, item: Item) -> None:
    partition, sort_key = item["pk"], item["sk"]
    if partition.endswith("#grants"):
        _apply_grant(store, item)
    elif sort_key == "org":
        told = store.keeper.apply_organisation(organisation_from_item(item))
        logger.info("organisation applied", org_id=item["org_id"], rev=item["rev"], allotments=told)
    elif sort_key.startswith("user#"):
        organisation, _ = store.directory.find(item["org_id"])
        if organisation:
            store.keeper.apply_user(organisation, user_from_item(item))


def _apply_grant(store: Store, item: Item) -> None:
    if item["sk"].endswith("#void"):
        # The ledger learns what ended from the pool's own change, in every region.
        store.keeper.apply_void(store.grants.get(item["org_id"], item["sk"].removesuffix("#void")).grant)
        return
    grant = grant_from_item(item)
    store.keeper.apply_grant(grant)
    home = item["pk"].partition("#")[0]
    if home == store.region:
        entry = LedgerEntry(
            kind=EntryKind.GRANT,
            entry_id=grant.grant_id,
            at=grant.created_at,
            region=home,
            org_id=grant.org_id,
            meter=grant.meter,
            units=grant.amount,
            before=0,
            after=grant.amount,
            user_id=grant.user_id,
            reason=str(grant.category),
            spent=((mint(grant, home).key, grant.amount),),
            effective_at=grant.effective_at,
        )
        store.ledger.record([entry])
