"""DynamoDB's JSON protocol over urllib3.

A boto3 client costs a third of a second at a cold start and half a millisecond of CPU per call (measured,
docs/decisions/0003-lean-dynamodb-client.md), most of a decision. This client sends the same requests, keeps
the deadline of the whole call, and knows which failures may be sent again. Retrying is safe because every
write of ours is conditional, or a transaction of such writes.
"""

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import urllib3
from botocore.credentials import Credentials

from cutlass.domain.errors import UnavailableError
from cutlass.storage.codec import Item, Wire, decode_item, encode_item
from cutlass.storage.transport import Transport

_RETRYABLE = {
    "InternalServerError",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionConflictException",
    "TransactionInProgressException",
}
_CANCELLED_BY_RACE = {"TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"}
_BACKOFF_SECONDS = 0.02
_NAME = re.compile(r"#(\w+)", re.ASCII)
_BATCH = 100  # keys DynamoDB takes in one BatchGetItem


@dataclass(frozen=True, slots=True)
class Api:
    """One of DynamoDB's two JSON APIs: the first part of its host name, and its operations' prefix."""

    host: str
    target: str


TABLES = Api("dynamodb", "DynamoDB_20120810")
STREAMS = Api("streams.dynamodb", "DynamoDBStreams_20120810")


class ConditionFailedError(Exception):
    """A conditional write met an item its condition does not hold for.

    `item` is the item it met, None if there is none.
    """

    def __init__(self, item: Item | None) -> None:
        super().__init__("the condition of a write does not hold")
        self.item = item


class TransactionFailedError(Exception):
    """A transaction was cancelled; `failed` are the indexes of the writes whose condition does not hold."""

    def __init__(self, failed: frozenset[int]) -> None:
        super().__init__(f"the conditions of writes {sorted(failed)} do not hold")
        self.failed = failed


