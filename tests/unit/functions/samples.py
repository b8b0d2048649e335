"""Messages and records of streams and queues, as AWS makes them."""

import json
from typing import Any


def stream_record(place: int, sort_key: str = "-", **image: Any) -> dict[str, Any]:
    """A stream record of an item `o#…` at a place."""
    keys = {"pk": {"S": "london#o"}, "sk": {"S": sort_key}}
    change = {"Keys": keys, "SequenceNumber": f"{place:030d}", "NewImage": keys | image}
    return {"eventName": "MODIFY", "eventSource": "aws:dynamodb", "dynamodb": change}


def notice(function: str, first: int, last: int, *, region: str = "london") -> dict[str, Any]:
    """What Lambda sends to a stream's on-failure destination."""
    return {
        "requestContext": {
            "requestId": "r-1",
            "functionArn": f"arn:aws:lambda:eu-west-2:111111111111:function:cutlass-tech-{function}-dev-{region}",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 21,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0",
        "timestamp": "2026-11-22T12:00:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": "shard-1",
            "startSequenceNumber": f"{first:030d}",
            "endSequenceNumber": f"{last:030d}",
            "approximateArrivalOfFirstRecord": "2026-11-22T11:59:00Z",
            "approximateArrivalOfLastRecord": "2026-11-22T11:59:00Z",
            "batchSize": last - first + 1,
            "streamArn": "arn:aws:dynamodb:eu-west-2:111111111111:table/some/stream/2026",
        },
    }


def sqs_event(*bodies: Any) -> dict[str, Any]:
    """What a function is given of a queue; a body is sent as JSON unless it is text."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"handle-{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-2:111111111111:cutlass-tech-stream-failures-dev-london",
                "awsRegion": "eu-west-2",
            }
            for number, body in enumerate(bodies)
        ]
    }
