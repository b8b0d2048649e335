"""Access tokens: verified, and read as one of the two kinds of caller.

A service's token is an access token of the client-credentials grant. A member's is the ID token or the access
token of a user, with the organisation and the role that the user pool puts into both (functions/claims.py).
Scopes of a user's token count for nothing: its client may have some that are not meant for people.
"""

import base64
import binascii
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from cutlass.api.auth import ORG_CLAIM, ROLE_CLAIM, AuthContext, CallerKind, Role, Scope
from cutlass.api.keysets import Fetch, IssuerKeys, fetch_json, key_set_url
from cutlass.domain.errors import UnauthenticatedError
from cutlass.domain.ids import ID_PATTERN
from cutlass.storage.issuers import Issuer

LEEWAY_SECONDS = 5
"""How far an issuer's clock may be ahead of ours; an expired token gets none of it."""

COGNITO_SCOPES = {"admin/all": Scope.ADMIN}
"""Scopes that Cognito cannot name as the interface does: there, each belongs to a resource server."""

_MAX_TOKEN = 8 * 1024
_ALGORITHM = "RS256"


class TokenVerifier:
    """Verifies tokens of several issuers; threads may share it.

    Parameters
    ----------
    find_issuer : callable
        Returns the accepted issuer of that name, or None; raises `UnavailableError` where none can be had.
    endpoint : str, optional
        Where AWS is, and with it the issuers' keys, when not at AWS's own addresses.
    fetch, clock, now : callable, optional
        How a key set is fetched, a clock for its age, and the time in Unix seconds.
    """

    def __init__(
        self,
        find_issuer: Callable[[str], Issuer | None],
        *,
        endpoint: str | None = None,
        fetch: Fetch = fetch_json,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._find_issuer = find_issuer
        self._endpoint = endpoint
        self._fetch = fetch
        self._clock = clock
        self._now = now
        self._keys: dict[str, IssuerKeys] = {}

    def verify(self, token: str) -> AuthContext:
        """Return whose token it is.

        Raises
        ------
        UnauthenticatedError
            It is not a valid token of an accepted issuer and client. The message is for the log.
        UnavailableError
            The issuers, or the issuer's keys, cannot be had.
        """
        header, claims = _unverified(token)
        issuer = self._find_issuer(str(claims.get("iss")))
        if issuer is None:
            raise UnauthenticatedError("the issuer is not one of ours")
        if header.get("alg") != _ALGORITHM or not isinstance(header.get("kid"), str):
            raise UnauthenticatedError(f"the token is not signed with {_ALGORITHM} and a named key")
        key = self._keys_of(issuer.name).find(header["kid"])
        if key is None:
            raise UnauthenticatedError("the issuer has no such key")
        try:
            verified = jwt.decode(token, key, algorithms=[_ALGORITHM]).claims
        except (JoseError, ValueError):
            raise UnauthenticatedError("the signature does not fit") from None
        self._check_times(verified)
        return _caller(verified, issuer)

    def _keys_of(self, name: str) -> IssuerKeys:
        if name not in self._keys:
            fresh = IssuerKeys(key_set_url(name, self._endpoint), fetch=self._fetch, clock=self._clock)
            self._keys.setdefault(name, fresh)
        return self._keys[name]

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
    use = claims.get("token_use")
    if use == "id":
        audience = claims.get("aud")
        return _member(claims, issuer, audience if isinstance(audience, list) else [audience])
    if use != "access":
        raise UnauthenticatedError("the token is neither an access nor an ID token")
    if claims.get("sub") != claims.get("client_id") or "username" in claims:
        return _member(claims, issuer, [claims.get("client_id")])
    return _service(claims, issuer)


def _service(claims: Mapping[str, Any], issuer: Issuer) -> AuthContext:
    client, scope = claims.get("client_id"), claims.get("scope", "")
    if not isinstance(client, str) or client not in issuer.clients:
        raise UnauthenticatedError("the client is not one of ours")
    if not isinstance(scope, str):
        raise UnauthenticatedError("scope is no text")
    scopes = frozenset(str(COGNITO_SCOPES.get(name, name)) for name in scope.split())
    return AuthContext(client, CallerKind.SERVICE, scopes)


def _member(claims: Mapping[str, Any], issuer: Issuer, clients: list[Any]) -> AuthContext:
    if not any(isinstance(name, str) and name in issuer.clients for name in clients):
        raise UnauthenticatedError("the client is not one of ours")
    user, org_id, role = (claims.get(name) for name in ("sub", ORG_CLAIM, ROLE_CLAIM))
    if not isinstance(user, str) or not isinstance(org_id, str) or not ID_PATTERN.fullmatch(org_id):
        raise UnauthenticatedError("the user has no organisation")
    if role not in set(Role):
        raise UnauthenticatedError("the user has no role")
    return AuthContext(user, CallerKind.MEMBER, org_id=org_id, role=Role(role))