class DynamoError(Exception):
    """DynamoDB refused a request for a reason no retry mends: a bug, or a table that is not there."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


@dataclass(slots=True)
class Tally:
    """What a client asked for so far, when it was told to count: requests by operation, and units."""

    requests: Counter[str] = field(default_factory=Counter)
    write_units: float = 0.0
    read_units: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, operation: str, consumed: Any) -> None:
        """Add one request and the ConsumedCapacity it was answered with."""
        with self.lock:
            self.requests[operation] += 1
            units = sum(c["CapacityUnits"] for c in (consumed if isinstance(consumed, list) else [consumed]) if c)
            if operation in {"GetItem", "BatchGetItem", "Query"}:
                self.read_units += units
            else:
                self.write_units += units


class Dynamo:
    """A client of one region's DynamoDB; threads may share it.

    Parameters
    ----------
    aws_region : str
        AWS's name of the region.
    endpoint : str, optional
        Where DynamoDB is, when not at AWS's own address.
    timeout_seconds : float
        The deadline of one call with all its retries; past it the call raises `UnavailableError`.
    tally : Tally, optional
        Counts requests and capacity units, for tests and benchmarks.
    api : Api, optional
        `STREAMS` for `call` of the streams' operations.
    """

    def __init__(
        self,
        aws_region: str,
        *,
        endpoint: str | None = None,
        timeout_seconds: float = 2.0,
        credentials: Credentials | None = None,
        tally: Tally | None = None,
        api: Api = TABLES,
    ) -> None:
        self.aws_region = aws_region
        self.timeout_seconds = timeout_seconds
        self.tally = tally
        self._target = api.target
        url = endpoint or f"https://{api.host}.{aws_region}.amazonaws.com"
        self._transport = Transport(url, aws_region, credentials)

    def get(self, table: str, pk: str, sk: str, *, consistent: bool = True) -> Item | None:
        """Read one item, or None."""
        answer = self.call("GetItem", {"TableName": table, "Key": _key(pk, sk), "ConsistentRead": consistent})
        return decode_item(answer["Item"]) if "Item" in answer else None

    def batch_get(
        self, keys: Mapping[str, list[tuple[str, str]]], *, consistent: bool = True
    ) -> dict[tuple[str, str, str], Item]:
        """Read many items, by table; returns those that exist under (table, pk, sk)."""
        found: dict[tuple[str, str, str], Item] = {}
        flat = [(table, pk, sk) for table, pairs in keys.items() for pk, sk in dict.fromkeys(pairs)]
        for start in range(0, len(flat), _BATCH):
            request: dict[str, Any] = {}
            for table, pk, sk in flat[start : start + _BATCH]:
                entry = request.setdefault(table, {"Keys": [], "ConsistentRead": consistent})
                entry["Keys"].append(_key(pk, sk))
            while request:
                answer = self.call("BatchGetItem", {"RequestItems": request})
                for table, items in answer["Responses"].items():
                    for item in map(decode_item, items):
                        found[table, item["pk"], item["sk"]] = item
                request = answer.get("UnprocessedKeys") or {}
        return found

    def query(
        self,
        table: str,
        pk: str,
        *,
        between: tuple[str, str] | None = None,
        after: str | None = None,
        limit: int | None = None,
        consistent: bool = True,
        backwards: bool = False,
    ) -> Iterator[Item]:
        """Read the items of one partition in the order of their sort keys, page by page as they are taken.

        `between` are the first and last sort key, both included; `after` resumes behind a sort key.
        """
        request: dict[str, Any] = {
            "TableName": table,
            "ConsistentRead": consistent,
            "ScanIndexForward": not backwards,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
        }
        if between:
            request["KeyConditionExpression"] += " AND sk BETWEEN :low AND :high"
            request["ExpressionAttributeValues"] |= {":low": {"S": between[0]}, ":high": {"S": between[1]}}
        if limit:
            request["Limit"] = limit
        if after is not None:
            request["ExclusiveStartKey"] = _key(pk, after)
        while True:
            answer = self.call("Query", request)
            yield from map(decode_item, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def scan(self, table: str, *, sort_key: str | None = None, consistent: bool = False) -> Iterator[Item]:
        """Read every item of a table, or those of one sort key, page by page as they are taken, in no order.

        It reads the whole table either way, and copies of other regions' items as they are here: for schedules
        and operators.
        """
        request: dict[str, Any] = {"TableName": table, "ConsistentRead": consistent}
        if sort_key is not None:
            request["FilterExpression"] = "sk = :sk"
            request["ExpressionAttributeValues"] = {":sk": {"S": sort_key}}
        while True:
            answer = self.call("Scan", request)
            yield from map(decode_item, answer["Items"])
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def put(self, table: str, item: Item) -> None:
        """Write an item, whatever was there."""
        self.call("PutItem", {"TableName": table, "Item": encode_item(item)})

    def put_if_absent(self, table: str, item: Item) -> Item | None:
        """Write an item unless its key exists; returns the item that does, None when this one was written.

        A retried write that had succeeded meets itself, and is told from another's by comparison.
        """
        try:
            self.call("PutItem", {"TableName": table} | absent(item))
        except ConditionFailedError as failed:
            written = decode_item(encode_item(item))
            return None if failed.item == written else failed.item
        return None

    def put_if_revision(self, table: str, item: Item, revision: int) -> None:
        """Replace an item that has the revision `rev`; raises `ConditionFailedError` with one that has not.

        A retried write that had succeeded meets itself, and is no failure.
        """
        request: Wire = {"TableName": table} | absent(item)
        request |= {
            "ConditionExpression": "rev = :seen",
            "ExpressionAttributeValues": {":seen": {"N": str(revision)}},
        }
        try:
            self.call("PutItem", request)
        except ConditionFailedError as failed:
            if failed.item != decode_item(encode_item(item)):
                raise

    def delete(self, table: str, pk: str, sk: str) -> None:
        """Delete an item, if it is there."""
        self.call("DeleteItem", {"TableName": table, "Key": _key(pk, sk)})

    def update(self, table: str, pk: str, sk: str, expressions: Wire, *, returns: str = "ALL_NEW") -> Item:
        """Update one item by an `expression()`; raises `ConditionFailedError` with the item it met."""
        answer = self.call(
            "UpdateItem",
            {
                "TableName": table,
                "Key": _key(pk, sk),
                "ReturnValues": returns,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            }
            | expressions,
        )
        return decode_item(answer.get("Attributes", {}))

    def transact(self, writes: list[Wire]) -> None:
        """Do all writes or none; raises `TransactionFailedError` with those whose condition does not hold."""
        token = f"{random.getrandbits(128):032x}"  # makes a retried transaction happen once
        self.call("TransactWriteItems", {"TransactItems": writes, "ClientRequestToken": token})

    def call(self, operation: str, request: Wire) -> Wire:
        """Send one request, again after a passing failure, until the deadline.

        Raises
        ------
        ConditionFailedError, TransactionFailedError
            When a condition does not hold.
        UnavailableError
            When there was no answer in time; a write may or may not have happened.
        DynamoError
            When DynamoDB refused the request itself.
        """
        if self.tally:
            request = {**request, "ReturnConsumedCapacity": "TOTAL"}
        body = json.dumps(request, separators=(",", ":")).encode()
        target = f"{self._target}.{operation}"
        deadline = time.monotonic() + self.timeout_seconds
        attempt = 0
        while True:
            problem = "no answer"
            try:
                status, data = self._transport.post(target, body, deadline - time.monotonic())
            except urllib3.exceptions.HTTPError as error:
                problem = type(error).__name__
            else:
                answer = _json(data)
                if status == 200:
                    if self.tally:
                        self.tally.add(operation, answer.get("ConsumedCapacity"))
                    return answer
                problem = self._refused(operation, answer)
            attempt += 1
            pause = random.uniform(0, min(_BACKOFF_SECONDS * 2**attempt, 0.5))  # noqa: S311 - not a secret
            if time.monotonic() + pause >= deadline:
                raise UnavailableError(f"the store did not answer in time ({problem})")
            time.sleep(pause)

    def _refused(self, operation: str, answer: Wire) -> str:
        """Raise what a refusal means, or return its name when the request may be sent again."""
        kind = str(answer.get("__type", "")).rpartition("#")[2]
        if kind == "ConditionalCheckFailedException":
            if self.tally:
                self.tally.add(operation, {"CapacityUnits": 1})  # a failed condition costs a write unit
            raise ConditionFailedError(decode_item(answer["Item"]) if answer.get("Item") else None)
        if kind == "TransactionCanceledException":
            codes = [reason.get("Code") for reason in answer.get("CancellationReasons", [])]
            failed = frozenset(i for i, code in enumerate(codes) if code == "ConditionalCheckFailed")
            if failed:
                raise TransactionFailedError(failed)
            if _CANCELLED_BY_RACE.intersection(codes):
                return kind
        elif kind in _RETRYABLE or not kind:
            return kind or "an answer that is not DynamoDB's"
        raise DynamoError(kind, str(answer.get("message") or answer.get("Message") or answer))


def _json(data: bytes) -> Wire:
    """Read an answer; one that is not JSON, as of something in between, is taken for an empty one."""
    try:
        answer: Wire = json.loads(data)
    except ValueError:
        return {}
    return answer


def expression(update: str, condition: str | None = None, **values: Any) -> Wire:
    """Make an update's expressions: `#name` stands for attribute `name`, `:name` for value `name`."""
    wire: Wire = {"UpdateExpression": update}
    if names := _names(update, condition or ""):
        wire["ExpressionAttributeNames"] = dict(names)
    if values:
        wire["ExpressionAttributeValues"] = {f":{name}": encode_item({"v": v})["v"] for name, v in values.items()}
    if condition:
        wire["ConditionExpression"] = condition
    return wire


