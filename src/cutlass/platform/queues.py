"""SQS queues of the emulator: their names in AWS, addresses and attributes."""

import json

from cutlass.platform.local import ACCOUNT
from cutlass.platform.wire import Wire

_WAITING = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")


def queue_arn(name: str, aws_region: str) -> str:
    """Return the queue's name in AWS, in full."""
    return f"arn:aws:sqs:{aws_region}:{ACCOUNT}:{name}"


def queue_address(wire: Wire, name: str) -> str:
    """Return where the named queue is."""
    return str(wire.call("sqs", "GetQueueUrl", {"QueueName": name})["QueueUrl"])


def queue_attributes(wire: Wire, address: str, *names: str) -> dict[str, str]:
    """Return those attributes of a queue that it has."""
    answer = wire.call("sqs", "GetQueueAttributes", {"QueueUrl": address, "AttributeNames": list(names)})
    return {name: str(value) for name, value in answer.get("Attributes", {}).items()}


def messages_in(wire: Wire, name: str) -> int:
    """Return how many messages wait in the queue or are being worked on."""
    found = queue_attributes(wire, queue_address(wire, name), *_WAITING)
    return sum(int(value) for value in found.values())


def send_to_queue(wire: Wire, name: str, message: object) -> None:
    """Send the message, as JSON, to the named queue."""
    wire.call("sqs", "SendMessage", {"QueueUrl": queue_address(wire, name), "MessageBody": json.dumps(message)})
