"""A region's deployed API Gateway and user pool, as a customer's backend and its people use them."""

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3

from tests.deploy.calls import client
from tests.deploy.harness import Checkout

PASSWORD = "Correct-horse-7-battery"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: urllib3.HTTPHeaderDict
    body: Any


@dataclass(frozen=True)
class Interface:
    """What layer 300 of one region of dev tells, on the emulator."""

    endpoint: str
    region: str
    outputs: dict[str, Any]

    @classmethod
    def of(cls, checkout: Checkout, region: str) -> "Interface":
        """Read the outputs of the layer."""
        names = ("api", "user_pool", "service_client_secret")
        outputs = {name: checkout.output(f"dev-{region}/300", name) for name in names}
        return cls(checkout.endpoint, region, outputs)

    def service_token(self) -> str:
        """Return a token of the service client, with all its scopes."""
        pool = self.outputs["user_pool"]
        secret = f"{pool['service_client_id']}:{self.outputs['service_client_secret']}".encode()
        answer = urllib3.request(
            "POST",
            f"{self.endpoint}/oauth2/token",
            body=urlencode({"grant_type": "client_credentials"}),
            headers={
                "Authorization": f"Basic {base64.b64encode(secret).decode()}",
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )
        assert answer.status == 200, answer.data
        return str(answer.json()["access_token"])

    def member_tokens(self, name: str, org_id: str, role: str) -> dict[str, str]:
        """Add a person to the user pool, sign in with a password, and return the tokens."""
        pool, cognito = self.outputs["user_pool"], client("cognito-idp", self.endpoint, self.region)
        attributes = {"custom:org_id": org_id, "custom:role": role}
        cognito.admin_create_user(
            UserPoolId=pool["id"],
            Username=name,
            UserAttributes=[{"Name": key, "Value": value} for key, value in attributes.items()],
            TemporaryPassword=PASSWORD,
            MessageAction="SUPPRESS",
        )
        cognito.admin_set_user_password(UserPoolId=pool["id"], Username=name, Password=PASSWORD, Permanent=True)
        # The hosted sign-in needs a person. AWS would not take a password here, for this client.
        answer = cognito.admin_initiate_auth(
            UserPoolId=pool["id"],
            ClientId=pool["web_client_id"],
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": PASSWORD},
        )
        tokens: dict[str, str] = answer["AuthenticationResult"]
        return tokens

    def call(self, method: str, path: str, token: str | None = None, body: Any = None) -> Answer:
        """Call the deployed stage."""
        api = self.outputs["api"]
        answer = urllib3.request(
            method,
            f"{self.endpoint}/_aws/execute-api/{api['id']}/{api['stage']}{path}",
            json=body,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            timeout=60,
            retries=False,
        )
        return Answer(answer.status, answer.headers, answer.json() if answer.data else None)
