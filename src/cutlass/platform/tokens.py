"""Access tokens from the local user pools."""

import base64
import hashlib
import hmac
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import urllib3

from cutlass.contracts import load_topology
from cutlass.platform.errors import AwsError, PlatformError
from cutlass.platform.home import Home, read_json, write_json
from cutlass.platform.wire import Wire

_FRESH_SECONDS = 120
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True)
class Token:
    """A JWT, and when it ends in Unix seconds."""

    jwt: str
    expires: int

    @classmethod
    def parse(cls, jwt: str) -> "Token":
        """Return the token with the end it claims."""
        payload = jwt.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return cls(jwt, int(claims["exp"]))

    @property
    def expires_at(self) -> str:
        """When it ends, in RFC 3339."""
        return datetime.fromtimestamp(self.expires, UTC).isoformat().replace("+00:00", "Z")


def service_token(home: Home, endpoint: str, region: str) -> Token:
    """Return a token of the service client with every scope, the last one while it is good for two minutes.

    Raises
    ------
    PlatformError
        The user pool gave none.
    """
    kept = (read_json(home.tokens_file) or {}).get(region)
    if kept and kept["endpoint"] == endpoint and kept["expires"] > time.time() + _FRESH_SECONDS:
        return Token(kept["jwt"], kept["expires"])
    token = new_service_token(home, endpoint, region)
    tokens = read_json(home.tokens_file) or {}
    tokens[region] = {"jwt": token.jwt, "expires": token.expires, "endpoint": endpoint}
    write_json(home.tokens_file, tokens)
    return token


def new_service_token(home: Home, endpoint: str, region: str) -> Token:
    """Return a new token of the service client; raises what `service_token` raises."""
    pool = _pool(home, region)
    return client_token(f"{endpoint}/oauth2/token", pool["service_client"], pool["service_secret"])


def client_token(url: str, client: str, secret: str) -> Token:
    """Return a token of a client of a user pool, by its credentials (OAuth 2.0, RFC 6749 section 4.4).

    Raises
    ------
    PlatformError
        The user pool gave none.
    """
    basic = f"{client}:{secret}".encode()
    try:
        answer = urllib3.request(
            "POST",
            url,
            body=urlencode({"grant_type": "client_credentials"}),
            headers={
                "Authorization": f"Basic {base64.b64encode(basic).decode()}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
            timeout=10,
            retries=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise PlatformError(f"no answer from the user pool: {error}", hint="is the platform running?") from error
    if answer.status != 200:
        raise PlatformError(f"the user pool gave no token: {answer.data[:200].decode(errors='replace')}")
    return Token.parse(answer.json()["access_token"])


def member_token(home: Home, endpoint: str, region: str, *, org_id: str, user_id: str, role: str) -> Token:
    """Return a token of a user of an organisation, who is added to the region's user pool where needed.

    Raises
    ------
    PlatformError
        The user pool refused.
    """
    pool = _pool(home, region)
    wire = Wire(endpoint, load_topology().regions[region].aws_region)
    name = user_name(org_id, user_id)
    password = _password(home, name)
    attributes = [{"Name": "custom:org_id", "Value": org_id}, {"Name": "custom:role", "Value": role}]
    user = {"UserPoolId": pool["pool_id"], "Username": name}
    try:
        wire.call("cognito", "AdminCreateUser", user | {"UserAttributes": attributes, "MessageAction": "SUPPRESS"})
        wire.call("cognito", "AdminSetUserPassword", user | {"Password": password, "Permanent": True})
    except AwsError as error:
        if error.aws_code != "UsernameExistsException":
            raise
        wire.call("cognito", "AdminUpdateUserAttributes", user | {"UserAttributes": attributes})
    answer = wire.call(
        "cognito",
        "InitiateAuth",
        {
            "ClientId": pool["web_client"],
            "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": name, "PASSWORD": password},
        },
    )
    return Token.parse(answer["AuthenticationResult"]["IdToken"])


def user_name(org_id: str, user_id: str) -> str:
    """Return a user's name in the pool: unique over organisations, and short enough for Cognito."""
    name = f"{org_id}:{user_id}"
    if len(name) <= _LONGEST_NAME:
        return name
    digest = hashlib.sha256(json.dumps([org_id, user_id]).encode()).hexdigest()[:32]
    return f"{name[: _LONGEST_NAME - 33]}:{digest}"


def _pool(home: Home, region: str) -> dict[str, Any]:
    pools = (read_json(home.secrets_file) or {}).get("pools", {})
    if region not in pools:
        raise PlatformError(
            f"there is no user pool in {region!r}", hint=f"there are: {', '.join(pools) or 'none'}"
        )
    pool: dict[str, Any] = pools[region]
    return pool


def _password(home: Home, name: str) -> str:
    """Return the local user's password: made from the home's key, so that it need not be stored."""
    key = bytes.fromhex(read_json(home.secrets_file)["password_key"])
    # Cognito wants upper and lower case, digits and a symbol.
    return "Aa1!" + hmac.new(key, name.encode(), hashlib.sha256).hexdigest()
