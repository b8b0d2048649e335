"""Alerts to be told, and stand-ins for what tells them: a book of alerts, SES, SQS, a webhook's server."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cutlass.contracts import Email, load_emails
from cutlass.domain.alerts import Alert, AlertKind, AlertSettings, Webhook
from cutlass.domain.errors import NotFoundError
from cutlass.notifications.mail import Mailer
from cutlass.notifications.render import Mail

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
_NUMBERS = itertools.count(1)


def alert(**changes: Any) -> Alert:
    """An alert that was told to nobody yet."""
    values: dict[str, Any] = {
        "alert_id": f"a{next(_NUMBERS)}",
        "org_id": "org456",
        "scope": "org:org456",
        "meter": "requests",
        "kind": AlertKind.CROSSED,
        "threshold": "80%",
        "period": "20261101T0000",
        "previous_value": 799,
        "current_value": 801,
        "limit": 1000,
        "at": AT,
    }
    return Alert(**values | changes)


def settings(*addresses: str, **changes: Any) -> AlertSettings:
    """Settings by which these addresses are told of everything."""
    return AlertSettings((), None, {"owner": addresses}, **changes)


def webhook(url: str, **changes: Any) -> Webhook:
    return Webhook(**{"url": url, "secret": "whsec_new"} | changes)


class Book:
    """Alerts and settings, by organisation."""

    def __init__(self, told: AlertSettings | None = None, *alerts: Alert) -> None:
        self.by_org: dict[str, AlertSettings] = {}
        self.default = told or settings("ops@example.com")
        self.alerts = {(one.org_id, one.alert_id): one for one in alerts}

    def add(self, one: Alert) -> Alert:
        self.alerts[one.org_id, one.alert_id] = one
        return one

    def alert(self, org_id: str, alert_id: str) -> Alert:
        try:
            return self.alerts[org_id, alert_id]
        except KeyError:
            raise NotFoundError(f"there is no alert {alert_id}") from None

    def settings(self, org_id: str) -> AlertSettings:
        return self.by_org.get(org_id, self.default)


@dataclass
class Ses:
    """Stands in for SES: keeps what it is handed; `before` and `after` may raise for an address."""

    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None

    def request(self, _method: str, _path: str, body: dict[str, Any]) -> dict[str, Any]:
        (address,) = body["Destination"]["ToAddresses"]
        self.before(address)
        self.sent.append((address, body))
        self.after(address)
        return {"MessageId": f"ses-{len(self.sent)}"}

    @property
    def addresses(self) -> list[str]:
        return [address for address, _ in self.sent]

    def mailer(self, emails: dict[str, Email] | None = None, sleeps: list[float] | None = None) -> Mailer:
        known = load_emails() if emails is None else emails
        sleep = (lambda _: None) if sleeps is None else sleeps.append
        return Mailer(self, known, "alerts@example.com", lambda email: email.name, sleep=sleep)  # type: ignore[arg-type]


@dataclass
class Sqs:
    """Stands in for the queues that are written to."""

    sent: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def send(self, queue: str, message: dict[str, Any]) -> None:
        self.before()
        self.sent.append((queue, message))

    def delay(self, _queue: str, _receipt: str, seconds: int) -> None:
        self.delays.append(seconds)


@dataclass
class Hook:
    """A webhook's server on this machine: answers as it is told, and keeps what it got."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    behave: Callable[[BaseHTTPRequestHandler], bool] = lambda _: False

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])


@contextmanager
def serving(wrap: Callable[[Any], Any] | None = None) -> Iterator[Hook]:
    """Run a webhook's server; `wrap` puts its socket behind TLS."""
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append((self.path, dict(self.headers.items()), body))
            if hook.behave(self):
                return
            status, fields, answer = hook.answers.pop(0) if hook.answers else (204, {}, b"")
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(answer))} | fields).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Keep the output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A caller that hangs up is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    if wrap is not None:
        server.socket = wrap(server.socket)
    hook.url = f"{'http' if wrap is None else 'https'}://127.0.0.1:{server.server_port}/hook?token=secret"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def lines_of(mail: Mail) -> list[str]:
    return mail.values["lines"].splitlines()
