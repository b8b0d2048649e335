"""User pools made here: keys, tokens, and a server of key sets and of the table of issuers on 127.0.0.1."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from cutlass.storage.codec import encode_item
from cutlass.storage.issuers import Issuer, issuer_item

LONDON, SYDNEY = (
    "https://cognito-idp.eu-west-2.amazonaws.com/L",
    "https://cognito-idp.ap-southeast-2.amazonaws.com/S",
)


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
