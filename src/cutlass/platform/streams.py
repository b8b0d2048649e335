"""Reads DynamoDB streams, and waits for them to grow."""

import logging
import threading
from typing import Any

from cutlass.platform.errors import AwsError, EmulatorUnreachableError
from cutlass.platform.wire import Wire

Record = dict[str, Any]

_LOST = ("ExpiredIteratorException", "TrimmedDataAccessException")
_log = logging.getLogger(__name__)


def sequence_number(record: Record) -> str:
    """Return the record's place in its stream; places of one stream compare as numbers."""
    return str(record["dynamodb"]["SequenceNumber"])


def stream_name(aws_region: str, table: str) -> str:
    """Return the name by which the emulator tells that a table's stream has grown."""
    return f"{aws_region}/{table}"


class StreamReader:
    """Reads one table's stream from a position on, shard after shard, parents first.

    Parameters
    ----------
    wire : Wire
        The region's APIs.
    table : str
        Name of the table.
    after : str or None
        Sequence number of the last record that is done with; None to begin with the oldest.
    """

    def __init__(self, wire: Wire, table: str, after: str | None) -> None:
        self._wire = wire
        self._table = table
        self._after = after
        self._iterator: str | None = None
        self._arn = ""
        self.shard = ""

    @property
    def arn(self) -> str:
        """The stream's name in AWS."""
        if not self._arn:
            described = self._wire.call("dynamodb", "DescribeTable", {"TableName": self._table})
            self._arn = str(described["Table"]["LatestStreamArn"])
        return self._arn

    def read(self, limit: int) -> list[Record]:
        """Return up to `limit` (1,000 at most) records that follow those returned before.

        Raises
        ------
        AwsError, EmulatorUnreachableError
            They could not be read; reading again goes on from the same place.
        """
        if self._iterator is None:
            self._iterator = self._find()
        try:
            answer = self._wire.call(
                "streams", "GetRecords", {"ShardIterator": self._iterator, "Limit": min(limit, 1000)}
            )
        except AwsError as error:
            if error.aws_code not in _LOST:
                raise
            self._iterator = None
            return []
        records: list[Record] = answer["Records"]
        if records:
            self._after = sequence_number(records[-1])
        self._iterator = answer.get("NextShardIterator")
        return [{**record, "eventSourceARN": self.arn} for record in records]

    def _find(self) -> str:
        described = self._wire.call("streams", "DescribeStream", {"StreamArn": self.arn})["StreamDescription"]
        shards = [shard["ShardId"] for shard in described["Shards"]]
        following = shards[shards.index(self.shard) + 1 :] if self.shard in shards else shards
        if self._after is not None:
            for shard in reversed(shards):
                iterator = self._iterator_at(shard, "AFTER_SEQUENCE_NUMBER", SequenceNumber=self._after)
                if iterator is not None:
                    self.shard = shard
                    return iterator
            # The position is older than the oldest record, so everything that is left is new.
            _log.warning("position %s of %s is no longer in the stream", self._after, self._table)
            following = shards
        self.shard = following[0] if following else shards[-1]
        iterator = self._iterator_at(self.shard, "TRIM_HORIZON")
        if iterator is None:
            raise EmulatorUnreachableError(f"no shard of {self._table} can be read")
        return iterator

    def _iterator_at(self, shard: str, kind: str, **position: str) -> str | None:
        parameters = {"StreamArn": self.arn, "ShardId": shard, "ShardIteratorType": kind} | position
        try:
            return str(self._wire.call("streams", "GetShardIterator", parameters)["ShardIterator"])
        except AwsError as error:
            if error.aws_code in (*_LOST, "ValidationException"):
                return None
            raise


class Growth:
    """Tells threads that some stream of the emulator has grown, so that none has to ask all the time.

    One long poll at a time is held for the whole process. A thread that waits may be woken for nothing.
    """

    def __init__(self, wire: Wire, *, stop: threading.Event) -> None:
        self._wire = wire
        self._stop = stop
        self._changed = threading.Condition()
        self._records = -1
        self._streams: dict[str, int] = {}
        self._version = 0
        self._wakes = 0
        threading.Thread(target=self._follow, name="growth", daemon=True).start()

    @property
    def version(self) -> int:
        """Rises with every change; pass it to `wait` to miss none."""
        return self._version

    def wait(self, seen: int, timeout: float) -> None:
        """Return when the version is no longer `seen`, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != seen, timeout)

    def of(self, aws_region: str, table: str) -> "StreamGrowth":
        """Return the same for one table's stream, which others' growth does not wake."""
        return StreamGrowth(self, stream_name(aws_region, table))

    def wake(self) -> None:
        """Wake every thread that waits, whatever for."""
        with self._changed:
            self._version += 1
            self._wakes += 1
            self._changed.notify_all()

    def version_of(self, stream: str) -> int:
        """Rises when that stream has grown, and when all are woken."""
        return self._streams.get(stream, 0) + self._wakes

    def wait_for(self, stream: str, seen: int, timeout: float) -> None:
        """Return when the version of a stream is no longer `seen`, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self.version_of(stream) != seen, timeout)

    def _follow(self) -> None:
        while not self._stop.is_set():
            try:
                answer = self._wire.own(f"/_cutlass/changes?after={self._records}&timeout=20", timeout=25)
            except (AwsError, EmulatorUnreachableError):
                self._stop.wait(0.1)
                continue
            if answer["count"] != self._records:
                with self._changed:
                    self._records, self._streams = answer["count"], answer["streams"]
                    self._version += 1
                    self._changed.notify_all()
            # Under load there is always something new: twenty looks a second are enough.
            self._stop.wait(0.05)


class StreamGrowth:
    """Tells threads that one stream has grown; made by `Growth.of`."""

    def __init__(self, growth: Growth, stream: str) -> None:
        self._growth = growth
        self._stream = stream

    @property
    def version(self) -> int:
        """Rises with every change; pass it to `wait` to miss none."""
        return self._growth.version_of(self._stream)

    def wait(self, seen: int, timeout: float) -> None:
        """Return when the version is no longer `seen`, or after `timeout` seconds."""
        self._growth.wait_for(self._stream, seen, timeout)
