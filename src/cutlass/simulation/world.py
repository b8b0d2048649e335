"""The world a run happens in: time, clocks, delays, and processes that take time and may be cut off."""

import heapq
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from cutlass.simulation.network import Network
from cutlass.simulation.scenarios import Scenario
from cutlass.simulation.setting import START_MS, Setting
from cutlass.simulation.store import Store


class Signal:
    """What processes wait for, as long as it takes; each `wake` of the world lets all of them look again."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting: list[tuple[_Process, float]] = []


Step = float | Signal
"""What a process waits for: so many milliseconds, or a signal."""

Wait = Generator[Step, None, Any]
"""A process: it yields what it waits for, and goes on unless its region went down meanwhile."""

WRITE_MS, SPREAD = 5.0, 0.34
"""Median of a local write, and the width of its log-normal distribution: 11 ms at the 99th percentile."""

READ_FACTOR, TRANSACTION_FACTOR = 0.8, 2.0
"""Reads and transactions, as multiples of a write."""

_SAMPLES = 4096


def write_times(seed: int) -> list[float]:
    """Draw a supply of times that local writes take, in milliseconds."""
    rng = random.Random(f"writes {seed}")  # noqa: S311 - not a secret
    return [WRITE_MS * rng.lognormvariate(0, SPREAD) for _ in range(_SAMPLES)]


@dataclass(slots=True)
class _Process:
    steps: Wait
    region: int
    done: Callable[[Any], None]
    lost: Callable[[], None]


class World:
    """The regions' stores, and everything that is going to happen."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.setting = Setting(scenario)
        self.network = Network(scenario, seed)
        self.rng = random.Random(f"world {seed}")  # noqa: S311 - not a secret
        self.now = 0.0
        self.stores = [Store(number, name, self.network) for number, name in enumerate(scenario.regions)]
        self.messages = 0
        skew = scenario.region_skew_ms
        self._clocks = [START_MS + self.rng.randint(-skew, skew) for _ in self.stores]
        self._times = write_times(seed)
        self._at = 0
        self._queue: list[tuple[float, int, _Process | Callable[[], None]]] = []
        self._order = 0

    def clock(self, region: int) -> int:
        """The time a region's clock shows, in milliseconds since 1970."""
        return self._clocks[region] + int(self.now)

    def write_ms(self) -> float:
        """The time the next local write takes."""
        self._at = (self._at + 1) % _SAMPLES
        return self._times[self._at]

    def chance(self, share: float) -> bool:
        """Whether something happens that happens in this share of all cases."""
        return share > 0 and self.rng.random() < share

    def up(self, region: int) -> bool:
        """Whether a region is there now."""
        return not self.network.outages[region] or self.network.up(region, self.now)

    def later(self, delay: float, action: Callable[[], None]) -> None:
        """Do something after so many milliseconds."""
        self._push(self.now + delay, action)

    def start(self, region: int, steps: Wait, done: Callable[[Any], None], lost: Callable[[], None]) -> None:
        """Begin a process in a region; `done` gets what it returns, `lost` is called if its region went down."""
        self._step(_Process(steps, region, done, lost))

    def wake(self, signal: Signal, within: float) -> None:
        """Let those who wait for a signal go on, each within so many milliseconds."""
        waiting, signal.waiting = signal.waiting, []
        for process, since in waiting:
            if self.network.outages[process.region] and self.network.fails_within(process.region, since, self.now):
                process.steps.close()
                self._push(self.now, process.lost)
            else:
                self._wait(process, within * self.rng.random())

    def _push(self, at: float, what: "_Process | Callable[[], None]") -> None:
        self._order += 1
        heapq.heappush(self._queue, (at, self._order, what))

    def _step(self, process: _Process) -> None:
        try:
            step = next(process.steps)
        except StopIteration as stop:
            process.done(stop.value)
            return
        if isinstance(step, Signal):
            step.waiting.append((process, self.now))
        else:
            self._wait(process, step)

    def _wait(self, process: _Process, delay: float) -> None:
        if self.network.outages[process.region] and self.network.fails_within(
            process.region, self.now, self.now + delay
        ):
            process.steps.close()
            self._push(self.now + delay, process.lost)
        else:
            self._push(self.now + delay, process)

    def advance(self, until: float | None = None) -> bool:
        """Let the next thing happen, if it happens by `until`; False if there is none."""
        if not self._queue or (until is not None and self._queue[0][0] > until):
            return False
        self.now, _, what = heapq.heappop(self._queue)
        if isinstance(what, _Process):
            self._step(what)
        else:
            what()
        return True
