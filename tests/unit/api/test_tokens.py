"""Tokens, signed with keys made here, against key sets and a table of issuers served on 127.0.0.1."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from cutlass.api.auth import AuthContext, CallerKind, Role
from cutlass.api.gateway_keys import organisation_key, service_key
from cutlass.api.keysets import KEEP_SECONDS, REFETCH_SECONDS, IssuerKeys, fetch_json
from cutlass.api.tokens import TokenVerifier, bearer_token
from cutlass.domain.errors import UnauthenticatedError, UnavailableError
from cutlass.functions import authorizer
from cutlass.storage.codec import encode_item
from cutlass.storage.issuers import Issuer, issuer_item

LONDON, SYDNEY = (
    "https://cognito-idp.eu-west-2.amazonaws.com/L",
    "https://cognito-idp.ap-southeast-2.amazonaws.com/S",
)
ARN = "arn:aws:execute-api:eu-west-2:111111111111:api1/dev/POST/usage-check"


def make_key(kid: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig", "alg": "RS256"})


FIRST, SECOND, FOREIGN = make_key("first"), make_key("second"), make_key("first")


class KeyServer:
    """Serves a key set and a table of issuers, counts how often, and can be made to fail."""

    def __init__(self) -> None:
        self.keys = [FIRST]
        self.fetches = 0
        self.issuers = {"london": LONDON}
        self.readings = 0
        self.status = 200
        self.body: bytes | None = None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.fetches += 1
                body = outer.body or json.dumps({"keys": [k.as_dict(private=False) for k in outer.keys]}).encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                """Answer DynamoDB's BatchGetItem."""
                outer.readings += 1
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["RequestItems"]
                ((table, entry),) = asked.items()
                wanted = {key["pk"]["S"] for key in entry["Keys"]}
                items = [
                    encode_item(issuer_item(region, Issuer(name, frozenset({"backend", "web"}))))
                    for region, name in outer.issuers.items()
                    if f"{region}#issuer" in wanted
                ]
                body = json.dumps({"Responses": {table: items}}).encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.endpoint}/.well-known/jwks.json"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


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


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    service = {
        "iss": LONDON,
        "sub": "backend",
        "client_id": "backend",
        "token_use": "access",
        "scope": "usage/check usage/read admin/all",
        "iat": now,
        "exp": now + 3600,
    }
    return {name: value for name, value in {**service, **changes}.items() if value is not None}


def member_claims(**changes: Any) -> dict[str, Any]:
    member = {
        "sub": "5f0e",
        "client_id": None,
        "scope": None,
        "aud": "web",
        "token_use": "id",
        "custom:org_id": "org456",
        "custom:role": "admin",
    }
    return claims(**{**member, **changes})


def user_claims(**changes: Any) -> dict[str, Any]:
    """A user's access token, after the trigger of the user pool."""
    user = {"sub": "5f0e", "username": "u", "client_id": "web", "custom:org_id": "org456", "custom:role": "member"}
    return claims(**{**user, **changes})


def signed(payload: dict[str, Any], key: RSAKey = FIRST, **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": key.kid, **header}, payload, key, algorithms=["RS256"])


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


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


@pytest.fixture
def authorize(server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    for name, value in {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "CUTLASS_ENVIRONMENT": "dev",
        "CUTLASS_REGION": "london",
    }.items():
        monkeypatch.setenv(name, value)
    authorizer._verifier.cache_clear()

    def run(token: str | None) -> dict[str, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return authorizer.handler({"type": "REQUEST", "methodArn": ARN, "headers": headers}, None)

    yield run
    authorizer._verifier.cache_clear()


def test_the_issuers_are_read_once(authorize: Callable[..., dict[str, Any]], server: KeyServer):
    for _ in range(3):
        authorize(signed(claims()))
    assert server.readings == 1


def test_a_region_that_joins_is_known_by_its_first_token(
    authorize: Callable[..., dict[str, Any]], server: KeyServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(authorizer, "AGAIN_SECONDS", 0.0)
    token = signed(claims(iss=SYDNEY))
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(token)
    server.issuers["sydney"] = SYDNEY
    assert authorize(token)["principalId"] == "backend"


def test_a_table_that_does_not_answer_leaves_known_issuers_in_use(
    authorize: Callable[..., dict[str, Any]], server: KeyServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(authorizer, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(authorizer, "AGAIN_SECONDS", 0.0)
    monkeypatch.setenv("CUTLASS_STORE_TIMEOUT_SECONDS", "0.3")
    authorize(signed(claims()))
    server.status = 500
    assert authorize(signed(claims()))["principalId"] == "backend"
    assert server.readings > 1


def test_no_issuers_at_all_is_a_failure_not_a_refusal(authorize: Callable[..., dict[str, Any]], server: KeyServer):
    server.issuers.clear()
    with pytest.raises(UnavailableError):
        authorize(signed(claims()))


def test_the_policy_of_a_service(authorize: Callable[..., dict[str, Any]]):
    answer = authorize(signed(claims()))
    assert answer["principalId"] == "backend"
    assert answer["context"] == {"kind": "service", "scope": "admin usage/check usage/read"}
    (statement,) = answer["policyDocument"]["Statement"]
    assert statement["Effect"] == "Allow"
    assert statement["Resource"] == "arn:aws:execute-api:eu-west-2:111111111111:api1/dev/*"
    assert answer["usageIdentifierKey"] == service_key("backend")


def test_the_policy_of_a_member(authorize: Callable[..., dict[str, Any]]):
    answer = authorize(signed(member_claims()))
    assert answer["context"] == {"kind": "member", "scope": "", "org_id": "org456", "role": "admin"}
    assert answer["usageIdentifierKey"] == organisation_key("org456")
    assert AuthContext.from_event(
        {"requestContext": {"authorizer": {"principalId": "5f0e", **answer["context"]}}}
    ) == (AuthContext("5f0e", CallerKind.MEMBER, org_id="org456", role=Role.ADMIN))


@pytest.mark.parametrize("token", [None, "garbage"])
def test_everything_else_is_unauthorized(authorize: Callable[..., dict[str, Any]], token: str | None):
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(token)


def test_two_different_tokens_are_unauthorized(authorize: Callable[..., dict[str, Any]]):
    event = {"methodArn": ARN, "multiValueHeaders": {"Authorization": ["Bearer a", "Bearer b"]}}
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorizer.handler(event, None)
