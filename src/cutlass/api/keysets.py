"""The public keys of token issuers. An unknown key id may be a key that was just rotated in, or nonsense."""

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import urllib3
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from cutlass.api.remembered import Remembered
from cutlass.domain.errors import UnavailableError

REFETCH_SECONDS = 30.0
"""The shortest time between two fetches of one issuer's keys, while there are any."""

KEEP_SECONDS = 3600.0
"""After how long keys are fetched again without a cause, so that a withdrawn one goes away."""

_FETCH_TIMEOUT = urllib3.Timeout(connect=1.0, read=2.0)
_MAX_BYTES = 64 * 1024

Fetch = Callable[[str], Any]


def fetch_json(url: str) -> Any:
    """Return the JSON document at a URL.

    Raises
    ------
    UnavailableError
        It cannot be had: no answer in time, another status than 200, too large, or not JSON.
    """
    try:
        with urllib3.PoolManager(timeout=_FETCH_TIMEOUT, retries=False) as http:
            answer = http.request("GET", url, preload_content=False, redirect=False)
            raw = answer.read(_MAX_BYTES + 1)
            answer.close()
        if answer.status != 200 or len(raw) > _MAX_BYTES:
            raise UnavailableError(f"the key set answers {answer.status} with {len(raw)} bytes")
        return json.loads(raw)
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise UnavailableError("the key set of the token's issuer cannot be fetched") from error


class IssuerKeys(Remembered[RSAKey]):
    """The RSA keys of one issuer, by key id; threads may share it."""

    def __init__(
        self, url: str, *, fetch: Fetch = fetch_json, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(
            "the key set of the token's issuer",
            lambda: _rsa_keys(fetch(url)),
            keep_seconds=KEEP_SECONDS,
            again_seconds=REFETCH_SECONDS,
            clock=clock,
        )


def key_set_url(issuer: str, endpoint: str | None = None) -> str:
    """Return where an issuer's keys are: at its own address, or at `endpoint` where AWS is elsewhere."""
    base = issuer if endpoint is None else endpoint.rstrip("/") + urlsplit(issuer).path
    return f"{base}/.well-known/jwks.json"


def _rsa_keys(document: Any) -> dict[str, RSAKey]:
    listed = document.get("keys") if isinstance(document, dict) else None
    keys = {}
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str):
            continue
        if entry.get("kty") != "RSA" or entry.get("use", "sig") != "sig" or entry.get("alg", "RS256") != "RS256":
            continue
        try:
            keys[entry["kid"]] = RSAKey.import_key({name: entry[name] for name in ("kty", "n", "e", "kid")})
        except (JoseError, KeyError, ValueError, TypeError):
            continue
    return keys