def absent(item: Item) -> Wire:
    """Make the part of a put that writes an item only where its key does not exist."""
    return {
        "Item": encode_item(item),
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def update_of(table: str, pk: str, sk: str, expressions: Wire) -> Wire:
    """Make the update of a transaction."""
    return {"Update": {"TableName": table, "Key": _key(pk, sk)} | expressions}


def put_of(table: str, item: Item) -> Wire:
    """Make the put-if-absent of a transaction."""
    return {"Put": {"TableName": table} | absent(item)}


def put_where(table: str, item: Item, condition: str, **values: Any) -> Wire:
    """Make the put of a transaction over an item that a condition holds for, in the words of `expression`."""
    return {"Put": {"TableName": table} | absent(item) | _where(condition, **values)}


def delete_of(table: str, pk: str, sk: str, condition: str | None = None, **values: Any) -> Wire:
    """Make the delete of a transaction, with a condition in the words of `expression` if there is one."""
    wire = {"TableName": table, "Key": _key(pk, sk)}
    return {"Delete": wire | _where(condition, **values) if condition else wire}


def check_of(table: str, pk: str, sk: str, condition: str, **values: Any) -> Wire:
    """Make the check of a transaction: of an item that is not written, in the words of `expression`."""
    return {"ConditionCheck": {"TableName": table, "Key": _key(pk, sk)} | _where(condition, **values)}


def _where(condition: str, **values: Any) -> Wire:
    """Make a condition's expressions."""
    wire = expression("", condition, **values)
    del wire["UpdateExpression"]
    return wire


def _key(pk: str, sk: str) -> Wire:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


@lru_cache(maxsize=1024)
def _names(*texts: str) -> dict[str, str]:
    """Find what the names in expressions stand for; the texts are few, and a decision's always the same."""
    return {f"#{name}": name for text in texts for name in _NAME.findall(text)}
