"""The gateway as a whole, with functions of the test's own behind the real contract."""

import asyncio
import base64
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from cutlass.platform.gateway.app import MAX_BODY_BYTES, Gateway
from cutlass.platform.runtime import FunctionError, FunctionTimeoutError

ALLOW = {"Statement": [{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}]}
CHECK = {"user_id": "u", "org_id": "o"}


class FakeRuntime:
    """Answers for all functions, and notes what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Any]] = []
        self.answer: Any = {"statusCode": 200, "headers": {"X-Request-Id": "not mine"}, "body": "{}"}
        self.verdict: Any = {"principalId": "me", "policyDocument": ALLOW, "context": {"kind": "service"}}

    async def invoke_async(self, name: str, event: Any) -> Any:
        self.calls.append((name, event))
        result = self.verdict if name == "authorizer" else self.answer
        if isinstance(result, Exception):
            raise result
        return result

    def called(self, name: str) -> list[Any]:
        return [event for one, event in self.calls if one == name]


@pytest.fixture
def functions() -> FakeRuntime:
    return FakeRuntime()


@pytest.fixture(scope="module")
def loop_runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


class Caller:
    def __init__(self, functions: FakeRuntime, runner: asyncio.Runner) -> None:
        self._gateway = Gateway(functions, "london", "eu-west-2")  # type: ignore[arg-type]
        self._runner = runner

    def __call__(self, method: str, path: str, *, token: str | None = "", **options: Any) -> httpx.Response:
        """Call with some token, with this one, or with none."""
        given = {} if token is None else {"Authorization": f"Bearer {token or 'some'}"}
        headers = options.pop("headers", {}) | given

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._gateway)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
                return await client.request(method, path, headers=headers, **options)

        return self._runner.run(send())


@pytest.fixture
def call(functions: FakeRuntime, loop_runner: asyncio.Runner) -> Caller:
    return Caller(functions, loop_runner)


def problem(response: httpx.Response, status: int) -> Any:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    return body


def test_a_request_reaches_its_function_with_its_caller(call: Caller, functions: FakeRuntime) -> None:
    response = call("POST", "/usage-check", json=CHECK)
    assert response.status_code == 200
    (event,) = functions.called("usage-check")
    assert json.loads(event["body"]) == CHECK
    assert event["requestContext"]["authorizer"] == {"principalId": "me", "kind": "service"}
    assert response.headers.get_list("x-request-id") == [event["requestContext"]["requestId"]]


def test_no_token_is_401_and_asks_nobody(call: Caller, functions: FakeRuntime) -> None:
    body = problem(call("POST", "/usage-check", token=None, json=CHECK), 401)
    assert "token" in body["detail"]
    assert not functions.calls


def test_unauthorized_is_401_and_is_not_remembered(call: Caller, functions: FakeRuntime) -> None:
    refusal = FunctionError("the function authorizer failed")
    refusal.__cause__ = Exception("Unauthorized")
    good, functions.verdict = functions.verdict, refusal
    response = call("POST", "/usage-check", json=CHECK)
    problem(response, 401)
    assert response.headers["www-authenticate"].startswith("Bearer")
    functions.verdict = good
    assert call("POST", "/usage-check", json=CHECK).status_code == 200


def test_a_policy_that_denies_is_403(call: Caller, functions: FakeRuntime) -> None:
    functions.verdict = {"principalId": "me", "policyDocument": {"Statement": []}}
    problem(call("POST", "/usage-check", json=CHECK), 403)


def test_a_broken_authorizer_is_500(call: Caller, functions: FakeRuntime) -> None:
    functions.verdict = FunctionError("broken")
    problem(call("POST", "/usage-check", json=CHECK), 500)


def token(expires: float) -> str:
    return f"x.{base64.urlsafe_b64encode(json.dumps({'exp': expires}).encode()).decode().rstrip('=')}.y"


def test_the_authorizer_is_asked_once_while_its_token_is_good(call: Caller, functions: FakeRuntime) -> None:
    good, ended = token(time.time() + 100), token(time.time() - 1)
    for _ in range(3):
        call("POST", "/usage-check", token=good, json=CHECK)
    assert len(functions.called("authorizer")) == 1
    for _ in range(2):
        call("POST", "/usage-check", token=ended, json=CHECK)
    assert len(functions.called("authorizer")) == 3


def test_health_needs_no_token(call: Caller, functions: FakeRuntime) -> None:
    assert call("GET", "/health", token=None).status_code == 200
    assert not functions.called("authorizer")


def test_head_is_answered_as_get_without_the_body(call: Caller, functions: FakeRuntime) -> None:
    functions.answer = {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": '{"a": 1}'}
    seen, whole = call("HEAD", "/health", token=None), call("GET", "/health", token=None)
    assert (seen.status_code, seen.content, whole.content) == (200, b"", b'{"a": 1}')
    assert seen.headers["content-length"] == whole.headers["content-length"] == "8"
    assert seen.headers["content-type"] == "application/json"
    assert [event["httpMethod"] for event in functions.called("health")] == ["HEAD", "GET"]
    refused = call("HEAD", "/usage-check")
    assert (refused.status_code, refused.content, refused.headers["allow"]) == (405, b"", "POST")


def test_unknown_routes_and_methods(call: Caller) -> None:
    problem(call("GET", "/nowhere"), 404)
    response = call("DELETE", "/usage-check")
    problem(response, 405)
    assert response.headers["allow"] == "POST"


def test_a_request_that_breaks_the_contract_names_the_field(call: Caller, functions: FakeRuntime) -> None:
    body = problem(call("POST", "/usage-check", json=CHECK | {"units": -1}), 400)
    assert body["field"] == "units"
    assert not functions.called("usage-check")


def test_a_body_over_64_kb_is_413_and_not_read_to_its_end(call: Caller, functions: FakeRuntime) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 16_384
            yield b"x" * 16_384

    body = problem(call("POST", "/usage-check", content=b"x" * (MAX_BODY_BYTES + 1)), 413)
    assert "65536" in body["detail"]
    problem(call("POST", "/usage-check", content=endless()), 413)
    assert not functions.calls
    exact = json.dumps(CHECK).encode().ljust(MAX_BODY_BYTES)
    assert (
        call("POST", "/usage-check", content=exact, headers={"Content-Type": "application/json"}).status_code
        == 200
    )


def test_a_function_that_fails_is_500_without_its_reason(call: Caller, functions: FakeRuntime) -> None:
    functions.answer = FunctionError("password 1234 was wrong")
    assert "1234" not in json.dumps(problem(call("POST", "/usage-check", json=CHECK), 500))
    functions.answer = {"statusCode": "what"}
    problem(call("POST", "/usage-check", json=CHECK), 500)


def test_a_function_that_takes_too_long_is_504(call: Caller, functions: FakeRuntime) -> None:
    functions.answer = FunctionTimeoutError("too long")
    body = problem(call("POST", "/usage-check", json=CHECK), 504)
    assert "request id" in body["hint"]


def test_the_contract_is_served(call: Caller) -> None:
    assert call("GET", "/openapi.json", token=None).json()["openapi"].startswith("3.0")
    assert call("GET", "/openapi.yaml", token=None).text.startswith("openapi:")


def test_the_log_has_a_line_per_request_and_never_a_token(
    call: Caller, caplog: pytest.LogCaptureFixture, functions: FakeRuntime
) -> None:
    secret = token(time.time() + 100)
    functions.answer = FunctionError("broken")
    with caplog.at_level(logging.DEBUG):
        call("POST", "/usage-check", token=secret, json=CHECK)
    (line,) = [json.loads(one.message) for one in caplog.records if one.name == "cutlass.access"]
    assert (line["method"], line["route"], line["status"], line["principal"]) == (
        "POST",
        "/usage-check",
        500,
        "me",
    )
    assert secret not in caplog.text
