"""What is measured in this process: the handler, and its one write by two clients."""

import itertools
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from benchmarks.events import usage_check_event
from benchmarks.load import Call
from benchmarks.stage import ORG, REGION, USERS, Stage
from cutlass.domain.allotments import Spend, Verdict
from cutlass.domain.decisions import DecisionRequest
from cutlass.domain.ids import RequestIdentity, new_request_id
from cutlass.functions import usage_check
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments
from cutlass.storage.codec import Item, Wire, decode, decode_item
from cutlass.storage.dynamo import ConditionFailedError, expression

PLENTY = 10**9
METER, FEATURE = "requests", "default"


def handler_calls(_stage: Stage, clients: int) -> list[Call]:
    """Make clients of the usage-check handler, called with events as API Gateway makes them."""
    turns = itertools.count()
    events = [usage_check_event(ORG, user) for user in USERS]

    def call() -> None:
        answer = usage_check.handler(events[next(turns) % len(events)], None)
        if answer["statusCode"] != 200 or '"allowed":true' not in str(answer["body"]):
            raise RuntimeError(f"{answer['statusCode']} {answer['body']}")

    return [call] * clients


def stock(stage: Stage) -> None:
    """Give every user's allotment so much that no write of the two clients below needs a refill."""
    for user in USERS:
        stage.store.decider.decide(DecisionRequest(ORG, user))
        more = expression("SET available = available + :more", more=PLENTY)
        stage.store.dynamo.update(stage.store.allotments.table, *_key(stage, user), more)


def lean_calls(stage: Stage, clients: int) -> list[Call]:
    """Make clients of the decision's one write, sent by our own client."""
    return [_consumer(stage, stage.store.allotments)] * clients


def boto3_calls(stage: Stage, clients: int) -> list[Call]:
    """Make clients of the very same write, sent by boto3."""
    client = Boto3Client(boto3_client(stage, clients))
    return [_consumer(stage, Allotments(client, stage.store.allotments.table, REGION))] * clients  # type: ignore[arg-type]


SUBJECTS: dict[str, Callable[[Stage, int], list[Call]]] = {
    "usage-check handler": handler_calls,
    "its write, our client": lean_calls,
    "its write, boto3": boto3_calls,
}
"""Everything measured in this process, by name; the first is what the others are compared with."""


def boto3_client(stage: Stage, clients: int) -> Any:
    """Make a boto3 client of the engine, with a connection for every caller."""
    config = Config(max_pool_connections=max(10, clients), retries={"total_max_attempts": 1})
    return boto3.client("dynamodb", region_name=stage.aws_region, endpoint_url=stage.endpoint, config=config)


class Boto3Client:
    """Our client's `update`, sent by boto3: the same expressions, with bytes where boto3 wants bytes."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def update(self, table: str, pk: str, sk: str, expressions: Wire, *, returns: str = "ALL_NEW") -> Item:
        """Update one item; raises `ConditionFailedError` with the item it met."""
        values = {name: _binary(value) for name, value in expressions["ExpressionAttributeValues"].items()}
        try:
            answer = self._client.update_item(
                TableName=table,
                Key={"pk": {"S": pk}, "sk": {"S": sk}},
                ReturnValues=returns,
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **(expressions | {"ExpressionAttributeValues": values}),
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            met = error.response.get("Item")
            raise ConditionFailedError(decode_item(met) if met else None) from None
        return {
            name: frozenset(value["BS"]) if "BS" in value else decode(value)
            for name, value in answer["Attributes"].items()
        }


def _binary(value: Wire) -> Wire:
    if "BS" in value:
        return {"BS": [decode({"B": mark}) for mark in value["BS"]]}
    return {"B": decode(value)} if "B" in value else value


def _consumer(stage: Stage, allotments: Allotments) -> Call:
    turns = itertools.count()
    allotment_keys = [(user, _key(stage, user)) for user in USERS]
    rev = stage.organisation.rev

    def call() -> None:
        user, key = allotment_keys[next(turns) % len(allotment_keys)]
        now_ms = time.time_ns() // 1_000_000
        identity = RequestIdentity.of(new_request_id(now_ms), ORG, user, FEATURE, "1")
        consumed = allotments.consume(key, Spend(identity, FEATURE, 1, rev, now_ms))
        if consumed.verdict is not Verdict.TAKEN:
            raise RuntimeError(str(consumed.verdict))

    return call


def _key(stage: Stage, user: str) -> keys.Key:
    store = stage.store
    period = stage.organisation.period_at(store.catalogue, stage.organisation.created_at)
    return store.allotments.key(ORG, user, METER, period.key)
