"""The gateway's REQUEST authorizer: a bearer token in, a policy and the caller's context out.

The policy allows the whole stage, because the gateway keeps it for as long as the token is sent again; what
the caller may do on which route is checked there, from the context.
"""

from functools import cache
from typing import Any

from cutlass.api.auth import AuthContext, CallerKind
from cutlass.api.bodies import header
from cutlass.api.tokens import TokenVerifier, bearer_token, issuers_from_environment
from cutlass.domain.errors import InvalidRequestError, UnauthenticatedError


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 (Lambda passes it)
    """Answer a REQUEST authorizer event.

    Raises
    ------
    Exception
        With the message `Unauthorized`, which is how API Gateway is asked to answer 401.
    UnavailableError
        The issuer's keys cannot be had.
    """
    try:
        caller = _verifier().verify(bearer_token(header(event, "Authorization")))
    except (UnauthenticatedError, InvalidRequestError):
        raise Exception("Unauthorized") from None  # noqa: TRY002 (the interface of API Gateway)
    return _policy(caller, event["methodArn"])


@cache
def _verifier() -> TokenVerifier:
    return TokenVerifier(issuers_from_environment())


def _policy(caller: AuthContext, method_arn: str) -> dict[str, Any]:
    api, stage, *_ = method_arn.split("/")
    allowed = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/*"}
    policy: dict[str, Any] = {
        "principalId": caller.principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [allowed]},
        "context": _context(caller),
    }
    if caller.org_id is not None:
        policy["usageIdentifierKey"] = caller.org_id
    return policy


def _context(caller: AuthContext) -> dict[str, str]:
    if caller.kind is CallerKind.SERVICE:
        return {"kind": str(caller.kind), "scope": " ".join(sorted(caller.scopes))}
    return {"kind": str(caller.kind), "scope": "", "org_id": caller.org_id or "", "role": str(caller.role)}
