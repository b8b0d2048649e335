"""One stream that starts one function, as Lambda's event source mapping for DynamoDB does it."""

import logging
import threading
import time
import uuid
from collections import deque
from datetime import UTC, datetime
from typing import Any

from cutlass.contracts import Function, Queue, StreamSource
from cutlass.platform.checkpoints import Checkpoint
from cutlass.platform.consumer.batches import Batch, Policy, backoff, decide, failure_notice, first_failure
from cutlass.platform.errors import PlatformError
from cutlass.platform.local import ENVIRONMENT
from cutlass.platform.queues import send_to_queue
from cutlass.platform.runtime import FunctionError, FunctionTimeoutError, Runtime
from cutlass.platform.streams import Growth, Record, StreamReader, sequence_number
from cutlass.platform.wire import Wire

_LONGEST_SILENCE = 20.0  # a look without being woken, in case the emulator cannot tell of changes
_log = logging.getLogger(__name__)


class StreamMapping:
    """Reads a table's stream, calls the function batch by batch, and keeps the position.

    Parameters
    ----------
    window_seconds : float
        How long a batch that is not full waits for more records.
    """

    def __init__(
        self,
        wire: Wire,
        runtime: Runtime,
        growth: Growth,
        *,
        function: Function,
        source: StreamSource,
        region: str,
        checkpoint: Checkpoint,
        failures: Queue,
        window_seconds: float,
        policy: Policy | None = None,
    ) -> None:
        self._wire = wire
        self._runtime = runtime
        self._function = function
        self._source = source
        self._region = region
        self._checkpoint = checkpoint
        self._failures = failures
        self._window = window_seconds
        self._policy = policy or Policy(retries=source.retries, bisect=source.bisect)
        table = f"cutlass-tech-{source.table}-{ENVIRONMENT}"
        self._growth = growth.of(wire.aws_region, table)
        self._reader = StreamReader(wire, table, checkpoint.after)
        self._failed_in_a_row = 0
        self.name = f"{function.name} on {source.table}"

    def run(self, stop: threading.Event, drain: threading.Event) -> None:
        """Consume until `stop`; after `drain`, only until the stream has nothing more.

        An emulator that does not answer is waited for.
        """
        while not stop.is_set():
            seen = self._growth.version
            try:
                records = self._collect(stop, drain)
                if records:
                    self._consume(records, stop)
                elif drain.is_set():
                    return
                else:
                    self._growth.wait(seen, _LONGEST_SILENCE)
            except PlatformError as error:
                if drain.is_set():
                    return
                _log.warning("%s: %s", self.name, error.message)
                stop.wait(0.5)

    def _collect(self, stop: threading.Event, drain: threading.Event) -> tuple[Record, ...]:
        """Return a full batch, or what came within the window after the first record; what is filtered, is not.

        Records passed over before the first of a batch are done; those behind it are read again after a restart.
        """
        size = self._source.batch_size
        records: list[Record] = []
        while not records:
            read = self._reader.read(size)
            if not read or stop.is_set():
                return ()
            records = self._taken(read)
            if not records:
                self._checkpoint.move(sequence_number(read[-1]))
        end = time.monotonic() + self._window
        while len(records) < size and not stop.is_set() and not drain.is_set():
            left = end - time.monotonic()
            if left <= 0:
                break
            seen = self._growth.version
            more = self._reader.read(size - len(records))
            if more:
                records += self._taken(more)
            else:
                self._growth.wait(seen, left)
        return tuple(records)

    def _taken(self, records: list[Record]) -> list[Record]:
        return [record for record in records if self._source.takes(record)]

    def _consume(self, records: tuple[Record, ...], stop: threading.Event) -> None:
        waiting = deque([Batch(records)])
        while waiting and not stop.is_set():
            batch = waiting.popleft()
            failed, error = self._call(batch)
            outcome = decide(batch, failed, self._policy)
            if outcome.given_up is not None:
                self._give_up(outcome.given_up, error=error)
            if outcome.done:
                self._checkpoint.move(sequence_number(outcome.done[-1]))
                self._failed_in_a_row = 0
            waiting.extendleft(reversed(outcome.again))
            if failed == 0 and outcome.again:
                self._failed_in_a_row += 1
                stop.wait(backoff(self._failed_in_a_row, self._policy))

    def _call(self, batch: Batch) -> tuple[int | None, bool]:
        """Return the index of the first failed record, and whether the function raised."""
        try:
            answer = self._runtime.invoke(self._function.name, {"Records": list(batch.records)})
        except (FunctionError, FunctionTimeoutError) as error:
            _log.warning(
                "%s: %s records, failure %s: %s", self.name, len(batch.records), batch.failures + 1, error
            )
            if self._failed_in_a_row == 0:
                _log.warning("%s: first of these failures", self.name, exc_info=error.__cause__ or error)
            return 0, True
        failed = first_failure(answer, batch.records, sequence_number)
        if failed is not None:
            _log.warning("%s: record %s of %s failed", self.name, failed + 1, len(batch.records))
        return failed, False

    def _give_up(self, batch: Batch, *, error: bool) -> None:
        notice: dict[str, Any] = failure_notice(
            batch,
            function_arn=self._runtime.arn(self._function.name),
            stream_arn=self._reader.arn,
            shard=self._reader.shard,
            request_id=str(uuid.uuid4()),
            error=error,
            at=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        send_to_queue(self._wire, self._failures.resource(ENVIRONMENT, self._region), notice)
        _log.error("%s: gave up %s records after %s calls", self.name, len(batch.records), batch.failures)
