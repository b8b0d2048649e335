"""Sends messages to this region's queues, by SQS's JSON protocol."""

import json
import random
import time
from collections.abc import Mapping
from typing import Any

import urllib3
from botocore.credentials import Credentials

from cutlass.domain.errors import UnavailableError
from cutlass.storage.transport import Transport

_TIMEOUT_SECONDS, _ATTEMPTS = 5.0, 4
_BACKOFF_SECONDS = 0.05


class QueueError(Exception):
    """SQS refused a request for a reason no retry mends."""


class Queues:
    """The queues of one region; threads may share it.

    Parameters
    ----------
    aws_region : str
        AWS's name of the region.
    endpoint : str, optional
        Where SQS is, when not at AWS's own address.
    """

    def __init__(
        self, aws_region: str, *, endpoint: str | None = None, credentials: Credentials | None = None
    ) -> None:
        url = endpoint or f"https://sqs.{aws_region}.amazonaws.com"
        self._transport = Transport(url, aws_region, credentials, service="sqs")
        self._addresses: dict[str, str] = {}

    def send(self, name: str, message: Mapping[str, Any]) -> None:
        """Send a message, as JSON, to the queue of that full name; perhaps more than once.

        Raises
        ------
        UnavailableError
            SQS did not take it in time.
        QueueError
            SQS refused it, or there is no such queue.
        """
        if name not in self._addresses:
            self._addresses[name] = str(self._call("GetQueueUrl", {"QueueName": name})["QueueUrl"])
        body = json.dumps(message, separators=(",", ":"))
        self._call("SendMessage", {"QueueUrl": self._addresses[name], "MessageBody": body})

    def _call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps(request).encode()
        problem = ""
        for attempt in range(_ATTEMPTS):
            try:
                status, data = self._transport.post(f"AmazonSQS.{operation}", body, _TIMEOUT_SECONDS)
            except urllib3.exceptions.HTTPError as error:
                problem = type(error).__name__
            else:
                if status == 200:
                    answer: dict[str, Any] = json.loads(data)
                    return answer
                problem = f"{status} {data[:200].decode(errors='replace')}"
                if status < 500 and status != 429 and b"Throttl" not in data:
                    raise QueueError(f"{operation}: {problem}")
            time.sleep(random.uniform(0, _BACKOFF_SECONDS * 2**attempt))  # noqa: S311 - not a secret
        raise UnavailableError(f"the queue did not answer in time ({problem})")
