"""What becomes of a batch of stream records after the function has seen it."""

from collections import deque
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutlass.platform.consumer.batches import Batch, Policy, backoff, decide, failure_notice, first_failure
from cutlass.platform.streams import sequence_number


def records(count: int, first: int = 0) -> tuple[dict[str, Any], ...]:
    return tuple(
        {"dynamodb": {"SequenceNumber": f"{number:030d}", "ApproximateCreationDateTime": 1.0}}
        for number in range(first, first + count)
    )


POLICY = Policy(retries=2, bisect=True)


def test_a_batch_without_failure_is_done() -> None:
    batch = Batch(records(3))
    outcome = decide(batch, None, POLICY)
    assert outcome.done == batch.records
    assert not outcome.again


def test_what_stands_before_the_first_failure_is_done_and_the_rest_comes_again_as_new() -> None:
    batch = Batch(records(5), failures=1)
    outcome = decide(batch, 3, POLICY)
    assert outcome.done == batch.records[:3]
    assert outcome.again == (Batch(batch.records[3:], failures=0),)


def test_a_batch_that_fails_at_once_is_cut_in_halves_without_costing_a_retry() -> None:
    batch = Batch(records(5), failures=2)
    outcome = decide(batch, 0, POLICY)
    assert not outcome.done
    assert outcome.again == (Batch(batch.records[:2]), Batch(batch.records[2:]))


def test_without_bisect_the_whole_batch_comes_again() -> None:
    batch = Batch(records(5))
    assert decide(batch, 0, Policy(retries=2, bisect=False)).again == (Batch(batch.records, failures=1),)


def test_after_the_last_retry_the_batch_is_given_up_and_its_position_passed() -> None:
    batch = Batch(records(1), failures=2)
    outcome = decide(batch, 0, POLICY)
    assert outcome.given_up == Batch(batch.records, failures=3)
    assert outcome.done == batch.records
    assert not outcome.again


@given(
    count=st.integers(1, 40),
    poison=st.sets(st.integers(0, 39)),
    retries=st.integers(0, 3),
    bisect=st.booleans(),
    partial=st.booleans(),
)
def test_every_record_is_passed_once_in_order_and_only_poison_is_given_up_when_cut(
    count: int, poison: set[int], retries: int, bisect: bool, partial: bool
) -> None:
    """A function that fails on some records, by exception or by naming the first of them."""
    every = records(count)
    bad = {sequence_number(every[place]) for place in poison if place < count}
    policy = Policy(retries=retries, bisect=bisect)
    waiting = deque([Batch(every)])
    passed: list[Any] = []
    given_up: list[Any] = []
    for _ in range(10_000):
        if not waiting:
            break
        batch = waiting.popleft()
        places = [place for place, record in enumerate(batch.records) if sequence_number(record) in bad]
        failed = None if not places else places[0] if partial else 0
        outcome = decide(batch, failed, policy)
        passed += outcome.done
        given_up += outcome.given_up.records if outcome.given_up else ()
        waiting.extendleft(reversed(outcome.again))
    assert not waiting, "the batch never ends"
    assert passed == list(every)
    if bisect:
        assert {sequence_number(record) for record in given_up} == bad


class TestFirstFailure:
    BATCH = records(4)

    def place(self, answer: Any) -> int | None:
        return first_failure(answer, self.BATCH, sequence_number)

    @pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, "ok"])
    def test_no_list_is_success(self, answer: Any) -> None:
        assert self.place(answer) is None

    def test_the_lowest_of_several_counts(self) -> None:
        named = [{"itemIdentifier": sequence_number(self.BATCH[place])} for place in (3, 1)]
        assert self.place({"batchItemFailures": named}) == 1

    @pytest.mark.parametrize("item", [{"itemIdentifier": "unknown"}, {"itemIdentifier": ""}, {}, "text"])
    def test_a_name_that_is_not_in_the_batch_fails_all_of_it(self, item: Any) -> None:
        good = {"itemIdentifier": sequence_number(self.BATCH[2])}
        assert self.place({"batchItemFailures": [good, item]}) == 0


def test_the_wait_doubles_up_to_its_limit() -> None:
    policy = Policy(retries=9, bisect=True, longest_backoff_seconds=1.0)
    assert [backoff(failures, policy) for failures in (1, 2, 3, 4, 5, 999)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_the_notice_of_a_failure_says_where_the_records_are() -> None:
    batch = Batch(records(3, first=7), failures=4)
    notice = failure_notice(
        batch, function_arn="arn:f", stream_arn="arn:s", shard="shard-1", request_id="r", error=True, at="now"
    )
    assert notice["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert notice["requestContext"]["approximateInvokeCount"] == 4
    where = notice["DDBStreamBatchInfo"]
    assert (where["startSequenceNumber"], where["endSequenceNumber"]) == (f"{7:030d}", f"{9:030d}")
    assert (where["batchSize"], where["shardId"], where["streamArn"]) == (3, "shard-1", "arn:s")
