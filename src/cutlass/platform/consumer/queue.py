"""One queue that starts one function, as Lambda's event source mapping for SQS does it."""

import logging
import threading
import time

from cutlass.contracts import Function, Queue, QueueSource
from cutlass.platform.consumer.messages import Message, failed_messages, queue_event
from cutlass.platform.errors import PlatformError
from cutlass.platform.local import ENVIRONMENT
from cutlass.platform.queues import queue_address, queue_arn
from cutlass.platform.runtime import FunctionError, FunctionTimeoutError, Runtime
from cutlass.platform.wire import Wire

_LONG_POLL = 5  # seconds; a poll outlives a consumer that is killed, and hides what it is given
_AT_ONCE = 10  # messages SQS hands out or deletes in one call
_log = logging.getLogger(__name__)


class QueueMapping:
    """Receives a queue's messages, calls the function batch by batch, and deletes those that are done.

    A message that failed is left to the queue: it comes again after the visibility timeout, and goes to the
    dead-letter queue when it was received too often. Nothing is kept here, so a kill makes messages come
    again and loses none. One batch is worked on at a time, which is within any `max_concurrency`.

    Parameters
    ----------
    window_seconds : float
        How long a batch that is not full waits for more messages.
    """

    def __init__(
        self,
        wire: Wire,
        runtime: Runtime,
        *,
        function: Function,
        source: QueueSource,
        queue: Queue,
        region: str,
        window_seconds: float,
    ) -> None:
        self._wire = wire
        self._runtime = runtime
        self._function = function
        self._size = source.batch_size
        self._resource = queue.resource(ENVIRONMENT, region)
        self._arn = queue_arn(self._resource, wire.aws_region)
        self._window = window_seconds
        self._address: str | None = None
        self._working = threading.Lock()
        self.name = f"{function.name} on {queue.name}"

    def run(self, stop: threading.Event, drain: threading.Event) -> None:
        """Consume until `drain`, then end the batch that is being worked on; the others stay in the queue."""
        poller = threading.Thread(target=self._poll, args=(stop, drain), name=self.name, daemon=True)
        poller.start()
        drain.wait()
        # The poller is not waited for: it may hang in a long poll, whose messages come again.
        with self._working:
            return

    def _poll(self, stop: threading.Event, drain: threading.Event) -> None:
        while not stop.is_set() and not drain.is_set():
            try:
                messages = self._receive(_LONG_POLL)
                with self._working:
                    if messages and not drain.is_set():
                        self._consume(self._gather(messages, drain))
            except PlatformError as error:
                _log.warning("%s: %s", self.name, error.message)
                stop.wait(0.5)

    def _gather(self, messages: list[Message], drain: threading.Event) -> list[Message]:
        """Add what comes within the window, until the batch is full."""
        end = time.monotonic() + self._window
        while len(messages) < self._size and not drain.is_set():
            more = self._receive(0, self._size - len(messages)) if self._window or self._size > _AT_ONCE else []
            messages += more
            left = end - time.monotonic()
            if not more and left <= 0:
                break
            if not more:
                drain.wait(min(left, 0.05))
        return messages

    def _receive(self, seconds: int, most: int = _AT_ONCE) -> list[Message]:
        if self._address is None:
            self._address = queue_address(self._wire, self._resource)
        request = {
            "QueueUrl": self._address,
            "MaxNumberOfMessages": min(most, self._size, _AT_ONCE),
            "WaitTimeSeconds": seconds,
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        }
        answer = self._wire.call("sqs", "ReceiveMessage", request, timeout=seconds + 10)
        messages: list[Message] = answer.get("Messages", [])
        return messages

    def _consume(self, messages: list[Message]) -> None:
        failed = self._call(messages)
        done = [message for message in messages if message["MessageId"] not in failed]
        for start in range(0, len(done), _AT_ONCE):
            entries = [
                {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                for place, message in enumerate(done[start : start + _AT_ONCE])
            ]
            request = {"QueueUrl": self._address, "Entries": entries}
            refused = self._wire.call("sqs", "DeleteMessageBatch", request).get("Failed")
            if refused:
                # They come again, as any message may: it was received anew while the function ran.
                _log.warning("%s: %s messages are done and could not be deleted", self.name, len(refused))

    def _call(self, messages: list[Message]) -> set[str]:
        """Return the ids of the messages that failed."""
        event = queue_event(messages, arn=self._arn, aws_region=self._wire.aws_region)
        try:
            answer = self._runtime.invoke(self._function.name, event)
        except (FunctionError, FunctionTimeoutError) as error:
            _log.warning("%s: %s messages failed: %s", self.name, len(messages), error, exc_info=error.__cause__)
            return {str(message["MessageId"]) for message in messages}
        failed = failed_messages(answer, messages)
        if failed:
            _log.warning("%s: %s of %s messages failed", self.name, len(failed), len(messages))
        return failed
