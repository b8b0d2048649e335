"""Carries signed requests to one DynamoDB over kept-alive connections of urllib3."""

from collections.abc import Mapping
from typing import Any

import urllib3
from botocore.credentials import Credentials, EnvProvider
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import parse_url

from cutlass.domain.errors import UnavailableError
from cutlass.storage.signing import Signer

_CONNECTIONS = 64


class _AtOnce(HTTPConnection):
    """Sends a request's head and body together: two packets would wake the other side twice."""

    _held: bytearray | None = None

    def request(self, *args: Any, **options: Any) -> None:
        self._held = bytearray()
        try:
            super().request(*args, **options)
            whole = bytes(self._held)
        finally:
            self._held = None
        self.send(whole)

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held += data


class _AtOnceSecure(_AtOnce, HTTPSConnection):
    """The same over TLS."""


class Transport:
    """Connections to one endpoint; threads may share it.

    Parameters
    ----------
    url : str
        The endpoint, without a path.
    credentials : Credentials, optional
        Found by botocore at the first request unless given.
    """

    def __init__(self, url: str, aws_region: str, credentials: Credentials | None = None) -> None:
        endpoint = parse_url(url)
        self.url = url
        self._credentials = credentials
        self._signer = Signer(endpoint.netloc or "", aws_region)
        self._pool = urllib3.connection_from_url(url, maxsize=_CONNECTIONS)
        self._pool.ConnectionCls = _AtOnceSecure if endpoint.scheme == "https" else _AtOnce

    def post(self, target: str, body: bytes, seconds: float) -> tuple[int, bytes]:
        """Send one request and return the status and body of its answer.

        Raises
        ------
        urllib3.exceptions.HTTPError
            There was none within so many seconds.
        UnavailableError
            There are no credentials.
        """
        if self._credentials is None:
            self._credentials = find_credentials()
        headers = self._signer.headers(self._credentials.get_frozen_credentials(), target, body)
        return self.exchange(headers, body, max(seconds, 0.001))

    def exchange(self, headers: Mapping[str, str], body: bytes, seconds: float) -> tuple[int, bytes]:
        """Carry a signed request there and its answer back."""
        timeout = urllib3.Timeout(connect=min(1.0, seconds), read=seconds)
        response = self._pool.urlopen(
            "POST", "/", body=body, headers=headers, timeout=timeout, retries=False, redirect=False
        )
        return response.status, response.data

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pool.close()


def find_credentials() -> Credentials:
    """Read credentials from the environment, as in Lambda; elsewhere as botocore finds and renews them."""
    found = EnvProvider().load()
    if found is None:
        from botocore.session import Session  # noqa: PLC0415 - slow to import, and never needed in Lambda

        found = Session().get_credentials()
    if found is None:
        raise UnavailableError("no AWS credentials were found")
    return found
