"""One call of a webhook: to an address that was looked at, in a few seconds, following nothing, reading little."""

import socket
import ssl
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from cutlass.notifications.names import Names
from cutlass.notifications.targets import Resolve, Target, places

CONNECT_SECONDS, ALL_SECONDS = 3.0, 10.0
"""How long looking up a name and one connection may take each, and how long the whole call."""

_READ_BYTES = 2048
"""How much of an answer is read: enough for the reason a person would look for."""


class CallFailedError(Exception):
    """There was no answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A webhook's answer: its status, how long it asks to be left alone (seconds), and how its body begins."""

    status: int
    retry_after: int | None
    body: str


class Caller:
    """Makes calls; threads may share it.

    Parameters
    ----------
    loopback : bool
        Whether targets on this machine may be called: for the local platform.
    resolve : callable, optional
        Gives a name's addresses; the system's resolver unless given.
    tls : SSLContext, optional
        Whom to trust; the usual authorities unless given.
    """

    def __init__(
        self,
        *,
        loopback: bool = False,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        seconds: float = ALL_SECONDS,
    ) -> None:
        self._loopback = loopback
        self._names = Names(min(CONNECT_SECONDS, seconds), resolve)
        self._tls = tls or ssl.create_default_context()
        self._seconds = seconds

    def post(self, target: Target, body: bytes, headers: dict[str, str]) -> Answer:
        """Send one request and return its answer, whatever its status; a redirect is an answer too.

        Raises
        ------
        ForbiddenTargetError
            It may not be called.
        CallFailedError
            There was no answer in time.
        """
        deadline = time.monotonic() + self._seconds
        try:
            found = places(target, self._names.addresses, loopback=self._loopback)
        except OSError as error:
            raise CallFailedError(f"{target.host} cannot be resolved: {error}") from error
        problem: Exception | None = None
        for place in found[:2]:  # of both families, where it has both
            if time.monotonic() >= deadline:
                break
            connection = self._connection(target, place, deadline - time.monotonic())
            try:
                connection.connect()
            except (urllib3.exceptions.HTTPError, OSError) as error:
                connection.close()
                problem = error
                continue
            return self._exchange(connection, target, body, headers, deadline)
        raise CallFailedError(f"no connection to {target.origin}: {_in_words(problem)}") from problem

    def _connection(self, target: Target, place: str, seconds: float) -> HTTPConnection:
        timeout = min(CONNECT_SECONDS, seconds)
        if target.scheme == "http":
            return HTTPConnection(place, target.port, timeout=timeout)
        return HTTPSConnection(
            place,
            target.port,
            timeout=timeout,
            ssl_context=self._tls,
            server_hostname=target.host,  # asked for, and what the certificate is held against
        )

    def _exchange(
        self, connection: HTTPConnection, target: Target, body: bytes, headers: dict[str, str], deadline: float
    ) -> Answer:
        left = max(deadline - time.monotonic(), 0.001)
        # A timeout of the socket begins anew with every byte: who sends one at a time is cut off by the clock.
        line = connection.sock
        late = threading.Event()
        clock = threading.Timer(left, _cut, [line, late])
        clock.daemon = True
        clock.start()
        try:
            if line is not None:
                line.settimeout(left)
            written = target.host if target.scheme == "https" and target.port == 443 else target.authority
            connection.request(
                "POST", target.path, body=body, headers={"Host": written} | headers, preload_content=False
            )
            answer = connection.getresponse()
            text = answer.read(_READ_BYTES, decode_content=False) or b""
        except (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            why = "it took too long" if late.is_set() else _in_words(error)
            raise CallFailedError(f"no answer from {target.origin}: {why}") from error
        finally:
            clock.cancel()
            connection.close()
        if late.is_set():  # what was cut off in its head looks like an answer whose head has ended
            raise CallFailedError(f"no answer from {target.origin}: it took too long")
        return Answer(answer.status, _seconds(answer.headers.get("Retry-After")), text.decode(errors="replace"))


def _cut(line: socket.socket | None, late: threading.Event) -> None:
    late.set()
    if line is not None:
        with suppress(OSError):
            # Of the socket below: that of TLS would let go of its state while another thread reads from it.
            socket.socket.shutdown(line, socket.SHUT_RDWR)


def _seconds(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 9 else None


def _in_words(error: Exception | None) -> str:
    """Say what went wrong without the address that was connected to: a log may be read by the customer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    return "it took too long" if isinstance(error, TimeoutError) or error is None else type(error).__name__
