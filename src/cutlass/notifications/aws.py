"""A few calls to SES and SQS, signed by botocore: their clients' descriptions are larger than a function."""

import json
from dataclasses import dataclass
from typing import Any

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cutlass.domain.errors import CutlassError, UnavailableError
from cutlass.storage.transport import find_credentials

_TIMEOUT = urllib3.Timeout(connect=2.0, read=8.0)
_THROTTLED = ("TooManyRequestsException", "ThrottlingException", "Throttling", "RequestThrottled")


class RefusedError(CutlassError):
    """An AWS API refused a request: the same one would be refused again."""

    code = "aws-refused"


class ThrottledError(UnavailableError):
    """An AWS API did nothing, for it was asked too often; it may be asked again in a moment."""


@dataclass(frozen=True, slots=True)
class Service:
    """One of AWS's services: the first part of its host name, and the name it is signed by."""

    host: str
    signing: str


SES, SQS = Service("email", "ses"), Service("sqs", "sqs")


class Aws:
    """One service of one region; threads may share it.

    Parameters
    ----------
    endpoint : str, optional
        Where it is, when not at AWS's own address.
    """

    def __init__(
        self,
        service: Service,
        aws_region: str,
        *,
        endpoint: str | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self._service = service
        self._aws_region = aws_region
        self._url = endpoint or f"https://{service.host}.{aws_region}.amazonaws.com"
        self._credentials = credentials
        self._pool = urllib3.PoolManager(maxsize=16, timeout=_TIMEOUT, retries=False)

    def post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        """Send one request and return its answer.

        Raises
        ------
        ThrottledError
            It did nothing, and asks to come again.
        UnavailableError
            There is no answer, or none that says whether it was done.
        RefusedError
            It refused.
        """
        data = json.dumps(body, separators=(",", ":")).encode()
        signed = AWSRequest("POST", self._url + path, data=data, headers=headers)
        self._credentials = self._credentials or find_credentials()
        SigV4Auth(self._credentials, self._service.signing, self._aws_region).add_auth(signed)
        what = headers.get("X-Amz-Target", path)
        try:
            answer = self._pool.request("POST", signed.url, body=data, headers=dict(signed.headers.items()))
        except urllib3.exceptions.HTTPError as error:
            raise UnavailableError(f"{what}: no answer: {type(error).__name__}") from error
        found = _json(answer.data)
        if answer.status < 300:
            return found
        kind = str(found.get("__type") or answer.headers.get("x-amzn-errortype") or answer.status)
        kind = kind.rpartition("#")[2].partition(":")[0]
        message = f"{what}: {kind}: {found.get('message') or found.get('Message') or ''}".rstrip(": ")
        if answer.status == 429 or kind in _THROTTLED:
            raise ThrottledError(message)
        if answer.status >= 500:
            raise UnavailableError(message)
        raise RefusedError(message)


def _json(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
