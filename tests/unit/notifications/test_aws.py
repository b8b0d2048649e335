"""What SES and SQS answer is told apart: not now, not known, never."""

import json
import socket
from collections.abc import Iterator

import pytest
from botocore.credentials import Credentials

from cutlass.domain.errors import UnavailableError
from cutlass.notifications.aws import SES, SQS, Aws, RefusedError, ThrottledError
from cutlass.notifications.queues import LONGEST_DELAY, Queues
from tests.support.telling import Hook, serving

KEYS = Credentials("111111111111", "local")


@pytest.fixture
def hook() -> Iterator[Hook]:
    with serving() as serves:
        yield serves


def ses(hook: Hook) -> Aws:
    return Aws(SES, "eu-west-2", endpoint=f"http://127.0.0.1:{hook.port}", credentials=KEYS)


def test_a_request_is_signed_for_its_service_and_region(hook: Hook) -> None:
    hook.answers.append((200, {}, b'{"MessageId":"m-1"}'))
    assert ses(hook).post("/v2/x", {"a": 1}, {"Content-Type": "application/json"}) == {"MessageId": "m-1"}
    ((path, fields, body),) = hook.got
    assert (path, json.loads(body)) == ("/v2/x", {"a": 1})
    assert "/eu-west-2/ses/aws4_request" in fields["Authorization"]


@pytest.mark.parametrize(
    ("status", "fields", "body", "kind"),
    [
        (429, {"x-amzn-errortype": "TooManyRequestsException"}, b'{"message":"slow"}', ThrottledError),
        (400, {}, b'{"__type":"x#ThrottlingException"}', ThrottledError),
        (500, {}, b"", UnavailableError),
        (503, {}, b"<html>", UnavailableError),
        (400, {"x-amzn-errortype": "MessageRejected:http://x/"}, b'{"message":"not verified"}', RefusedError),
        (404, {"x-amzn-errortype": "NotFoundException"}, b'{"message":"Template t does not exist"}', RefusedError),
        (403, {}, b'{"Message":"AccessDenied"}', RefusedError),
    ],
)
def test_an_error_says_whether_to_come_again(
    hook: Hook, status: int, fields: dict[str, str], body: bytes, kind: type[Exception]
) -> None:
    hook.answers.append((status, fields, body))
    with pytest.raises(kind) as told:
        ses(hook).post("/v2/x", {}, {})
    assert type(told.value) is kind
    said = body.partition(b'essage":"')[2].partition(b'"')[0].decode()
    assert said in str(told.value)


def test_no_answer_may_have_been_done() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="no answer"):
            Aws(SES, "eu-west-2", endpoint=endpoint, credentials=KEYS).post("/", {}, {})


def test_a_queue_is_looked_for_once_and_hides_no_longer_than_it_can(hook: Hook) -> None:
    hook.answers = [(200, {}, b'{"QueueUrl":"http://q/webhooks-dev"}'), (200, {}, b"{}"), (200, {}, b"{}")]
    endpoint = f"http://127.0.0.1:{hook.port}"
    queues = Queues(lambda name: f"{name}-dev", "eu-west-2", endpoint=endpoint, credentials=KEYS)
    queues.delay("webhooks", "r1", 10**6)
    queues.send("webhooks", {"v": 1})
    targets = [fields["X-Amz-Target"] for _, fields, _ in hook.got]
    assert targets == ["AmazonSQS.GetQueueUrl", "AmazonSQS.ChangeMessageVisibility", "AmazonSQS.SendMessage"]
    asked, hidden, sent = (json.loads(body) for _, _, body in hook.got)
    assert asked == {"QueueName": "webhooks-dev"}
    assert hidden["VisibilityTimeout"] == LONGEST_DELAY
    assert sent == {"QueueUrl": "http://q/webhooks-dev", "MessageBody": '{"v": 1}'}
    assert SQS.signing == "sqs"
