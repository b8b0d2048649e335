"""The gateway's REQUEST authorizer: a bearer token in, a policy and the caller's context out.

The policy allows the whole stage, because the gateway keeps it for as long as the token is sent again; what
the caller may do on which route is checked there, from the context.
"""

from functools import cache
from typing import Any

from cutlass.api.auth import AuthContext, CallerKind
from cutlass.api.bodies import header
from cutlass.api.gateway_keys import organisation_key, service_key
from cutlass.api.remembered import Remembered
from cutlass.api.tokens import TokenVerifier, bearer_token
from cutlass.contracts import load_topology
from cutlass.domain.errors import InvalidRequestError, UnauthenticatedError
from cutlass.storage import keys
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.issuers import Issuers
from cutlass.storage.settings import Settings

KEEP_SECONDS = 300.0
"""After how long the issuers are read again."""

AGAIN_SECONDS = 1.0
"""The shortest time between two readings for issuers that are not known: a new region's, or a forger's."""


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 (Lambda passes it)
    """Answer a REQUEST authorizer event.

    Raises
    ------
    Exception
        With the message `Unauthorized`, which is how API Gateway is asked to answer 401.
    UnavailableError
        The issuers, or the issuer's keys, cannot be had.
    """
    try:
        caller = _verifier().verify(bearer_token(header(event, "Authorization")))
    except (UnauthenticatedError, InvalidRequestError):
        raise Exception("Unauthorized") from None  # noqa: TRY002 (the interface of API Gateway)
    return _policy(caller, event["methodArn"])


@cache
def _verifier() -> TokenVerifier:
    settings, regions = Settings.from_environment(), load_topology().regions
    dynamo = Dynamo(
        regions[settings.region].aws_region,
        endpoint=settings.endpoint,
        timeout_seconds=settings.store_timeout_seconds,
    )
    issuers = Issuers(dynamo, settings.table(keys.ORGANISATIONS), regions)
    known = Remembered("who issues tokens", issuers.read, keep_seconds=KEEP_SECONDS, again_seconds=AGAIN_SECONDS)
    return TokenVerifier(known.find, endpoint=settings.endpoint)


def _policy(caller: AuthContext, method_arn: str) -> dict[str, Any]:
    api, stage, *_ = method_arn.split("/")
    allowed = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": f"{api}/{stage}/*"}
    org_id = caller.org_id
    return {
        "principalId": caller.principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [allowed]},
        "context": _context(caller),
        "usageIdentifierKey": service_key() if org_id is None else organisation_key(org_id),
    }


def _context(caller: AuthContext) -> dict[str, str]:
    if caller.kind is CallerKind.SERVICE:
        return {"kind": str(caller.kind), "scope": " ".join(sorted(caller.scopes))}
    return {"kind": str(caller.kind), "scope": "", "org_id": caller.org_id or "", "role": str(caller.role)}
