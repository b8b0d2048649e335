"""Requests are signed as AWS says, and go out as they were signed."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import urllib3
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from urllib3.connection import HTTPConnection

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


@pytest.fixture(params=["http", "https"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    Seen.requests = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Seen)
    if request.param == "https":
        certificate = tmp_path / "certificate.pem"
        certificate.write_bytes(self_signed())
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{request.param}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def self_signed() -> bytes:
    """Make a key and a certificate of 127.0.0.1, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


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


def test_head_and_body_go_out_together(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    send = HTTPConnection.send
    monkeypatch.setattr(HTTPConnection, "send", lambda self, data: (sent.append(data), send(self, data))[1])
    transport = Transport(endpoint, "eu-west-2", Credentials("111111111111", "local"))
    for _ in range(2):
        transport.post("DynamoDB_20120810.GetItem", BODY, 5.0)
    transport.close()
    assert len(sent) == 2, "two packets of one request would wake the other side twice"
    assert all(data.startswith(b"POST / ") and data.endswith(BODY) for data in sent)
