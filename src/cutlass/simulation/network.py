"""The network between regions: how long messages and copies take, and when nothing passes."""

import random
from collections.abc import Sequence
from functools import cached_property

from cutlass.simulation.geography import round_trip_ms
from cutlass.simulation.scenarios import Scenario

SLOT_MS = 100.0
"""Changes of one item within so much time arrive together; those of different slots may overtake each other."""

_MASK = (1 << 64) - 1


def _mix(seed: int, item: int, slot: int, to: int) -> float:
    """A number from 0 to 1 that depends on nothing but its arguments (SplitMix64's last steps)."""
    z = (seed ^ item * 0x9E3779B97F4A7C15 ^ slot * 0xBF58476D1CE4E5B9 ^ to * 0x94D049BB133111EB) & _MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & _MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & _MASK
    return (z ^ z >> 31) / (_MASK + 1)


class Network:
    """Delays and interruptions between the regions of a scenario, by the regions' numbers.

    `least_ms` and `most_ms` bound the lag of copies; `calm` says that nothing is ever interrupted.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self._scenario = scenario
        self._seed = random.Random(f"network {seed}").getrandbits(64)  # noqa: S311 - not a secret
        self.least_ms, self.most_ms = scenario.lag_ms
        self.calm = not scenario.cuts and not scenario.outages
        names = scenario.regions
        self._round_trips = [[round_trip_ms(one, other) for other in names] for one in names]
        self._windows = [[self._interruptions(one, other) for other in names] for one in names]
        self.outages = [
            sorted((outage.start_ms, outage.end_ms) for outage in scenario.outages if outage.region == name)
            for name in names
        ]

    def _interruptions(self, one: str, other: str) -> list[tuple[float, float]]:
        cuts = [(cut.start_ms, cut.end_ms) for cut in self._scenario.cuts if {cut.one, cut.other} == {one, other}]
        gone = [(out.start_ms, out.end_ms) for out in self._scenario.outages if out.region in {one, other}]
        return sorted(cuts + gone)

    def up(self, region: int, now: float) -> bool:
        """Whether a region is there."""
        return not any(start <= now < end for start, end in self.outages[region])

    def down_since(self, region: int, now: float) -> float:
        """When the outage began that a region is in; `now` if it is in none."""
        return min((start for start, end in self.outages[region] if start <= now < end), default=now)

    def fails_within(self, region: int, now: float, until: float) -> bool:
        """Whether a region goes down between two moments."""
        return any(now < start <= until for start, _ in self.outages[region])

    def open(self, one: int, other: int, now: float) -> bool:
        """Whether messages pass between two regions."""
        return not any(start <= now < end for start, end in self._windows[one][other])

    def one_way_ms(self, one: int, other: int, draw: float) -> float:
        """The time a message takes: half a round trip, and up to a fifth more as `draw` (0 to 1) says."""
        return self._round_trips[one][other] / 2 * (1 + draw * 0.2)

    def arrival(self, item: int, slot: int, origin: int, to: int) -> float:
        """When what an item became in a slot of time is copied to another region.

        Copies are quick as a rule and slow at times: the least lag and, squared, a random part of what is
        between it and the most. What would arrive while nothing passes arrives after that.
        """
        draw = _mix(self._seed, item, slot, to)
        lag = self.least_ms + (self.most_ms - self.least_ms) * draw * draw
        moment = (slot + 1) * SLOT_MS + lag
        for start, end in self._windows[origin][to]:
            if start <= moment < end:
                moment = end + lag
        return moment

    @cached_property
    def _all_windows(self) -> Sequence[tuple[float, float]]:
        return sorted({window for row in self._windows for windows in row for window in windows})

    def horizon(self, now: float) -> float:
        """The moment from whose state on every region has copies: no older state will be seen again."""
        settle = self.most_ms + 2 * SLOT_MS
        moment = now - settle
        for start, end in reversed(self._all_windows):
            if start <= moment < end + settle:
                moment = start - settle
        return moment
