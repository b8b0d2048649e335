"""What a function is told of a queue's messages, and what its answer says of them."""

from typing import Any

import pytest

from cutlass.platform.consumer.messages import failed_messages, queue_event

ARN = "arn:aws:sqs:eu-west-2:111111111111:some-queue"


def message(name: str, **more: Any) -> dict[str, Any]:
    return {"MessageId": name, "ReceiptHandle": f"handle-{name}", "Body": "{}", "MD5OfBody": "md5"} | more


BATCH = [message("a"), message("b"), message("c")]


def test_the_event_is_that_of_lambda() -> None:
    received = message(
        "a",
        Attributes={"ApproximateReceiveCount": "2", "SentTimestamp": "1"},
        MessageAttributes={
            "count": {"StringValue": "100", "DataType": "Number"},
            "raw": {"BinaryValue": "AAEC", "DataType": "Binary"},
        },
        MD5OfMessageAttributes="md5-of-those",
    )
    (record,) = queue_event([received], arn=ARN, aws_region="eu-west-2")["Records"]
    assert record == {
        "messageId": "a",
        "receiptHandle": "handle-a",
        "body": "{}",
        "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1"},
        "messageAttributes": {
            "count": {
                "stringValue": "100",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "Number",
            },
            "raw": {"binaryValue": "AAEC", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
        },
        "md5OfBody": "md5",
        "md5OfMessageAttributes": "md5-of-those",
        "eventSource": "aws:sqs",
        "eventSourceARN": ARN,
        "awsRegion": "eu-west-2",
    }


def test_a_message_without_attributes_has_empty_ones() -> None:
    (record,) = queue_event([message("a")], arn=ARN, aws_region="eu-west-2")["Records"]
    assert (record["attributes"], record["messageAttributes"]) == ({}, {})
    assert "md5OfMessageAttributes" not in record


@pytest.mark.parametrize(
    "answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}, {"other": 1}]
)
def test_an_answer_that_names_nothing_is_a_success_of_all(answer: Any) -> None:
    assert failed_messages(answer, BATCH) == set()


def test_only_the_named_messages_failed() -> None:
    named = [{"itemIdentifier": "c"}, {"itemIdentifier": "a"}, {"itemIdentifier": "c"}]
    assert failed_messages({"batchItemFailures": named}, BATCH) == {"a", "c"}


@pytest.mark.parametrize(
    "answer",
    [
        "ok",
        ["a"],
        7,
        {"batchItemFailures": "a"},
        {"batchItemFailures": {"itemIdentifier": "a"}},
        {"batchItemFailures": ["a"]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"badKey": "a"}]},
        {"batchItemFailures": [{"itemIdentifier": "a"}, {"itemIdentifier": "not in the batch"}]},
    ],
)
def test_a_malformed_answer_is_the_failure_of_all(answer: Any) -> None:
    assert failed_messages(answer, BATCH) == {"a", "b", "c"}
