import json
from typing import Any

import pytest

from cutlass.api.errors import MethodNotAllowedError, RefusedError, TooManyRequestsError
from cutlass.api.idempotency import request_id
from cutlass.api.problems import PROBLEM_JSON, TITLES, problem_body, problem_response
from cutlass.domain import errors
from cutlass.domain.errors import ContractError, CutlassError, InvalidRequestError, UnavailableError


def every_error() -> list[type[CutlassError]]:
    found, new = [], [CutlassError]
    while new:
        found += new
        new = [child for parent in new for child in parent.__subclasses__()]
    # Errors of the platform and the command never reach a caller; which of them exist depends on what is imported.
    return [kind for kind in found if kind.__module__.startswith(("cutlass.domain.", "cutlass.api."))]


MORE: dict[type[CutlassError], dict[str, Any]] = {
    MethodNotAllowedError: {"allowed": ["GET"]},
    RefusedError: {"status": 429, "code": "quota-exceeded", "headers": {}},
}
"""What an error takes besides its message."""


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_is_a_problem(kind: type[CutlassError]):
    error = kind("what is wrong", **MORE.get(kind, {}))
    body = problem_body(error)
    assert body["type"].startswith("https://")
    assert body["status"] == error.status
    assert set(body) <= {"type", "title", "status", "detail", "field", "hint", "retry_after", "available"}


@pytest.mark.parametrize("code", [kind.code for kind in vars(errors).values() if hasattr(kind, "code")])
def test_every_code_that_callers_meet_has_a_title(code: str):
    assert code in TITLES or code == "contract-error"


def test_field_and_hint_are_there_where_they_apply():
    body = problem_body(InvalidRequestError("units is wrong", field="units", hint="send a number"))
    assert body == {
        "type": "https://cutlass.example/problems/invalid-request",
        "title": "The request is not valid",
        "status": 400,
        "detail": "units is wrong",
        "field": "units",
        "hint": "send a number",
    }


@pytest.mark.parametrize("error", [None, CutlassError("secret"), ContractError("contracts/plans.yaml:3: secret")])
def test_our_own_failures_say_nothing_of_their_cause(error: CutlassError | None):
    response = problem_response(error, request_id="r-1")
    assert response["statusCode"] == 500
    assert "secret" not in response["body"]
    assert response["headers"]["X-Request-Id"] == "r-1"


def test_header_fields():
    unavailable = problem_response(UnavailableError("slow", retry_after=3))
    assert unavailable["headers"]["Content-Type"] == PROBLEM_JSON
    assert unavailable["headers"]["Retry-After"] == "3"
    assert json.loads(unavailable["body"])["retry_after"] == 3
    assert problem_response(MethodNotAllowedError("m", allowed=["GET", "PUT"]))["headers"]["Allow"] == "GET, PUT"
    assert problem_response(errors.UnauthenticatedError("t"))["headers"]["WWW-Authenticate"].startswith("Bearer")


def test_a_used_up_quota_has_the_registered_type():
    body = problem_body(TooManyRequestsError("too many"))
    assert body["type"] == "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert body["status"] == 429


def test_the_request_id_comes_from_body_or_header():
    def event(value: str) -> dict:
        return {"headers": {"idempotency-key": value}}

    assert request_id({}, None) is None
    assert request_id({}, "a") == "a"
    assert request_id(event("a"), None) == "a"
    assert request_id(event('"a"'), None) == "a"
    assert request_id(event("a"), "a") == "a"
    with pytest.raises(InvalidRequestError, match="differ"):
        request_id(event("b"), "a")
    for wrong in ("", '""', "a b", "a" * 129, "a\n"):
        with pytest.raises(InvalidRequestError) as caught:
            request_id(event(wrong), None)
        assert caught.value.field == "Idempotency-Key"
