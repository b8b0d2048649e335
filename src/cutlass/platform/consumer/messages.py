"""What a function is told of a queue's messages, and what its answer says of them. Rules only, no I/O."""

from collections.abc import Sequence
from typing import Any

Message = dict[str, Any]
"""A message as `ReceiveMessage` gives it."""

_ATTRIBUTE_FIELDS = {"StringValue": "stringValue", "BinaryValue": "binaryValue", "DataType": "dataType"}


def queue_event(messages: Sequence[Message], *, arn: str, aws_region: str) -> dict[str, Any]:
    """Return the event of Lambda's event source mapping for SQS."""
    return {"Records": [_record(message, arn, aws_region) for message in messages]}


def _record(message: Message, arn: str, aws_region: str) -> dict[str, Any]:
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
        "awsRegion": aws_region,
    }
    if "MD5OfMessageAttributes" in message:
        record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return record


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    known = {ours: value[theirs] for theirs, ours in _ATTRIBUTE_FIELDS.items() if theirs in value}
    return {"stringListValues": [], "binaryListValues": []} | known


def failed_messages(answer: Any, messages: Sequence[Message]) -> set[str]:
    """Return the ids of the messages that failed, by the answer of a function that did not raise.

    As in AWS, nothing and an empty `batchItemFailures` are a success of all; an answer of another shape, or one
    that names a message that is not in the batch, is the failure of all.
    """
    every = {str(message["MessageId"]) for message in messages}
    if answer is None:
        return set()
    failures = answer.get("batchItemFailures") or [] if isinstance(answer, dict) else None
    if not isinstance(failures, list):
        return every
    named = {failure.get("itemIdentifier") if isinstance(failure, dict) else None for failure in failures}
    return {str(name) for name in named} if named <= every else every
