"""The queues of a region, by SQS's JSON protocol. Source: AWS, "Amazon SQS API Reference"."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from botocore.credentials import Credentials

from cutlass.domain.errors import UnavailableError
from cutlass.storage.aws import SQS, Aws, insist

_AT_ONCE = 10  # messages SQS takes in one call
_SECONDS, _TRIES, _PAUSE = 4.0, 3, 0.1  # at most 12 s and two pauses: less than a function has that sends

LONGEST_DELAY = 43_200
"""Seconds for which SQS hides a message at most."""


class Queues:
    """The queues of one region, by their names in the contract; threads may share it.

    Everything is asked for again where SQS turns away or does not answer. A message may so be sent twice: whoever
    takes one knows it again.

    Parameters
    ----------
    resource : callable
        Gives a queue's name in AWS for its name in the contract.
    endpoint : str, optional
        Where SQS is, when not at AWS's own address.
    sleep : callable, optional
        Waits so many seconds between two tries.
    """

    def __init__(
        self,
        resource: Callable[[str], str],
        aws_region: str,
        *,
        endpoint: str | None = None,
        credentials: Credentials | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._resource = resource
        self._aws = Aws(SQS, aws_region, endpoint=endpoint, credentials=credentials, seconds=_SECONDS)
        self._known: dict[str, str] = {}
        self._sleep = sleep

    def send(self, queue: str, message: Mapping[str, Any]) -> None:
        """Send a message, as JSON; raises what `call` raises."""
        self.call("SendMessage", queue, {"MessageBody": _written(message)})

    def send_all(self, queue: str, messages: Sequence[Mapping[str, Any]]) -> set[int]:
        """Send messages, as JSON, ten at a time; returns the places of those that were not taken.

        Raises what `call` raises.
        """
        lost: set[int] = set()
        for start in range(0, len(messages), _AT_ONCE):
            entries = [
                {"Id": str(place), "MessageBody": _written(message)}
                for place, message in enumerate(messages[start : start + _AT_ONCE], start)
            ]
            answer = self.call("SendMessageBatch", queue, {"Entries": entries})
            lost |= {int(failed["Id"]) for failed in answer.get("Failed") or []}
        return lost

    def delay(self, queue: str, receipt: str, seconds: int) -> None:
        """Have a message that was received come again after so many seconds; raises what `call` raises."""
        hidden = {"ReceiptHandle": receipt, "VisibilityTimeout": min(seconds, LONGEST_DELAY)}
        self.call("ChangeMessageVisibility", queue, hidden)

    def call(self, operation: str, queue: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of an operation on a queue.

        Raises
        ------
        UnavailableError
            SQS turned every try away, or did not answer; it may have been done.
        RefusedError
            SQS refused it, or there is no such queue.
        """
        if queue not in self._known:
            self._known[queue] = str(self._ask("GetQueueUrl", {"QueueName": self._resource(queue)})["QueueUrl"])
        return self._ask(operation, {"QueueUrl": self._known[queue], **request})

    def _ask(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        return insist(
            lambda: self._aws.call(operation, request),
            UnavailableError,
            tries=_TRIES,
            pause=_PAUSE,
            sleep=self._sleep,
        )


def _written(message: Mapping[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"))
