"""The public keys of token issuers, fetched when needed and kept.

An unknown key id may be a key that was just rotated in, or nonsense: the set is fetched again for it, but at
most once per `REFETCH_SECONDS`, whatever the number of callers. Keys that cannot be fetched anew stay in use.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import urllib3
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from cutlass.domain.errors import UnavailableError

REFETCH_SECONDS = 30.0
"""The shortest time between two fetches of one issuer's keys, while there are any."""

KEEP_SECONDS = 3600.0
"""After how long keys are fetched again without a cause, so that a withdrawn one goes away."""

RETRY_SECONDS = 1.0
"""The shortest time between two fetches while there are no keys yet."""

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


class IssuerKeys:
    """The RSA keys of one issuer, by key id; threads may share it."""

    def __init__(
        self, url: str, *, fetch: Fetch = fetch_json, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[str, RSAKey] = {}
        self._tried_at: float | None = None
        self._fetched_at: float | None = None

    def find(self, kid: str) -> RSAKey | None:
        """Return the key with that id; None where the issuer has no such key.

        Raises
        ------
        UnavailableError
            The keys have never been fetched and cannot be now.
        """
        if kid not in self._keys or self._old():
            # One caller fetches; the others wait for it, then find that it was done.
            with self._lock:
                if (kid not in self._keys or self._old()) and self._may_try():
                    self._refresh()
        if self._fetched_at is None:
            raise UnavailableError("the key set of the token's issuer cannot be fetched")
        return self._keys.get(kid)

    def _old(self) -> bool:
        return self._fetched_at is not None and self._clock() - self._fetched_at >= KEEP_SECONDS

    def _may_try(self) -> bool:
        pause = REFETCH_SECONDS if self._keys else RETRY_SECONDS
        return self._tried_at is None or self._clock() - self._tried_at >= pause

    def _refresh(self) -> None:
        self._tried_at = self._clock()
        try:
            document = self._fetch(self._url)
        except UnavailableError:
            return
        keys = _rsa_keys(document)
        # An issuer without keys could verify nothing: rather a broken answer than a decision to have none.
        if keys:
            self._keys = keys
            self._fetched_at = self._clock()


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
