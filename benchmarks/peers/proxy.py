"""A proxy before an engine that counts what passes, or makes it take as long as the way between regions."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import urllib3

from cutlass.platform.local import ADDRESS

_READS = {"GetItem", "BatchGetItem", "Query", "Scan"}


class Counts:
    """Requests and capacity units, by what the engine said each consumed; threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Begin again."""
        self.requests: Counter[str] = Counter()
        self.write_units = 0.0
        self.read_units = 0.0

    def add(self, operation: str, answer: dict[str, Any]) -> None:
        """Add one request with its answer; a refused condition, which says nothing, costs one unit a write.

        A cancelled transaction is counted by its reasons: two units for each of its writes.
        """
        consumed = answer.get("ConsumedCapacity") or []
        units = float(
            sum(one["CapacityUnits"] for one in (consumed if isinstance(consumed, list) else [consumed]))
        )
        kind = str(answer.get("__type", ""))
        if kind.endswith("ConditionalCheckFailedException"):
            units = 1.0
        elif kind.endswith("TransactionCanceledException"):
            units = 2.0 * len(answer.get("CancellationReasons", []))
        with self._lock:
            self.requests[operation] += 1
            if operation in _READS:
                self.read_units += units
            else:
                self.write_units += units


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


@contextmanager
def proxy(endpoint: str, *, counts: Counts | None = None, delay_ms: int = 0) -> Iterator[str]:
    """Run a proxy before an engine; yields its address.

    Parameters
    ----------
    counts : Counts, optional
        Where every request is added. The engine is asked to tell what each consumed.
    delay_ms : int
        How long the way there and back takes, beside the engine's own time.
    """
    pool = urllib3.PoolManager(maxsize=256, retries=False, timeout=60)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer's head and body go out together
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].rpartition(".")[2]
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
            if counts is not None:
                body = json.dumps(json.loads(body) | {"ReturnConsumedCapacity": "TOTAL"}).encode()
            time.sleep(delay_ms / 2000)
            answer = pool.request("POST", endpoint + "/", body=body, headers=headers)
            time.sleep(delay_ms / 2000)
            if counts is not None:
                counts.add(operation, json.loads(answer.data))
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in _HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.data)))
            self.end_headers()
            self.wfile.write(answer.data)

        def log_message(self, *_: Any) -> None:
            """Say nothing: the counts are what is wanted."""

    server = _Server((ADDRESS, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{ADDRESS}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


_HOP = {"connection", "content-length", "host", "transfer-encoding", "keep-alive", "x-amz-crc32"}
"""Fields of a connection, not of what it carries, and a checksum that a changed body would not have."""
