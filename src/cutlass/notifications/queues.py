"""Queues as a function sees them that writes to one, or delays what it was handed."""

import json
from collections.abc import Callable
from threading import Lock
from typing import Any

from botocore.credentials import Credentials

from cutlass.notifications.aws import SQS, Aws

_AT_ONCE = 10  # messages SQS takes in one call

LONGEST_DELAY = 43_200
"""Seconds for which SQS hides a message at most."""


class Queues:
    """The queues of one region, by their names in AWS.

    Parameters
    ----------
    resource : callable
        Gives a queue's name in AWS for its name in the contract.
    """

    def __init__(
        self,
        resource: Callable[[str], str],
        aws_region: str,
        *,
        endpoint: str | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._resource = resource
        self._aws = Aws(SQS, aws_region, endpoint=endpoint, credentials=credentials)
        self._known: dict[str, str] = {}
        self._looking = Lock()

    def send(self, queue: str, message: dict[str, Any]) -> None:
        """Send a message, as JSON; raises what `Aws.post` raises."""
        self.call("SendMessage", {"QueueUrl": self.address(queue), "MessageBody": json.dumps(message)})

    def send_all(self, queue: str, messages: list[dict[str, Any]]) -> set[int]:
        """Send messages, as JSON, ten at a time; returns the places of those that were not taken.

        Raises what `Aws.post` raises.
        """
        lost: set[int] = set()
        for start in range(0, len(messages), _AT_ONCE):
            entries = [
                {"Id": str(start + place), "MessageBody": json.dumps(message)}
                for place, message in enumerate(messages[start : start + _AT_ONCE])
            ]
            answer = self.call("SendMessageBatch", {"QueueUrl": self.address(queue), "Entries": entries})
            lost |= {int(failed["Id"]) for failed in answer.get("Failed") or []}
        return lost

    def delay(self, queue: str, receipt: str, seconds: int) -> None:
        """Have a message that was received come again after so many seconds; raises what `Aws.post` raises."""
        hidden = {"ReceiptHandle": receipt, "VisibilityTimeout": min(seconds, LONGEST_DELAY)}
        self.call("ChangeMessageVisibility", {"QueueUrl": self.address(queue)} | hidden)

    def address(self, queue: str) -> str:
        """Return where a queue is, asked for once; raises what `Aws.post` raises."""
        with self._looking:
            if queue not in self._known:
                answer = self.call("GetQueueUrl", {"QueueName": self._resource(queue)})
                self._known[queue] = str(answer["QueueUrl"])
            return self._known[queue]

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of an operation of SQS; raises what `Aws.post` raises."""
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AmazonSQS.{operation}"}
        return self._aws.post("/", request, headers)
