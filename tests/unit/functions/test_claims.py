"""The trigger of the user pool: organisation and role of a user's tokens come from the user's attributes alone."""

from typing import Any

import pytest

from cutlass.functions import claims


def event(attributes: dict[str, str], scopes: list[str]) -> dict[str, Any]:
    """What Cognito sends, event version 2."""
    return {
        "version": "2",
        "triggerSource": "TokenGeneration_HostedAuth",
        "userName": "u",
        "request": {"userAttributes": attributes, "groupConfiguration": {}, "scopes": scopes},
        "response": {"claimsAndScopeOverrideDetails": None},
    }


def answered(attributes: dict[str, str], scopes: list[str] | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    asked = event(attributes, scopes or [])
    details = claims.handler(asked, None)["response"]["claimsAndScopeOverrideDetails"]
    return details["idTokenGeneration"], details["accessTokenGeneration"]


def test_both_tokens_say_organisation_and_role() -> None:
    expected = {"custom:org_id": "org456", "custom:role": "admin"}
    for told in answered({"sub": "5f0e", "email": "a@example.com", **expected}):
        assert told["claimsToAddOrOverride"] == expected
        assert told["claimsToSuppress"] == []


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"custom:org_id": "org456"},
        {"custom:role": "admin"},
        {"custom:org_id": "org456", "custom:role": "root"},
        {"custom:org_id": "a#b", "custom:role": "admin"},
        {"custom:org_id": "x" * 129, "custom:role": "member"},
    ],
)
def test_a_user_who_belongs_nowhere_gets_neither(attributes: dict[str, str]) -> None:
    for told in answered(attributes):
        assert told["claimsToAddOrOverride"] == {}
        assert told["claimsToSuppress"] == ["custom:org_id", "custom:role"]


def test_a_user_never_gets_the_scopes_of_a_service() -> None:
    _, access = answered(
        {"custom:org_id": "org456", "custom:role": "member"}, ["openid", "email", "admin/all", "credits/write"]
    )
    assert access["scopesToSuppress"] == ["admin/all", "credits/write"]
