"""A piece of a stream is read again by its position, as far as it is still there."""

from typing import Any

import pytest

from cutlass.storage.dynamo import STREAMS, Dynamo, DynamoError
from cutlass.storage.streams import Span, Streams

ARN = "arn:aws:dynamodb:eu-west-2:111111111111:table/some/stream/2026"


class FakeStream:
    """One shard with records at these places, given out `page` at a time; those before `horizon` are trimmed."""

    def __init__(self, places: range, *, horizon: int = 0, page: int = 2, gone: bool = False) -> None:
        self.places = [place for place in places if place >= horizon]
        self.horizon, self.page, self.gone = horizon, page, gone
        self.calls: list[str] = []
        self.failure: DynamoError | None = None

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        if self.failure:
            raise self.failure
        if operation == "GetShardIterator":
            return {"ShardIterator": str(self._start(request))}
        start = int(request["ShardIterator"])
        if start < 0:  # a stretch without records
            return {"Records": [], "NextShardIterator": str(start + 1)}
        page = [place for place in self.places if place >= start][: self.page]
        following = {"NextShardIterator": str(page[-1] + 1)} if page else {}
        return {"Records": [{"dynamodb": {"SequenceNumber": f"{place:030d}"}} for place in page]} | following

    def _start(self, request: dict[str, Any]) -> int:
        if self.gone:
            raise DynamoError("ResourceNotFoundException", "no such shard")
        if request["ShardIteratorType"] == "TRIM_HORIZON":
            return -3
        if int(request["SequenceNumber"]) < self.horizon:
            raise DynamoError("TrimmedDataAccessException", "older than a day")
        return int(request["SequenceNumber"])


def read(stream: FakeStream, first: int, last: int) -> list[int]:
    span = Span(ARN, "shard-1", f"{first:030d}", f"{last:030d}", last - first + 1)
    records = Streams(stream).read(span)  # type: ignore[arg-type]
    assert all(record["eventSourceARN"] == ARN for record in records)
    return [int(record["dynamodb"]["SequenceNumber"]) for record in records]


def test_the_records_of_the_span_are_read_page_by_page_and_no_more() -> None:
    stream = FakeStream(range(1, 100))
    assert read(stream, 5, 9) == [5, 6, 7, 8, 9]
    assert stream.calls == ["GetShardIterator"] + 3 * ["GetRecords"]


def test_what_is_left_is_read_when_the_first_are_trimmed() -> None:
    assert read(FakeStream(range(1, 100), horizon=8), 5, 9) == [8, 9]


def test_nothing_is_left_when_all_are_trimmed_or_the_shard_is_gone() -> None:
    assert read(FakeStream(range(1, 100), horizon=50), 5, 9) == []
    assert read(FakeStream(range(1, 4), horizon=50), 5, 9) == []
    assert read(FakeStream(range(1, 100), gone=True), 5, 9) == []


def test_another_failure_is_not_taken_for_a_loss() -> None:
    stream = FakeStream(range(1, 100))
    stream.failure = DynamoError("AccessDeniedException", "not allowed")
    with pytest.raises(DynamoError, match="AccessDenied"):
        read(stream, 5, 9)


def test_a_span_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="comes before"):
        Span(ARN, "shard-1", "9", "5", 1)


def test_the_streams_are_asked_at_their_own_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def exchange(headers: dict[str, str], *_: Any) -> tuple[int, bytes]:
        asked.append((headers["host"], headers["x-amz-target"]))
        return 200, b"{}"

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "111111111111")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "local")
    for options in ({}, {"api": STREAMS}):
        client = Dynamo("eu-west-2", **options)
        monkeypatch.setattr(client._transport, "exchange", exchange)
        client.call("DescribeIt", {})
    assert asked == [
        ("dynamodb.eu-west-2.amazonaws.com", "DynamoDB_20120810.DescribeIt"),
        ("streams.dynamodb.eu-west-2.amazonaws.com", "DynamoDBStreams_20120810.DescribeIt"),
    ]
