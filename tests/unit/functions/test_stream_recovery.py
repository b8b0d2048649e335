"""What a stream's consumer gave up is done again, by the same code, or stays in the queue."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError

from cutlass.contracts import load_functions
from cutlass.functions import compensator, meter, stream_recovery, terms
from cutlass.storage.settings import Settings
from cutlass.storage.streams import Record, Span
from tests.unit.functions.samples import notice, sqs_event, stream_record


class Surroundings:
    """A stream, the item store and the two functions, as far as recovery sees them."""

    def __init__(self) -> None:
        self.settings = Settings("dev", "london")
        self.dynamo = SimpleNamespace(call=self.get)
        self.left: list[Record] = []
        self.items: dict[str, dict[str, Any]] = {}
        self.asked: list[Span] = []
        self.given: dict[str, list[list[Record]]] = {"meter": [], "terms": []}
        self.answer: Any = {"batchItemFailures": []}

    def read(self, span: Span) -> list[Record]:
        self.asked.append(span)
        return self.left

    def get(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        assert (operation, request["TableName"]) == ("GetItem", "cutlass-tech-organisations-dev")
        item = self.items.get(request["Key"]["sk"]["S"])
        return {"Item": item} if item else {}

    def function(self, name: str) -> Any:
        def handler(event: Any, _context: Any) -> Any:
            self.given[name].append(event["Records"])
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return handler


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> Surroundings:
    made = Surroundings()
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Cutlass")
    monkeypatch.setattr(stream_recovery, "open_store", lambda: made)
    monkeypatch.setattr(stream_recovery, "open_streams", lambda: made)
    monkeypatch.setattr(meter, "handler", made.function("meter"))
    monkeypatch.setattr(terms, "handler", made.function("terms"))
    return made


def recover(*bodies: Any) -> Any:
    return stream_recovery.handler(sqs_event(*bodies), None)


def test_the_records_are_read_again_and_given_to_the_function_that_failed(around: Surroundings) -> None:
    around.left = [stream_record(place) for place in (5, 6)]
    assert recover(notice("meter", 5, 6)) == {"batchItemFailures": []}
    assert around.given == {"meter": [around.left], "terms": []}
    (span,) = around.asked
    assert (int(span.first), int(span.last), span.count, span.shard) == (5, 6, 2, "shard-1")


def test_terms_are_applied_as_they_are_by_now_each_once(around: Surroundings) -> None:
    around.left = [stream_record(1, "org"), stream_record(2, "user#ann"), stream_record(3, "org")]
    around.items = {"org": {"rev": {"N": "9"}}}  # the user has been deleted since
    recover(notice("terms", 1, 3))
    ((record,),) = around.given["terms"]
    assert record["dynamodb"]["NewImage"] == {"rev": {"N": "9"}}
    assert int(record["dynamodb"]["SequenceNumber"]) == 3


def test_terms_that_are_all_gone_need_nothing(around: Surroundings) -> None:
    around.left = [stream_record(1, "org")]
    assert recover(notice("terms", 1, 1)) == {"batchItemFailures": []}
    assert not around.given["terms"]


def test_a_message_that_fails_again_comes_again_and_the_others_do_not(around: Surroundings) -> None:
    around.left = [stream_record(5)]
    answer = recover(notice("meter", 5, 5), {"not": "a notice"})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    around.answer = ValueError("still broken")
    with pytest.raises(BatchProcessingError):
        recover(notice("meter", 5, 5))
    around.answer = {"batchItemFailures": [{"itemIdentifier": "5"}]}
    with pytest.raises(BatchProcessingError):
        recover(notice("meter", 5, 5))


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        "[]",
        "null",
        {},
        notice("meter", 6, 5),
        notice("meter", 5, 6) | {"requestContext": {"functionArn": "meter"}},
        notice("meter", 5, 6) | {"requestContext": {"functionArn": None}},
        notice("balance", 5, 6),
        notice("meter", 5, 6, region="sydney"),
    ],
)
def test_what_is_no_failure_of_ours_is_left_for_a_person(around: Surroundings, body: Any) -> None:
    with pytest.raises(BatchProcessingError):
        recover(body)
    assert around.given == {"meter": [], "terms": []}


def test_charges_are_compared_once_more(around: Surroundings, monkeypatch: pytest.MonkeyPatch) -> None:
    around.given["compensator"] = []
    monkeypatch.setattr(compensator, "handler", around.function("compensator"))
    around.left = [stream_record(place) for place in (5, 6)]
    assert recover(notice("compensator", 5, 6)) == {"batchItemFailures": []}
    assert around.given["compensator"] == [around.left]


def test_every_function_a_stream_starts_can_be_recovered() -> None:
    started = {function.name for function in load_functions().values() if function.streams}
    assert started <= set(stream_recovery._AGAIN)


def test_a_qualified_name_of_the_function_is_known(around: Surroundings) -> None:
    around.left = [stream_record(5)]
    body = notice("meter", 5, 5)
    body["requestContext"]["functionArn"] += ":$LATEST"
    recover(body)
    assert around.given["meter"]


@pytest.mark.parametrize("left", [0, 2])
def test_records_that_are_gone_are_reported_as_lost_and_the_others_are_done(
    around: Surroundings, left: int, capsys: pytest.CaptureFixture[str]
) -> None:
    around.left = [stream_record(9 - place) for place in range(left)]
    with pytest.raises(BatchProcessingError):
        recover(notice("meter", 5, 9))
    assert around.given["meter"] == ([around.left] if left else [])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    (metric,) = [line for line in lines if "_aws" in line]
    assert metric[stream_recovery.LOST_METRIC] == [5.0 - left]
    assert metric["function"] == "meter"
