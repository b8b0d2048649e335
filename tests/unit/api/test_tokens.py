"""Tokens, signed with keys made here, against key sets served on 127.0.0.1."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from cutlass.api.auth import AuthContext, CallerKind, Role
from cutlass.api.keysets import KEEP_SECONDS, REFETCH_SECONDS, IssuerKeys, fetch_json
from cutlass.api.tokens import TokenVerifier, bearer_token
from cutlass.domain.errors import UnauthenticatedError, UnavailableError
from cutlass.storage.issuers import Issuer
from tests.unit.api.issuing import (
    FIRST,
    FOREIGN,
    LONDON,
    SECOND,
    SYDNEY,
    KeyServer,
    claims,
    encoded,
    make_key,
    member_claims,
    signed,
    user_claims,
)


@pytest.fixture
def server() -> Iterator[KeyServer]:
    made = KeyServer()
    yield made
    made.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(server: KeyServer, clock: Clock) -> TokenVerifier:
    clients = frozenset({"backend", "web"})
    issuers = {name: Issuer(name, clients) for name in (LONDON, SYDNEY)}
    return TokenVerifier(issuers.get, endpoint=server.endpoint, clock=clock)


def test_a_service(verifier: TokenVerifier):
    caller = verifier.verify(signed(claims()))
    assert caller == AuthContext("backend", CallerKind.SERVICE, frozenset({"usage/check", "usage/read", "admin"}))


def test_a_member_of_the_other_region(verifier: TokenVerifier):
    caller = verifier.verify(signed(member_claims(iss=SYDNEY)))
    assert caller == AuthContext("5f0e", CallerKind.MEMBER, org_id="org456", role=Role.ADMIN)


def test_a_users_access_token_is_a_members_whatever_its_scopes(verifier: TokenVerifier):
    caller = verifier.verify(signed(user_claims(scope="openid admin/all")))
    assert caller == AuthContext("5f0e", CallerKind.MEMBER, org_id="org456", role=Role.MEMBER)


def swapped(token: str, payload: dict[str, Any]) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{encoded(payload)}.{signature}"


def with_rs512() -> str:
    unbound = RSAKey.import_key(FIRST.as_pem(private=True))
    return jwt.encode({"alg": "RS512", "kid": "first"}, claims(), unbound, algorithms=["RS512"])


def with_hs256() -> str:
    """The classic confusion: the public key, which everybody has, as the secret of an HMAC."""
    head = f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{encoded(claims())}"
    signature = hmac.new(FIRST.as_pem(private=False), head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


REFUSED: dict[str, Callable[[], str]] = {
    "expired": lambda: signed(claims(exp=int(time.time()) - 1)),
    "expires now": lambda: signed(claims(exp=int(time.time()))),
    "no expiry": lambda: signed(claims(exp=None)),
    "expiry as text": lambda: signed(claims(exp="2999")),
    "not valid yet": lambda: signed(claims(nbf=int(time.time()) + 60)),
    "issued in the future": lambda: signed(claims(iat=int(time.time()) + 60)),
    "foreign issuer": lambda: signed(claims(iss="https://evil.example/pool")),
    "no issuer": lambda: signed(claims(iss=None)),
    "issuer is a list": lambda: signed(claims(iss=[LONDON])),
    "foreign key of the same name": lambda: signed(claims(), FOREIGN),
    "unknown key": lambda: signed(claims(), make_key("nobody's")),
    "foreign client": lambda: signed(claims(client_id="other", sub="other")),
    "no client": lambda: signed(claims(client_id=None)),
    "a user's access token without organisation": lambda: signed(claims(sub="5f0e", username="5f0e")),
    "a user's access token of a foreign client": lambda: signed(user_claims(client_id="other")),
    "a user's access token that looks like a service's": lambda: signed(claims(username="5f0e")),
    "a refresh token": lambda: signed(claims(token_use="refresh")),
    "no use": lambda: signed(claims(token_use=None)),
    "scope is a list": lambda: signed(claims(scope=["admin"])),
    "member of a foreign client": lambda: signed(member_claims(aud="other")),
    "member without organisation": lambda: signed(member_claims(**{"custom:org_id": None})),
    "member of a strange organisation": lambda: signed(member_claims(**{"custom:org_id": "a#b"})),
    "member without role": lambda: signed(member_claims(**{"custom:role": None})),
    "member with a strange role": lambda: signed(member_claims(**{"custom:role": "root"})),
    "alg none": lambda: f"{encoded({'alg': 'none', 'kid': 'first'})}.{encoded(claims())}.",
    "alg None without kid": lambda: f"{encoded({'alg': 'None'})}.{encoded(claims())}.",
    "no signature": lambda: signed(claims()).rsplit(".", 1)[0] + ".",
    "tampered": lambda: swapped(signed(claims(scope="usage/read")), claims(scope="admin")),
    "HS256 with the public key": with_hs256,
    "RS512": with_rs512,
    "empty": lambda: "",
    "garbage": lambda: "garbage",
    "dots": lambda: "..",
    "claims are a list": lambda: f"{encoded({'alg': 'RS256', 'kid': 'first'})}.{encoded([])}.x",
    "deeply nested": lambda: f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.{encoded({})}.x",
    "huge": lambda: signed(claims(padding="x" * 20_000)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_valid_token_is_refused(verifier: TokenVerifier, name: str):
    with pytest.raises(UnauthenticatedError):
        verifier.verify(REFUSED[name]())


def test_keys_are_fetched_once(verifier: TokenVerifier, server: KeyServer):
    for _ in range(5):
        verifier.verify(signed(claims()))
    assert server.fetches == 1


def test_a_rotated_key_is_found(verifier: TokenVerifier, server: KeyServer, clock: Clock):
    verifier.verify(signed(claims()))
    server.keys = [FIRST, SECOND]
    clock.now += REFETCH_SECONDS
    verifier.verify(signed(claims(), SECOND))
    verifier.verify(signed(claims(), FIRST))
    assert server.fetches == 2


def test_a_flood_of_unknown_keys_fetches_once(verifier: TokenVerifier, server: KeyServer, clock: Clock):
    verifier.verify(signed(claims()))
    clock.now += REFETCH_SECONDS
    unknown = [signed(claims(), FIRST, kid=f"k{n}") for n in range(40)]

    def refuse(token: str) -> None:
        with pytest.raises(UnauthenticatedError):
            verifier.verify(token)

    threads = [threading.Thread(target=refuse, args=(token,)) for token in unknown]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.fetches == 2
    verifier.verify(signed(claims()))


def test_a_cold_start_under_load_fetches_once(verifier: TokenVerifier, server: KeyServer):
    token = signed(claims())
    threads = [threading.Thread(target=verifier.verify, args=(token,)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.fetches == 1


def test_a_withdrawn_key_goes_away(verifier: TokenVerifier, server: KeyServer, clock: Clock):
    verifier.verify(signed(claims()))
    server.keys = [SECOND]
    clock.now += KEEP_SECONDS
    with pytest.raises(UnauthenticatedError):
        verifier.verify(signed(claims()))


@pytest.mark.parametrize("body", [b"{}", b"[]", b"not json", b'{"keys": []}', b'{"keys": [1, {"kid": "first"}]}'])
def test_keys_stay_in_use_when_new_ones_cannot_be_had(
    verifier: TokenVerifier, server: KeyServer, clock: Clock, body: bytes
):
    verifier.verify(signed(claims()))
    server.body = body
    clock.now += KEEP_SECONDS
    verifier.verify(signed(claims()))
    server.status = 500
    clock.now += KEEP_SECONDS
    verifier.verify(signed(claims()))


def test_no_keys_at_all_is_unavailable_then_recovers(verifier: TokenVerifier, server: KeyServer, clock: Clock):
    server.status = 503
    with pytest.raises(UnavailableError):
        verifier.verify(signed(claims()))
    server.status = 200
    with pytest.raises(UnavailableError):
        verifier.verify(signed(claims()))
    clock.now += 1
    verifier.verify(signed(claims()))


def test_an_unreachable_key_set_is_unavailable():
    gone = KeyServer()
    gone.close()
    with pytest.raises(UnavailableError):
        fetch_json(gone.url)
    with pytest.raises(UnavailableError):
        IssuerKeys(gone.url).find("first")


def test_keys_for_other_uses_are_left_out(server: KeyServer):
    encryption = {**FIRST.as_dict(private=False), "use": "enc"}
    server.body = json.dumps({"keys": [encryption, SECOND.as_dict(private=False)]}).encode()
    keys = IssuerKeys(server.url)
    assert keys.find("first") is None
    assert keys.find("second") is not None


@pytest.mark.parametrize("field", [None, "", "Bearer", "Bearer ", "Basic abc", "token"])
def test_no_bearer_token(field: str | None):
    with pytest.raises(UnauthenticatedError):
        bearer_token(field)


def test_the_scheme_is_read_in_any_case():
    assert bearer_token("bearer abc") == "abc"
