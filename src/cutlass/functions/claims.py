"""The user pool's trigger before tokens are made: puts a user's organisation and role into both tokens.

Source of the protocol: Amazon Cognito, pre token generation trigger, event version 2. Cognito asks it for people
only; a service's token has its scopes and nothing else.
"""

from typing import Any

from cutlass.api.auth import ORG_CLAIM, ROLE_CLAIM, Role
from cutlass.domain.ids import ID_PATTERN


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 (Lambda passes it)
    """Answer the event with what the tokens are to say.

    A user without an organisation, or with one that is no id, or with a role there is not, gets a token without
    both, which the interface refuses. Whatever scopes the sign-in asked for, a service's are taken out.
    """
    claims = _claims(event["request"].get("userAttributes") or {})
    absent = [name for name in (ORG_CLAIM, ROLE_CLAIM) if name not in claims]
    scopes = [scope for scope in event["request"].get("scopes") or [] if "/" in scope]
    said = {"claimsToAddOrOverride": claims, "claimsToSuppress": absent}
    event["response"] = {
        "claimsAndScopeOverrideDetails": {
            "idTokenGeneration": said,
            "accessTokenGeneration": {**said, "scopesToSuppress": scopes},
        }
    }
    return event


def _claims(attributes: dict[str, str]) -> dict[str, str]:
    org_id, role = attributes.get(ORG_CLAIM, ""), attributes.get(ROLE_CLAIM, "")
    if not ID_PATTERN.fullmatch(org_id) or role not in set(Role):
        return {}
    return {ORG_CLAIM: org_id, ROLE_CLAIM: role}
