"""What an AWS API answers is told apart: not now, not known, never. Only what may be done twice is asked twice."""

import json
import socket
from collections.abc import Callable, Iterator

import pytest
from botocore.credentials import Credentials

from cutlass.domain.errors import UnavailableError
from cutlass.storage.aws import ATHENA, SES, SQS, Aws, RefusedError, Service, ThrottledError, insist
from cutlass.storage.queues import LONGEST_DELAY, Queues
from tests.support.telling import Hook, serving

KEYS = Credentials("111111111111", "local")
FOUND = (200, {}, b'{"QueueUrl":"http://q/webhooks-dev"}')
DONE = (200, {}, b"{}")


@pytest.fixture
def hook() -> Iterator[Hook]:
    with serving() as serves:
        yield serves


@pytest.fixture
def ses(hook: Hook) -> Aws:
    return Aws(SES, "eu-west-2", endpoint=f"http://127.0.0.1:{hook.port}", credentials=KEYS)


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def queues(hook: Hook, slept: list[float]) -> Queues:
    endpoint = f"http://127.0.0.1:{hook.port}"
    return Queues(lambda name: f"{name}-dev", "eu-west-2", endpoint=endpoint, credentials=KEYS, sleep=slept.append)


def operations(hook: Hook) -> list[str]:
    return [fields["X-Amz-Target"].removeprefix("AmazonSQS.") for _, fields, _ in hook.got]


def test_a_request_is_signed_for_its_service_and_region(hook: Hook, ses: Aws) -> None:
    hook.answers.append((200, {}, b'{"MessageId":"m-1"}'))
    assert ses.request("POST", "/v2/x", {"a": 1}) == {"MessageId": "m-1"}
    ((path, fields, body),) = hook.got
    assert (path, json.loads(body)) == ("/v2/x", {"a": 1})
    assert "/eu-west-2/ses/aws4_request" in fields["Authorization"]


@pytest.mark.parametrize(("service", "version"), [(SQS, "1.0"), (ATHENA, "1.1")])
def test_an_operation_is_named_in_the_protocol_of_its_service(hook: Hook, service: Service, version: str) -> None:
    hook.answers.append(DONE)
    aws = Aws(service, "eu-west-2", endpoint=f"http://127.0.0.1:{hook.port}", credentials=KEYS)
    assert aws.call("Operate", {}) == {}
    ((_, fields, _),) = hook.got
    assert fields["X-Amz-Target"] == f"{service.target}.Operate"
    assert fields["Content-Type"] == f"application/x-amz-json-{version}"


@pytest.mark.parametrize(
    ("status", "fields", "body", "kind"),
    [
        (429, {"x-amzn-errortype": "TooManyRequestsException"}, b'{"message":"slow"}', ThrottledError),
        (400, {}, b'{"__type":"x#ThrottlingException"}', ThrottledError),
        (400, {}, b'{"__type":"com.amazonaws.sqs#RequestThrottled"}', ThrottledError),
        (400, {}, b'{"__type":"com.amazonaws.sqs#KmsThrottled"}', ThrottledError),
        (500, {}, b"", UnavailableError),
        (503, {}, b"<html>", UnavailableError),
        (400, {"x-amzn-errortype": "MessageRejected:http://x/"}, b'{"message":"not verified"}', RefusedError),
        (404, {"x-amzn-errortype": "NotFoundException"}, b'{"message":"Template t does not exist"}', RefusedError),
        (403, {}, b'{"Message":"AccessDenied"}', RefusedError),
    ],
)
def test_an_error_says_whether_to_come_again(
    hook: Hook, ses: Aws, status: int, fields: dict[str, str], body: bytes, kind: type[Exception]
) -> None:
    hook.answers.append((status, fields, body))
    with pytest.raises(kind) as told:
        ses.request("POST", "/v2/x", {})
    assert type(told.value) is kind
    said = body.partition(b'essage":"')[2].partition(b'"')[0].decode()
    assert said in str(told.value)
    assert getattr(told.value, "answered", status) == status
    assert len(hook.got) == 1, "what may have been done is not asked for again here"


