"""The consumer of the limits table's stream, in a process of its own, as beside every gateway.

Without it the rings of the allotments would only grow, and a decision would cost more than it does.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from benchmarks.machine import ROOT
from cutlass.contracts import load_tables, load_topology
from cutlass.platform.errors import PlatformError
from cutlass.platform.local import ENVIRONMENT
from cutlass.platform.streams import StreamReader
from cutlass.platform.wire import Wire
from cutlass.storage import open_store

WINDOW_SECONDS = 1.0
"""The batch window of the function `meter` in contracts/functions.yaml."""

_BATCH = 500


def run(endpoint: str, stop: threading.Event) -> None:
    """Meter what the table's stream grows by, until told to stop."""
    store = open_store()
    wire = Wire(endpoint, load_topology().regions[store.region].aws_region)
    reader = StreamReader(wire, load_tables()["usage-credits"].resource(ENVIRONMENT), None)
    while not stop.is_set():
        try:
            records = reader.read(_BATCH)
        except PlatformError:
            records = []
        if records:
            store.meter.record(records)
        if len(records) < _BATCH:
            stop.wait(WINDOW_SECONDS)


@contextmanager
def beside(endpoint: str, environment: Mapping[str, str]) -> Iterator[None]:
    """Run the consumer of an engine in a process of its own, with a function's environment."""
    command = [sys.executable, "-m", "benchmarks.consumer", endpoint]
    consumer = subprocess.Popen(command, env=os.environ | environment, cwd=ROOT)
    try:
        yield
    finally:
        consumer.terminate()
        consumer.wait(timeout=20)


def main() -> None:
    """Run until SIGTERM; the argument is the engine's address."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    run(sys.argv[1], stop)


if __name__ == "__main__":
    main()
