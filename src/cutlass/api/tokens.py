"""Access tokens: verified, and read as one of the two kinds of caller.

A service's token is an access token of the client-credentials grant, a member's the ID token of a user. An
access token of a user is refused: its client may have scopes that are not meant for people.
"""

import base64
import binascii
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from cutlass.api.auth import AuthContext, CallerKind, Role, Scope
from cutlass.api.keysets import Fetch, IssuerKeys, fetch_json
from cutlass.domain.errors import ContractError, UnauthenticatedError
from cutlass.domain.ids import ID_PATTERN

LEEWAY_SECONDS = 5
"""How far an issuer's clock may be ahead of ours; an expired token gets none of it."""

COGNITO_SCOPES = {"admin/all": Scope.ADMIN}
"""Scopes that Cognito cannot name as the interface does: there, each belongs to a resource server."""

_MAX_TOKEN = 8 * 1024
_ALGORITHM = "RS256"
_VARIABLE = "CUTLASS_ISSUERS"


@dataclass(frozen=True, slots=True)
class Issuer:
    """A user pool whose tokens are accepted, for the clients named."""

    issuer: str
    jwks_url: str
    clients: frozenset[str]


def issuers_from_environment(environ: Mapping[str, str] = os.environ) -> tuple[Issuer, ...]:
    """Read the issuers from `CUTLASS_ISSUERS`.

    Raises
    ------
    ContractError
        The variable is missing or not as it must be.
    """
    try:
        entries = json.loads(environ[_VARIABLE])
        return tuple(Issuer(e["issuer"], e["jwks_url"], frozenset(e["clients"])) for e in entries)
    except KeyError as missing:
        raise ContractError(f"{_VARIABLE}: {missing} is missing") from None
    except (ValueError, TypeError) as error:
        raise ContractError(f"{_VARIABLE}: {error}") from None


class TokenVerifier:
    """Verifies tokens of several issuers; threads may share it.

    Parameters
    ----------
    issuers : tuple of Issuer
        Whose tokens are accepted.
    fetch, clock, now : callable, optional
        How a key set is fetched, a clock for its age, and the time in Unix seconds.
    """

    def __init__(
        self,
        issuers: tuple[Issuer, ...],
        *,
        fetch: Fetch = fetch_json,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._keys = {issuer.issuer: IssuerKeys(issuer.jwks_url, fetch=fetch, clock=clock) for issuer in issuers}
        self._now = now

    def verify(self, token: str) -> AuthContext:
        """Return whose token it is.

        Raises
        ------
        UnauthenticatedError
            It is not a valid token of an accepted issuer and client. The message is for the log.
        UnavailableError
            The issuer's keys cannot be had.
        """
        header, claims = _unverified(token)
        issuer = self._issuers.get(str(claims.get("iss")))
        if issuer is None:
            raise UnauthenticatedError("the issuer is not one of ours")
        if header.get("alg") != _ALGORITHM or not isinstance(header.get("kid"), str):
            raise UnauthenticatedError(f"the token is not signed with {_ALGORITHM} and a named key")
        key = self._keys[issuer.issuer].find(header["kid"])
        if key is None:
            raise UnauthenticatedError("the issuer has no such key")
        try:
            verified = jwt.decode(token, key, algorithms=[_ALGORITHM]).claims
        except (JoseError, ValueError):
            raise UnauthenticatedError("the signature does not fit") from None
        self._check_times(verified)
        return _caller(verified, issuer)

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._now()
        for name in ("exp", "nbf", "iat"):
            value = claims.get(name, None if name == "exp" else 0)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise UnauthenticatedError(f"{name} is missing or no time")
        if claims["exp"] <= now:
            raise UnauthenticatedError("the token has expired")
        if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + LEEWAY_SECONDS:
            raise UnauthenticatedError("the token is not valid yet")


def bearer_token(authorization: str | None) -> str:
    """Return the token of an `Authorization` header field; raises `UnauthenticatedError`."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError("there is no bearer token")
    return token.strip()


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read what a token says of itself, to know whose keys to check it with."""
    parts = token.split(".")
    if len(token) > _MAX_TOKEN or len(parts) != 3:
        raise UnauthenticatedError("the token is no signed JWT")
    try:
        header, claims = (
            json.loads(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
            for part in parts[:2]
        )
    except (binascii.Error, ValueError, RecursionError):
        raise UnauthenticatedError("the token is no signed JWT") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise UnauthenticatedError("the token is no signed JWT")
    return header, claims


def _caller(claims: Mapping[str, Any], issuer: Issuer) -> AuthContext:
    if claims.get("token_use") == "access":
        return _service(claims, issuer)
    if claims.get("token_use") == "id":
        return _member(claims, issuer)
    raise UnauthenticatedError("the token is neither an access nor an ID token")


def _service(claims: Mapping[str, Any], issuer: Issuer) -> AuthContext:
    client, scope = claims.get("client_id"), claims.get("scope", "")
    if not isinstance(client, str) or client not in issuer.clients:
        raise UnauthenticatedError("the client is not one of ours")
    if claims.get("sub") != client or "username" in claims:
        raise UnauthenticatedError("the access token is a user's, not a service's")
    if not isinstance(scope, str):
        raise UnauthenticatedError("scope is no text")
    scopes = frozenset(str(COGNITO_SCOPES.get(name, name)) for name in scope.split())
    return AuthContext(client, CallerKind.SERVICE, scopes)


def _member(claims: Mapping[str, Any], issuer: Issuer) -> AuthContext:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if not any(isinstance(name, str) and name in issuer.clients for name in audiences):
        raise UnauthenticatedError("the client is not one of ours")
    user, org_id, role = (claims.get(name) for name in ("sub", "custom:org_id", "custom:role"))
    if not isinstance(user, str) or not isinstance(org_id, str) or not ID_PATTERN.fullmatch(org_id):
        raise UnauthenticatedError("the user has no organisation")
    if role not in set(Role):
        raise UnauthenticatedError("the user has no role")
    return AuthContext(user, CallerKind.MEMBER, org_id=org_id, role=Role(role))
