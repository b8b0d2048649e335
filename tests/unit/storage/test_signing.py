"""Requests are signed as AWS says, and go out as they were signed."""

import http.server
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import urllib3
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cutlass.storage.signing import Signer
from cutlass.storage.transport import Transport

NOON = datetime(2026, 11, 22, 12, 0, 1, tzinfo=UTC)
BODY = b'{"TableName":"t"}'


def by_botocore(monkeypatch: pytest.MonkeyPatch, url: str, credentials: Credentials, moment: datetime) -> str:
    monkeypatch.setattr(auth, "get_current_datetime", lambda: moment)
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "DynamoDB_20120810.GetItem"}
    request = AWSRequest(method="POST", url=url + "/", data=BODY, headers=headers)
    auth.SigV4Auth(credentials, "dynamodb", "eu-west-2").add_auth(request)
    return str(request.headers["Authorization"])


@pytest.mark.parametrize("token", [None, "a-session-token"])
@pytest.mark.parametrize("url", ["https://dynamodb.eu-west-2.amazonaws.com", "http://127.0.0.1:8000"])
def test_a_signature_is_the_one_botocore_makes(
    monkeypatch: pytest.MonkeyPatch, url: str, token: str | None
) -> None:
    signer = Signer(url.partition("//")[2], "eu-west-2")
    days = (NOON, NOON.replace(day=23), NOON)
    for secret in ("one", "another"):  # renewed credentials, and the day's end, while the signer lives
        credentials = Credentials("111111111111", secret, token)
        for moment in days:
            fields = signer.headers(
                credentials.get_frozen_credentials(), "DynamoDB_20120810.GetItem", BODY, moment.timestamp()
            )
            assert fields["authorization"] == by_botocore(monkeypatch, url, credentials, moment)
            assert fields.get("x-amz-security-token") == token


class Seen(http.server.BaseHTTPRequestHandler):
    """Answers with the body it got, and keeps what came with it."""

    protocol_version = "HTTP/1.1"
    requests: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(413 if len(body) > 10_000 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep the output clean."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    Seen.requests = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Seen)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_request_arrives_whole_over_one_connection_after_the_other(endpoint: str) -> None:
    transport = Transport(endpoint, "eu-west-2", Credentials("111111111111", "local"))
    try:
        for body in (b"{}", b"x" * 5_000, b"y" * 100_000, b"{}"):
            status, answer = transport.post("DynamoDB_20120810.PutItem", body, 5.0)
            assert (status, answer) == (413 if len(body) > 10_000 else 200, body)
    finally:
        transport.close()
    path, headers, _ = Seen.requests[0]
    assert path == "/"
    assert headers["host"] == endpoint.partition("//")[2], "the host that was signed"
    assert headers["x-amz-target"] == "DynamoDB_20120810.PutItem"


def test_no_answer_in_time_is_an_error_of_the_transport() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Seen) as silent:  # it listens, and never answers
        transport = Transport(
            f"http://127.0.0.1:{silent.server_port}", "eu-west-2", Credentials("111111111111", "local")
        )
        with pytest.raises(urllib3.exceptions.HTTPError):
            transport.post("DynamoDB_20120810.GetItem", b"{}", 0.05)
        transport.close()
