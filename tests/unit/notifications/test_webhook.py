"""One call over real sockets: to the address that was looked at, in time, following nothing, reading little."""

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cutlass.notifications.targets import ForbiddenTargetError, Target, read_target
from cutlass.notifications.webhook import Answer, Caller, CallFailedError
from tests.support.telling import Hook, serving

NAME = "hooks.example.com"


def call(hook: Hook, caller: Caller | None = None, body: bytes = b"{}") -> Answer:
    target = read_target(hook.url, loopback=True)
    return (caller or Caller(loopback=True)).post(target, body, {"Content-Type": "application/json"})


def test_a_call_carries_body_and_fields_and_brings_the_answer() -> None:
    with serving() as hook:
        hook.answers.append((200, {"Retry-After": "7"}, b"thanks"))
        assert call(hook, body=b'{"id":"a"}') == Answer(200, 7, "thanks")
    ((path, fields, body),) = hook.got
    assert (path, body) == ("/hook?token=secret", b'{"id":"a"}')
    assert fields["Host"] == f"127.0.0.1:{hook.port}"
    assert fields["Content-Type"] == "application/json"


def test_this_machine_is_not_called_unless_that_is_set() -> None:
    with serving() as hook:
        with pytest.raises(ForbiddenTargetError):
            Caller().post(read_target(hook.url, loopback=True), b"{}", {})
        assert not hook.got


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_not_followed(status: int) -> None:
    with serving() as inside, serving() as hook:
        hook.answers.append((status, {"Location": inside.url}, b""))
        assert call(hook).status == status
        assert not inside.got


def test_little_of_an_answer_is_read() -> None:
    with serving() as hook:
        hook.answers.append((500, {}, b"x" * 10_000_000))
        assert len(call(hook).body) <= 2048


def test_an_answer_that_claims_to_be_packed_is_not_unpacked() -> None:
    with serving() as hook:
        hook.answers.append((500, {"Content-Encoding": "gzip"}, b"not gzip"))
        assert call(hook).body == "not gzip"


def test_proxies_of_the_surroundings_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with serving() as hook:
        assert call(hook).status == 204


def test_one_who_never_answers_is_given_up() -> None:
    with serving() as hook:
        hung_up = threading.Event()

        def wait(handler: BaseHTTPRequestHandler) -> bool:
            handler.connection.settimeout(30)
            assert not handler.rfile.read(1), "the caller hangs up and sends nothing more"
            hung_up.set()
            return True

        hook.behave = wait
        with pytest.raises(CallFailedError, match=r"no answer from http://127\.0\.0\.1"):
            call(hook, Caller(loopback=True, seconds=0.3))
        assert hung_up.wait(10)


def test_one_who_answers_a_byte_at_a_time_is_given_up() -> None:
    with serving() as hook:
        gone = threading.Event()

        def drip(handler: BaseHTTPRequestHandler) -> bool:
            try:
                handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
                while True:
                    handler.wfile.write(b"X: y\r\n")
                    time.sleep(0.05)  # slow is what this server is about
            except OSError:
                gone.set()
            handler.close_connection = True
            return True

        hook.behave = drip
        with pytest.raises(CallFailedError, match="no answer from"):
            call(hook, Caller(loopback=True, seconds=0.5))
        assert gone.wait(10)


def test_what_is_no_http_is_no_answer() -> None:
    with serving() as hook:
        hook.behave = lambda handler: bool(handler.wfile.write(b"220 smtp ready\r\n"))
        with pytest.raises(CallFailedError, match="no answer from"):
            call(hook)


def test_a_closed_port_and_a_name_without_an_address_say_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(CallFailedError, match=r"no connection to http://127\.0\.0\.1"):
            Caller(loopback=True).post(read_target(url, loopback=True), b"", {})

    def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(CallFailedError, match=f"{NAME} cannot be resolved"):
        Caller(resolve=nowhere).post(read_target(f"https://{NAME}/"), b"", {})


def test_a_name_server_that_hangs_is_given_up_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    hangs = threading.Event()

    def hang(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        assert hangs.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    caller, target = Caller(seconds=0.2), read_target(f"https://{NAME}/")
    for _ in range(3):
        with pytest.raises(CallFailedError, match=f"{NAME} cannot be resolved: it took too long"):
            caller.post(target, b"{}", {})
    assert asked == [NAME], "threads pile up behind one name server"
    hangs.set()
    patient = Caller(seconds=60)
    with pytest.raises(ForbiddenTargetError, match="not public"):  # what it says then is looked at as ever
        patient.post(target, b"{}", {})


def test_a_name_that_can_be_none_says_so() -> None:
    with pytest.raises(CallFailedError, match="cannot be resolved: it is no name of the DNS"):
        Caller().post(read_target("https://hooks..example.com/"), b"{}", {})


@contextmanager
def behind_tls(folder: Path, *names: str) -> Iterator[tuple[Hook, ssl.SSLContext]]:
    """A server with a certificate for these names, and a context that trusts who made it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "server.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    with serving(lambda line: server.wrap_socket(line, server_side=True)) as hook:
        yield hook, ssl.create_default_context(cafile=str(pem))


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def test_the_connection_goes_to_the_address_and_the_name_is_held_against_the_certificate(tmp_path: Path) -> None:
    with behind_tls(tmp_path, NAME) as (hook, trusted):
        answers = iter([["127.0.0.1"]])  # a second look would find nothing: a name that changes cannot matter
        caller = Caller(loopback=True, tls=trusted, resolve=lambda _host, _port: next(answers))
        answer = caller.post(Target("https", NAME, hook.port, "/x"), b"{}", {})
        assert answer.status == 204
        assert hook.got[0][1]["Host"] == f"{NAME}:{hook.port}"


@pytest.mark.parametrize("name", ["other.example.com", "127.0.0.1"])
def test_a_certificate_of_another_name_is_refused(tmp_path: Path, name: str) -> None:
    with behind_tls(tmp_path, name) as (hook, trusted):
        caller = Caller(loopback=True, tls=trusted, resolve=lambda _host, _port: ["127.0.0.1"])
        with pytest.raises(CallFailedError, match="certificate is not accepted"):
            caller.post(Target("https", NAME, hook.port, "/x"), b"{}", {})
        assert not hook.got


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with behind_tls(tmp_path, NAME) as (hook, _):
        caller = Caller(loopback=True, resolve=lambda _host, _port: ["127.0.0.1"])
        with pytest.raises(CallFailedError, match="certificate is not accepted"):
            caller.post(Target("https", NAME, hook.port, "/x"), b"{}", {})
        assert not hook.got
