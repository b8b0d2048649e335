"""Who calls: runs the authorizer function, and remembers its answer as API Gateway does."""

import base64
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cutlass.domain.errors import ForbiddenError, UnauthenticatedError
from cutlass.platform.gateway.events import Request, authorizer_event, method_arn, policy_allows
from cutlass.platform.runtime import FunctionError, Runtime

AUTHORIZER = "authorizer"
CACHE_SECONDS = 60.0
"""How long an answer is used again, at most: until the token expires."""

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    until: float
    policy: Any
    context: Mapping[str, Any]


class Callers:
    """Asks the authorizer function who a token belongs to.

    A refusal is not remembered. What is kept of a token is its hash.
    """

    def __init__(self, runtime: Runtime, region: str, aws_region: str) -> None:
        self._runtime = runtime
        self._region = region
        self._aws_region = aws_region
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    async def identify(self, request: Request, resource: str, path_values: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what the functions are told about the caller.

        Raises
        ------
        UnauthenticatedError
            There is no token, or it is not a valid one.
        ForbiddenError
            The caller may not call this.
        FunctionError, FunctionTimeoutError
            The authorizer itself failed.
        """
        token = request.header_map().get("authorization", "")
        if not token:
            raise UnauthenticatedError("there is no access token", hint="send `Authorization: Bearer <JWT>`")
        known = self._recall(token) or await self._ask(request, token, resource, path_values)
        if not policy_allows(known.policy, method_arn(request, self._aws_region)):
            raise ForbiddenError("this token may not call this")
        return known.context

    def _recall(self, token: str) -> _Known | None:
        known = self._known.get(_digest(token))
        return known if known is not None and known.until > time.time() else None

    async def _ask(self, request: Request, token: str, resource: str, path_values: Mapping[str, str]) -> _Known:
        event = authorizer_event(
            request, region=self._region, aws_region=self._aws_region, resource=resource, path_values=path_values
        )
        try:
            result = await self._runtime.invoke_async(AUTHORIZER, event)
        except FunctionError as error:
            # The one word by which an authorizer asks API Gateway for a 401.
            if error.__cause__ is not None and str(error.__cause__) == "Unauthorized":
                raise UnauthenticatedError(
                    "the access token is not valid", hint="ask for a new token; this one is expired or not ours"
                ) from None
            raise
        known = _Known(
            until=min(time.time() + CACHE_SECONDS, expiry(token)),
            policy=result.get("policyDocument"),
            context={"principalId": result.get("principalId"), **(result.get("context") or {})},
        )
        self._known[_digest(token)] = known
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known


def expiry(token: str) -> float:
    """Return when a token ends, read without checking its signature; now if it does not say."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return time.time()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
