"""Calls of AWS's JSON APIs, signed by botocore: its clients' descriptions are larger than a function.

All but DynamoDB's, which a decision waits for (docs/decisions/0003-lean-dynamodb-client.md).
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cutlass.domain.errors import CutlassError, UnavailableError
from cutlass.storage.transport import find_credentials

_T = TypeVar("_T")

_CONNECT_SECONDS = 2.0
_CONNECTIONS = 16


class RefusedError(CutlassError):
    """An AWS API refused a request: the same one would be refused again.

    Parameters
    ----------
    answered : int, optional
        The status of its answer.
    """

    code = "aws-refused"

    def __init__(self, message: str, *, hint: str | None = None, answered: int = 400) -> None:
        super().__init__(message, hint=hint)
        self.answered = answered


class ThrottledError(UnavailableError):
    """An AWS API did nothing, for it was asked too often; it may be asked again in a moment."""


@dataclass(frozen=True, slots=True)
class Service:
    """One of AWS's services.

    Attributes
    ----------
    host, signing : str
        The first part of its host name, and the name its requests are signed by.
    target : str
        What leads the names of its operations; empty where these are addresses.
    version : str
        Of AWS's JSON protocol, where operations have names.
    """

    host: str
    signing: str
    target: str = ""
    version: str = "1.0"


ATHENA = Service("athena", "athena", "AmazonAthena", "1.1")
API_GATEWAY = Service("apigateway", "apigateway")
SES = Service("email", "ses")
SQS = Service("sqs", "sqs", "AmazonSQS")


class Aws:
    """One service of one region; threads may share it.

    Parameters
    ----------
    endpoint : str, optional
        Where it is, when not at AWS's own address.
    credentials : Credentials, optional
        Whose calls they are; found in the surroundings unless given.
    seconds : float
        How long one request may take.
    """

    def __init__(
        self,
        service: Service,
        aws_region: str,
        *,
        endpoint: str | None = None,
        credentials: Credentials | None = None,
        seconds: float = 10.0,
    ) -> None:
        self._service = service
        self._aws_region = aws_region
        self._url = endpoint or f"https://{service.host}.{aws_region}.amazonaws.com"
        self._credentials = credentials
        timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, total=seconds)
        self._pool = urllib3.PoolManager(maxsize=_CONNECTIONS, timeout=timeout, retries=False)

    def call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of an operation that has a name; raises what `request` raises."""
        named = {
            "Content-Type": f"application/x-amz-json-{self._service.version}",
            "X-Amz-Target": f"{self._service.target}.{operation}",
        }
        return self._ask("POST", "/", request, named, operation)

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer of an operation that is an address; it is asked for once.

        Raises
        ------
        ThrottledError
            It did nothing, and asks to come again.
        UnavailableError
            There is no answer, or none that says whether it was done.
        RefusedError
            It refused.
        """
        what = f"{method} {path.partition('?')[0]}"
        return self._ask(method, path, body, {"Content-Type": "application/json"}, what)

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None, headers: dict[str, str], what: str
    ) -> dict[str, Any]:
        data = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        self._credentials = self._credentials or find_credentials()
        signed = AWSRequest(method, self._url + path, data=data, headers=headers)
        keys = self._credentials.get_frozen_credentials()
        SigV4Auth(keys, self._service.signing, self._aws_region).add_auth(signed)
        try:
            answer = self._pool.request(method, self._url + path, body=data, headers=dict(signed.headers.items()))
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"{what}: no answer: {type(error).__name__}") from error
        found = _json(answer.data)
        if answer.status < 300:
            return found
        kind = str(found.get("__type") or answer.headers.get("x-amzn-errortype") or answer.status)
        kind = kind.rpartition("#")[2].partition(":")[0]
        message = f"{what}: {kind}: {found.get('message') or found.get('Message') or ''}".rstrip(": ")
        if answer.status == 429 or "Throttl" in kind or kind == "TooManyRequestsException":
            raise ThrottledError(message)
        if answer.status >= 500:
            raise UnavailableError(message)
        raise RefusedError(message, answered=answer.status)


def insist(
    ask: Callable[[], _T],
    on: type[UnavailableError],
    *,
    tries: int,
    pause: float,
    sleep: Callable[[float], None] = time.sleep,
) -> _T:
    """Ask again after a failure that passes, so many times in all; the last failure is raised.

    Parameters
    ----------
    on : type
        What passes: `ThrottledError`, where nothing was done; `UnavailableError` only for what may be done twice.
    pause : float
        Seconds before the second try at most, twice as many before each further one.
    """
    for attempt in range(tries - 1):
        try:
            return ask()
        except on:
            sleep(pause * 2**attempt * random.uniform(0.5, 1))  # noqa: S311 - not a secret
    return ask()


def _json(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