def test_no_answer_may_have_been_done() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(UnavailableError, match="no answer"):
            Aws(SQS, "eu-west-2", endpoint=endpoint, credentials=KEYS).call("ListQueues", {})


def failing(*errors: Exception) -> Callable[[], str]:
    turns = iter(errors)

    def ask() -> str:
        for error in turns:
            raise error
        return "done"

    return ask


def test_pauses_grow_and_the_last_failure_is_told() -> None:
    slept: list[float] = []
    slow = [ThrottledError(str(turn)) for turn in range(4)]
    assert insist(failing(*slow[:3]), ThrottledError, tries=4, pause=1, sleep=slept.append) == "done"
    assert [low <= pause <= 2 * low for pause, low in zip(slept, (0.5, 1, 2), strict=True)] == [True] * 3
    with pytest.raises(ThrottledError, match="3"):
        insist(failing(*slow), ThrottledError, tries=4, pause=1, sleep=slept.append)


def test_what_may_have_been_done_is_not_asked_for_again_unless_that_is_harmless() -> None:
    slept: list[float] = []
    with pytest.raises(UnavailableError, match="no answer"):
        insist(failing(UnavailableError("no answer")), ThrottledError, tries=4, pause=1, sleep=slept.append)
    assert not slept
    assert (
        insist(failing(UnavailableError("no answer")), UnavailableError, tries=2, pause=1, sleep=slept.append)
        == "done"
    )


def test_a_queue_is_looked_for_once_and_hides_no_longer_than_it_can(hook: Hook, queues: Queues) -> None:
    hook.answers = [FOUND, DONE, DONE]
    queues.delay("webhooks", "r1", 10**6)
    queues.send("webhooks", {"v": 1})
    assert operations(hook) == ["GetQueueUrl", "ChangeMessageVisibility", "SendMessage"]
    asked, hidden, sent = (json.loads(body) for _, _, body in hook.got)
    assert asked == {"QueueName": "webhooks-dev"}
    assert hidden["VisibilityTimeout"] == LONGEST_DELAY
    assert sent == {"QueueUrl": "http://q/webhooks-dev", "MessageBody": '{"v":1}'}
    assert "/eu-west-2/sqs/aws4_request" in hook.got[0][1]["Authorization"]


def test_a_message_is_sent_again_after_a_passing_fault(hook: Hook, queues: Queues, slept: list[float]) -> None:
    slow = (400, {}, b'{"__type":"com.amazonaws.sqs#RequestThrottled"}')
    hook.answers = [(503, {}, b""), FOUND, (500, {}, b""), slow, DONE]
    queues.send("reports", {"v": 1})
    assert operations(hook) == ["GetQueueUrl", "GetQueueUrl", "SendMessage", "SendMessage", "SendMessage"]
    assert len(slept) == 3


def test_a_queue_that_does_not_answer_or_refuses_is_told(hook: Hook, queues: Queues) -> None:
    hook.answers = [(503, {}, b"")] * 3
    with pytest.raises(UnavailableError, match="GetQueueUrl"):
        queues.send("reports", {})
    hook.answers = [(400, {}, b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}')]
    with pytest.raises(RefusedError, match="QueueDoesNotExist"):
        queues.send("reports", {})
    assert len(hook.got) == 4


def test_many_messages_go_ten_at_a_time_and_those_not_taken_are_named(hook: Hook, queues: Queues) -> None:
    hook.answers = [FOUND, DONE, (200, {}, b'{"Failed":[{"Id":"11","SenderFault":false}]}')]
    assert queues.send_all("notifications", [{"n": place} for place in range(12)]) == {11}
    assert operations(hook) == ["GetQueueUrl", "SendMessageBatch", "SendMessageBatch"]
    batches = [json.loads(body)["Entries"] for _, _, body in hook.got[1:]]
    assert [entry["Id"] for batch in batches for entry in batch] == [str(place) for place in range(12)]
    assert [json.loads(entry["MessageBody"])["n"] for batch in batches for entry in batch] == list(range(12))
    assert len(batches[0]) == 10
