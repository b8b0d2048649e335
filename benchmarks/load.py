"""A closed loop of clients, each sending its next call when the last one was answered.

Only the standard library is imported here, so that a peer in another environment is measured by the same code.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Call = Callable[[], bool | None]
"""One call of what is measured; False where it was refused, raises where the answer is not one of its answers."""

_WARM_UP_SHARE, _LONGEST_WARM_UP = 0.2, 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What one subject did under one number of clients.

    Attributes
    ----------
    p50_ms, p99_ms : float
        Latency in milliseconds at the median and at the 99th percentile (nearest rank).
    per_second : float
        Calls answered in a second, by all clients together.
    cpu_us : float
        CPU time of this process per call in microseconds: what the client costs, not the engine.
    failures : int
        Calls that raised, not counted in any other figure; `failure` is the first one's message.
    """

    subject: str
    engine: str
    clients: int
    calls: int
    p50_ms: float
    p99_ms: float
    per_second: float
    cpu_us: float
    failures: int = 0
    failure: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the sample as JSON."""
        return asdict(self)


class _Client(threading.Thread):
    def __init__(self, call: Call, barrier: threading.Barrier, seconds: float, times: int | None) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._barrier = barrier
        self._seconds = seconds
        self._times = times
        self.latencies: list[float] = []
        self.failures: list[str] = []
        self.refused = 0

    def run(self) -> None:
        if self._times is None:
            self._loop(min(_LONGEST_WARM_UP, _WARM_UP_SHARE * self._seconds))
        self.latencies.clear()
        self.failures.clear()
        self.refused = 0
        self._barrier.wait()
        self._loop(self._seconds)
        self._barrier.wait()

    def _loop(self, seconds: float) -> None:
        started = now = time.perf_counter()
        while now - started < seconds and (self._times is None or self._answered < self._times):
            before = now
            try:
                allowed = self._call()
            except Exception as error:  # noqa: BLE001 (a failed call is a result of the measurement)
                self.failures.append(f"{type(error).__name__}: {error}")
                now = time.perf_counter()
            else:
                now = time.perf_counter()
                self.latencies.append(now - before)
                self.refused += allowed is False

    @property
    def _answered(self) -> int:
        return len(self.latencies) + len(self.failures)


@dataclass(frozen=True, slots=True)
class Round:
    """What clients met in one round: latencies and elapsed time in seconds, CPU seconds of this process.

    `refused` of the calls behind the latencies were answered with a refusal.
    """

    clients: int
    latencies: list[float]
    failures: list[str]
    elapsed: float
    cpu: float
    refused: int = 0


def run(
    calls: Sequence[Call], seconds: float, *, times: int | None = None, ready: Callable[[], None] | None = None
) -> Round:
    """Run one client per call, all at once, for so many seconds after a warm-up.

    With `times`, each client makes so many calls, without a warm-up, and the seconds only bound them. `ready` is
    called when all are about to begin, which they do when it returns.
    """
    barrier = threading.Barrier(len(calls) + 1)
    clients = [_Client(call, barrier, seconds, times) for call in calls]
    for client in clients:
        client.start()
    while barrier.n_waiting < len(clients):
        time.sleep(0.002)
    if ready:
        ready()
    barrier.wait()
    began, cpu_began = time.perf_counter(), time.process_time()
    barrier.wait()
    elapsed, cpu = time.perf_counter() - began, time.process_time() - cpu_began
    for client in clients:
        client.join()
    return Round(
        clients=len(calls),
        latencies=[latency for client in clients for latency in client.latencies],
        failures=[failure for client in clients for failure in client.failures],
        elapsed=elapsed,
        cpu=cpu,
        refused=sum(client.refused for client in clients),
    )


def together(rounds: Sequence[Round]) -> Round:
    """Take rounds that processes made side by side for one."""
    return Round(
        clients=sum(one.clients for one in rounds),
        latencies=[latency for one in rounds for latency in one.latencies],
        failures=[failure for one in rounds for failure in one.failures],
        elapsed=max(one.elapsed for one in rounds),
        cpu=sum(one.cpu for one in rounds),
        refused=sum(one.refused for one in rounds),
    )


def summarise(subject: str, engine: str, rounds: Sequence[Round]) -> Sample:
    """Take the rounds of one subject together."""
    latencies = sorted(latency for one in rounds for latency in one.latencies)
    failures = [failure for one in rounds for failure in one.failures]
    return Sample(
        subject=subject,
        engine=engine,
        clients=rounds[0].clients,
        calls=len(latencies),
        p50_ms=round(1000 * percentile(latencies, 50), 3),
        p99_ms=round(1000 * percentile(latencies, 99), 3),
        per_second=round(len(latencies) / sum(one.elapsed for one in rounds), 1),
        cpu_us=round(1e6 * sum(one.cpu for one in rounds) / max(1, len(latencies)), 1),
        failures=len(failures),
        failure=failures[0] if failures else None,
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the value at a percentile of values in rising order, by nearest rank; NaN of none."""
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]
