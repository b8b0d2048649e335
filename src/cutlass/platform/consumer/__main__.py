"""The consumers of one region: `python -m cutlass.platform.consumer`.

Reads the settings of functions, `CUTLASS_HOME`, and `CUTLASS_BATCH_WINDOW_SECONDS` (0.2 here; in AWS a
mapping's own window, up to seconds, saves calls that nobody pays for on one machine).
"""

import logging
import os
import signal
import sys
import threading
import time
from typing import Protocol

from cutlass.contracts import load_functions, load_queues
from cutlass.platform.checkpoints import Checkpoint, stream_checkpoint_name
from cutlass.platform.child import follow_parent, log_to_stdout
from cutlass.platform.consumer.queue import QueueMapping
from cutlass.platform.consumer.schedule import ScheduleMapping
from cutlass.platform.consumer.stream import StreamMapping
from cutlass.platform.home import Home
from cutlass.platform.runtime import Runtime
from cutlass.platform.streams import Growth
from cutlass.platform.wire import Wire

_DRAIN_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Mapping(Protocol):
    """Something that starts a function."""

    name: str

    def run(self, stop: threading.Event, drain: threading.Event) -> None:
        """Consume until told to stop."""


def mappings(runtime: Runtime, growth: Growth, wire: Wire, home: Home, region: str) -> list[Mapping]:
    """Return what starts the functions of the region, as functions.yaml says."""
    window = os.environ.get("CUTLASS_BATCH_WINDOW_SECONDS", "0.2")
    queues = load_queues()
    found: list[Mapping] = []
    for function in load_functions().values():
        for stream in function.streams:
            name = stream_checkpoint_name(function.name, stream.table, region)
            found.append(
                StreamMapping(
                    wire,
                    runtime,
                    growth,
                    function=function,
                    source=stream,
                    region=region,
                    checkpoint=Checkpoint(home.checkpoints, name),
                    failures=queues[stream.on_failure],
                    window_seconds=min(float(window), stream.window_seconds),
                )
            )
        found += [
            ScheduleMapping(
                runtime, function=function, schedule=schedule, region=region, aws_region=wire.aws_region
            )
            for schedule in function.schedules
        ]
        found += [
            QueueMapping(
                wire,
                runtime,
                function=function,
                source=source,
                queue=queues[source.queue],
                region=region,
                window_seconds=min(float(window), source.window_seconds),
            )
            for source in function.queues
        ]
    return found


def main() -> int:
    """Consume until SIGTERM, then what is left in the streams, for ten seconds at most."""
    follow_parent()
    log_to_stdout()
    stop, drain = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: drain.set())
    region = os.environ["CUTLASS_REGION"]
    wire = Wire(os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"])
    growth = Growth(wire, stop=stop)
    runtime = Runtime(load_functions(), region, wire.aws_region)
    found = mappings(runtime, growth, wire, Home.from_environment(), region)
    threads = [
        threading.Thread(target=mapping.run, args=(stop, drain), name=mapping.name, daemon=True)
        for mapping in found
    ]
    for thread in threads:
        thread.start()
    _log.info("consuming: %s", "; ".join(mapping.name for mapping in found))
    drain.wait()
    growth.wake()
    deadline = time.monotonic() + _DRAIN_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    stop.set()
    left = [thread.name for thread in threads if thread.is_alive()]
    if left:
        _log.warning("stopped before the end of: %s; the rest is consumed after the next start", ", ".join(left))
    sys.stdout.flush()
    os._exit(0)  # a handler that hangs in a thread must not hold up the end


if __name__ == "__main__":
    sys.exit(main())
