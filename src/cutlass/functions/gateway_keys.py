"""Keeps one API key per organisation at this region's gateway, in the usage plan of the organisation's plan.

A change of an organisation comes with the stream of the organisations table, from any region; a schedule looks at
all of them, for a plan that begins with a new period, a gateway that came after its organisations, and a change
that failed. Doing it again changes nothing.
"""

from contextlib import suppress
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.dynamo_db_stream_event import DynamoDBRecord

from cutlass.api.gateway_keys import KEY_PREFIX, key_name, organisation_key, plan_name
from cutlass.api.usage_plans import UsagePlans
from cutlass.domain.errors import CutlassError, NotFoundError
from cutlass.domain.organisations import Organisation
from cutlass.storage import Store, open_store
from cutlass.storage.aws import RefusedError
from cutlass.storage.codec import decode_item
from cutlass.storage.directory import organisation_from_item

logger = Logger()
processor = BatchProcessor(EventType.DynamoDBStreams)


def handler(event: dict[str, Any], context: Any) -> Any:
    """Apply a batch of the stream, whose first failure is sent again with all behind it; or look at everyone."""
    if "Records" in event:
        return process_partial_response(event=event, record_handler=apply, processor=processor, context=context)
    changed = keep_all(open_store(), _usage_plans())
    logger.info("gateway keys", changed=changed)
    return {"changed": changed}


def apply(record: DynamoDBRecord) -> None:
    """Give the organisation that one stream record tells of its key."""
    image = record.raw_event["dynamodb"].get("NewImage")
    if image is not None and image["sk"] == {"S": "org"}:
        keep(open_store(), _usage_plans(), organisation_from_item(decode_item(image)))


def keep(store: Store, gateway: UsagePlans, organisation: Organisation) -> None:
    """Make the organisation's key, or move it, unless this region's gateway has no usage plans (yet)."""
    ours = _ours(store, gateway)
    if not ours:
        return
    name = _name(store, organisation)
    key_id = gateway.keys(name).get(name) or _made(gateway, name, organisation.org_id)
    found = {plan_id for plan_id in ours.values() if key_id in gateway.keys_in(plan_id, name)}
    _move(gateway, key_id, found, ours[_plan(store, organisation)])


def keep_all(store: Store, gateway: UsagePlans) -> int:
    """Do that for every organisation this region knows; return how many keys were made or moved."""
    ours = _ours(store, gateway)
    if not ours:
        return 0
    known = gateway.keys(KEY_PREFIX)
    inside = {plan_id: gateway.keys_in(plan_id) for plan_id in ours.values()}
    changed = 0
    for organisation in store.directory.every():
        name, wanted = _name(store, organisation), ours[_plan(store, organisation)]
        try:
            key_id = known.get(name) or _made(gateway, name, organisation.org_id)
            found = {plan_id for plan_id, key_ids in inside.items() if key_id in key_ids}
            changed += _move(gateway, key_id, found, wanted)
        except RefusedError:
            raise  # it is no matter of this one's: the function fails, and its alarm rings
        except CutlassError as error:
            # One that fails keeps none of the others from its key; the next look comes by itself.
            logger.warning("no gateway key", org_id=organisation.org_id, reason=error.message)
    return changed


def _move(gateway: UsagePlans, key_id: str, found: set[str], wanted: str) -> bool:
    """Bring a key into the wanted plan, out of the others first: a key has one plan per stage."""
    for plan_id in found - {wanted}:
        with suppress(NotFoundError):  # another call was first
            gateway.remove(plan_id, key_id)
    if wanted not in found:
        gateway.add(wanted, key_id)
    return found != {wanted}


def _made(gateway: UsagePlans, name: str, org_id: str) -> str:
    return gateway.create(name, organisation_key(org_id))


def _ours(store: Store, gateway: UsagePlans) -> dict[str, str]:
    """Return the ids of the usage plans made for this environment, by the catalogue's name of the plan."""
    there = gateway.plans()
    names = {plan: plan_name(plan, store.settings.environment, store.region) for plan in store.catalogue.plans}
    if not set(names.values()) <= there.keys():
        return {}  # layer 300, which makes them, comes after this function
    return {plan: there[name] for plan, name in names.items()}


def _plan(store: Store, organisation: Organisation) -> str:
    return organisation.plan_at(store.catalogue, store.clock()).name


def _name(store: Store, organisation: Organisation) -> str:
    return key_name(organisation.org_id, store.settings.environment, store.region)


@cache
def _usage_plans() -> UsagePlans:
    store = open_store()
    return UsagePlans(store.topology.regions[store.region].aws_region, endpoint=store.settings.endpoint)
