"""Reads a piece of a table's stream again, by its position: DynamoDB keeps the records for a day."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from cutlass.contracts import load_topology
from cutlass.storage.dynamo import STREAMS, Dynamo, DynamoError
from cutlass.storage.settings import Settings

_GONE = {"TrimmedDataAccessException", "ResourceNotFoundException", "ExpiredIteratorException"}
_PAGE = 1000  # the most GetRecords gives
_EMPTY_PAGES = 100  # a shard may have long stretches without records; this many are the end of it

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """Where records stand in a stream, from `first` to `last`, both included, and how many they are.

    `first` and `last` are sequence numbers of the shard. A span that ends before it begins is a `ValueError`.
    """

    stream_arn: str
    shard: str
    first: str
    last: str
    count: int

    def __post_init__(self) -> None:
        if int(self.first) > int(self.last):
            raise ValueError(f"{self.last} comes before {self.first}")


class Streams:
    """The streams of one region's tables.

    Parameters
    ----------
    dynamo : Dynamo
        A client of the streams' API.
    """

    def __init__(self, dynamo: Dynamo) -> None:
        self._dynamo = dynamo

    def read(self, span: Span) -> list[Record]:
        """Return the records of the span that are still in the stream, in order, as Lambda hands them out.

        Records that are older than a day are missing; none are left of a shard that is gone.

        Raises
        ------
        UnavailableError
            There was no answer in time.
        DynamoError
            The stream cannot be read, for a reason other than age.
        """
        iterator = self._iterator(span, "AT_SEQUENCE_NUMBER", SequenceNumber=span.first)
        if iterator is None:
            iterator = self._iterator(span, "TRIM_HORIZON")
        found: list[Record] = []
        empty = 0
        while iterator is not None and empty < _EMPTY_PAGES:
            try:
                answer = self._dynamo.call("GetRecords", {"ShardIterator": iterator, "Limit": _PAGE})
            except DynamoError as error:
                if error.kind not in _GONE:
                    raise
                break  # trimmed under the reader
            records: list[Record] = answer["Records"]
            empty = 0 if records else empty + 1
            found += [record for record in records if int(span.first) <= _place(record) <= int(span.last)]
            if len(found) == span.count or (records and _place(records[-1]) >= int(span.last)):
                break
            iterator = answer.get("NextShardIterator")
        return [{**record, "eventSourceARN": span.stream_arn} for record in found]

    def _iterator(self, span: Span, kind: str, **position: str) -> str | None:
        """Return an iterator, None where the stream has nothing left of that place."""
        where = {"StreamArn": span.stream_arn, "ShardId": span.shard, "ShardIteratorType": kind}
        try:
            return str(self._dynamo.call("GetShardIterator", where | position)["ShardIterator"])
        except DynamoError as error:
            if error.kind not in _GONE:
                raise
            return None


def _place(record: Record) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


@cache
def open_streams() -> Streams:
    """Open the streams of the region this process runs in, once per process."""
    settings = Settings.from_environment()
    aws_region = load_topology().regions[settings.region].aws_region
    return Streams(
        Dynamo(
            aws_region,
            endpoint=settings.endpoint,
            timeout_seconds=settings.store_timeout_seconds,
            api=STREAMS,
        )
    )
