"""The authorizer: whose tokens it accepts it reads from the table, and answers with a policy."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cutlass.api.auth import AuthContext, CallerKind, Role
from cutlass.api.gateway_keys import organisation_key, service_key
from cutlass.domain.errors import UnavailableError
from cutlass.functions import authorizer
from tests.unit.api.issuing import SYDNEY, KeyServer, claims, member_claims, signed

ARN = "arn:aws:execute-api:eu-west-2:111111111111:api1/dev/POST/usage-check"


@pytest.fixture
def server() -> Iterator[KeyServer]:
    made = KeyServer()
    yield made
    made.close()


@pytest.fixture
def authorize(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    for name, value in {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "CUTLASS_ENVIRONMENT": "dev",
        "CUTLASS_REGION": "london",
    }.items():
        monkeypatch.setenv(name, value)
    authorizer._verifier.cache_clear()

    def run(token: str | None) -> dict[str, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return authorizer.handler({"type": "REQUEST", "methodArn": ARN, "headers": headers}, None)

    yield run
    authorizer._verifier.cache_clear()


def test_the_issuers_are_read_once(authorize: Callable[..., dict[str, Any]], server: KeyServer):
    for _ in range(3):
        authorize(signed(claims()))
    assert server.readings == 1


def test_a_region_that_joins_is_known_by_its_first_token(
    authorize: Callable[..., dict[str, Any]], server: KeyServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(authorizer, "AGAIN_SECONDS", 0.0)
    token = signed(claims(iss=SYDNEY))
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(token)
    server.issuers["sydney"] = SYDNEY
    assert authorize(token)["principalId"] == "backend"


def test_a_table_that_does_not_answer_leaves_known_issuers_in_use(
    authorize: Callable[..., dict[str, Any]], server: KeyServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(authorizer, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(authorizer, "AGAIN_SECONDS", 0.0)
    monkeypatch.setenv("CUTLASS_STORE_TIMEOUT_SECONDS", "0.3")
    authorize(signed(claims()))
    server.status = 500
    assert authorize(signed(claims()))["principalId"] == "backend"
    assert server.readings > 1


def test_no_issuers_at_all_is_a_failure_not_a_refusal(authorize: Callable[..., dict[str, Any]], server: KeyServer):
    server.issuers.clear()
    with pytest.raises(UnavailableError):
        authorize(signed(claims()))


def test_the_policy_of_a_service(authorize: Callable[..., dict[str, Any]]):
    answer = authorize(signed(claims()))
    assert answer["principalId"] == "backend"
    assert answer["context"] == {"kind": "service", "scope": "admin usage/check usage/read"}
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Resource"] == "arn:aws:execute-api:eu-west-2:111111111111:api1/dev/*"
    assert answer["usageIdentifierKey"] == service_key()


def test_the_policy_of_a_member(authorize: Callable[..., dict[str, Any]]):
    answer = authorize(signed(member_claims()))
    assert answer["context"] == {"kind": "member", "scope": "", "org_id": "org456", "role": "admin"}
    assert answer["usageIdentifierKey"] == organisation_key("org456")
    assert AuthContext.from_event(
        {"requestContext": {"authorizer": {"principalId": "5f0e", **answer["context"]}}}
    ) == (AuthContext("5f0e", CallerKind.MEMBER, org_id="org456", role=Role.ADMIN))


@pytest.mark.parametrize("token", [None, "garbage"])
def test_everything_else_is_unauthorized(authorize: Callable[..., dict[str, Any]], token: str | None):
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(token)


def test_two_different_tokens_are_unauthorized(authorize: Callable[..., dict[str, Any]]):
    event = {"methodArn": ARN, "multiValueHeaders": {"Authorization": ["Bearer a", "Bearer b"]}}
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorizer.handler(event, None)
