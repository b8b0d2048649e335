"""What becomes of a batch after the function has seen it. Rules only, no I/O."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cutlass.platform.streams import Record, sequence_number

_FIRST_BACKOFF_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Policy:
    """How often a batch is tried again, and whether it is cut in halves on the way."""

    retries: int
    bisect: bool
    longest_backoff_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to hand to the function together; `failures` is how often they failed already."""

    records: tuple[Record, ...]
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows: `done` records are over, the batches of `again` come next, `given_up` failed for good."""

    done: tuple[Record, ...] = ()
    again: tuple[Batch, ...] = ()
    given_up: Batch | None = None


def decide(batch: Batch, failed: int | None, policy: Policy) -> Outcome:
    """Return what follows a call of the function.

    The rules are those of AWS's event source mapping for streams: what stands before the first failed record
    is done; a batch that fails at its first record is cut in halves, which costs no retry, or tried again,
    and given up after the last retry.

    Parameters
    ----------
    failed : int or None
        Index of the first record that failed; None when none did, 0 when the function raised.
    """
    if failed is None:
        return Outcome(done=batch.records)
    if failed > 0:
        return Outcome(done=batch.records[:failed], again=(Batch(batch.records[failed:]),))
    if policy.bisect and len(batch.records) > 1:
        middle = len(batch.records) // 2
        return Outcome(again=(Batch(batch.records[:middle]), Batch(batch.records[middle:])))
    if batch.failures >= policy.retries:
        return Outcome(done=batch.records, given_up=Batch(batch.records, batch.failures + 1))
    return Outcome(again=(Batch(batch.records, batch.failures + 1),))


def first_failure(answer: Any, records: Sequence[Record], identify: Callable[[Record], str]) -> int | None:
    """Return the index of the first record named in `batchItemFailures`, None if all went well.

    As in AWS, an answer without that list is a success, and one that names a record that is not in the batch
    is the failure of all of it.
    """
    failures = answer.get("batchItemFailures") if isinstance(answer, dict) else None
    if not failures:
        return None
    if not isinstance(failures, list):
        return 0
    names = {failure.get("itemIdentifier") if isinstance(failure, dict) else None for failure in failures}
    places = [place for place, record in enumerate(records) if identify(record) in names]
    return places[0] if len(places) == len(names) else 0


def backoff(consecutive_failures: int, policy: Policy) -> float:
    """Return the seconds to wait after so many failures in a row: 0.1 s, doubled each time."""
    exponent = min(consecutive_failures - 1, 20)
    return float(min(policy.longest_backoff_seconds, _FIRST_BACKOFF_SECONDS * 2**exponent))


def failure_notice(
    batch: Batch, *, function_arn: str, stream_arn: str, shard: str, request_id: str, error: bool, at: str
) -> dict[str, Any]:
    """Return what AWS sends to the on-failure destination of a stream: where the records are, not what they are.

    The shape is that of "Configuring destinations for DynamoDB event source mappings" in the Lambda guide.
    """
    first, last = batch.records[0], batch.records[-1]
    return {
        "requestContext": {
            "requestId": request_id,
            "functionArn": function_arn,
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": batch.failures,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled" if error else None,
        },
        "version": "1.0",
        "timestamp": at,
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": sequence_number(first),
            "endSequenceNumber": sequence_number(last),
            "approximateArrivalOfFirstRecord": first["dynamodb"]["ApproximateCreationDateTime"],
            "approximateArrivalOfLastRecord": last["dynamodb"]["ApproximateCreationDateTime"],
            "batchSize": len(batch.records),
            "streamArn": stream_arn,
        },
    }
