"""AWS's JSON APIs over one connection pool: signed calls that take and give the JSON of the wire.

The platform's own calls (provisioning, stream polling, replication) need no model of each service, and the
records of a stream are wanted in the very JSON that Lambda hands to a function. That is also a quarter of the
CPU of a botocore client, on every poll.
"""

import json
from typing import Any

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cutlass.platform.errors import AwsError, EmulatorUnreachableError
from cutlass.platform.local import ACCOUNT

_TARGETS = {
    "dynamodb": ("dynamodb", "DynamoDB_20120810", "1.0"),
    "streams": ("dynamodb", "DynamoDBStreams_20120810", "1.0"),
    "sqs": ("sqs", "AmazonSQS", "1.0"),
    "cognito": ("cognito-idp", "AWSCognitoIdentityProviderService", "1.1"),
}

_REST = ("ses",)


class Wire:
    """The AWS APIs of one region at one endpoint. Threads may share it.

    Parameters
    ----------
    endpoint : str
        Address of the emulator.
    aws_region : str
        AWS's name of the region, by which the emulator tells regions apart.
    timeout : float
        Seconds to wait for an answer.
    """

    def __init__(self, endpoint: str, aws_region: str, *, timeout: float = 10) -> None:
        self.endpoint = endpoint.rstrip("/")
        self.aws_region = aws_region
        self._pool = urllib3.PoolManager(maxsize=16, timeout=urllib3.Timeout(total=timeout), retries=False)
        credentials = Credentials(ACCOUNT, "local")
        services = {*(service for service, _, _ in _TARGETS.values()), *_REST}
        self._signers = {service: SigV4Auth(credentials, service, aws_region) for service in services}

    def call(self, api: str, operation: str, parameters: dict[str, Any], *, timeout: float | None = None) -> Any:
        """Return the answer of `operation` of one of the APIs dynamodb, streams, sqs, cognito.

        Raises
        ------
        AwsError
            The API refused.
        EmulatorUnreachableError
            No answer came; whether the operation was done is unknown.
        """
        service, target, version = _TARGETS[api]
        body = json.dumps(parameters, separators=(",", ":")).encode()
        request = AWSRequest("POST", f"{self.endpoint}/", data=body)
        request.headers["Content-Type"] = f"application/x-amz-json-{version}"
        request.headers["X-Amz-Target"] = f"{target}.{operation}"
        return self._signed(service, operation, request, timeout)

    def rest(self, service: str, method: str, path: str, body: dict[str, Any]) -> Any:
        """Return the answer of an API whose operations are addresses: SES; raises what `call` raises."""
        request = AWSRequest(method, self.endpoint + path, data=json.dumps(body).encode())
        request.headers["Content-Type"] = "application/json"
        return self._signed(service, f"{method} {path}", request, None)

    def _signed(self, service: str, operation: str, request: AWSRequest, timeout: float | None) -> Any:
        self._signers[service].add_auth(request)
        options: dict[str, Any] = {} if timeout is None else {"timeout": urllib3.Timeout(total=timeout)}
        try:
            answer = self._pool.request(
                request.method, request.url, body=request.data, headers=dict(request.headers.items()), **options
            )
        except urllib3.exceptions.HTTPError as error:
            raise EmulatorUnreachableError(f"{operation}: no answer from {self.endpoint}: {error}") from error
        return _result(operation, answer.status, answer.data)

    def own(self, path: str, *, method: str = "GET", timeout: float = 10) -> Any:
        """Return the JSON at an address of the emulator itself, not of an AWS API.

        Raises
        ------
        EmulatorUnreachableError
            No answer came.
        AwsError
            The answer was an error.
        """
        try:
            answer = self._pool.request(method, self.endpoint + path, timeout=urllib3.Timeout(total=timeout))
        except urllib3.exceptions.HTTPError as error:
            raise EmulatorUnreachableError(f"no answer from {self.endpoint}{path}: {error}") from error
        return _result(path, answer.status, answer.data)


def _result(operation: str, status: int, data: bytes) -> Any:
    try:
        value = json.loads(data) if data else {}
    except ValueError as error:
        raise AwsError(operation, str(status), "the answer is not JSON") from error
    if status >= 400:
        code = str(value.get("__type") or value.get("name") or status).rsplit("#", 1)[-1]
        raise AwsError(operation, code, str(value.get("message") or value.get("Message") or ""))
    return value
