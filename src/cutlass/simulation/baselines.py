"""Other ways of keeping a limit, on the same workload and the same network.

Each keeps two counters, the organisation's and the user's, as Cutlass keeps both limits. Messages are never
lost here and callers never ask twice: the peers get the better weather.
"""

import random
from abc import ABC, abstractmethod
from collections.abc import Callable

from cutlass.simulation.copies import Item
from cutlass.simulation.escrow import HEALTH_MS, RETRY_MS
from cutlass.simulation.network import SLOT_MS, Network
from cutlass.simulation.outcome import Books
from cutlass.simulation.scenarios import Scenario
from cutlass.simulation.setting import Setting
from cutlass.simulation.workload import usual_region, workload
from cutlass.simulation.world import write_times

_ORGANISATION = -1
"""The organisation's counter among the users'."""

Key = tuple[int, int]
"""A region and a user, or `_ORGANISATION`."""


class Baseline(ABC):
    """One way of keeping a limit, over all regions."""

    name: str

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.setting = Setting(scenario)
        self.network = Network(scenario, seed)
        self.books = Books(self.setting)
        self.rng = random.Random(f"{self.name} {seed}")  # noqa: S311 - not a secret
        self.granted = self.setting.granted
        self.write_ms = write_times(seed)
        self._seed = seed

    def run(self, progress: Callable[[int], None] | None = None) -> None:
        """Let the whole workload happen."""
        for now, number, user, region, units in workload(self.scenario, self._seed):
            if progress and number % 10_000 == 0:
                progress(number)
            due = self.books.ask(user, units)
            there, delay = self._reached(region, now)
            allowed = there is not None and self.take(there, user, units, now)
            if there is not None:
                delay += self.answer_ms(there, number, now)
            self.books.latencies.add(delay)
            if allowed:
                self.books.allow(user, units)
            else:
                self.books.refuse(due=due)

    def _reached(self, region: int, now: float) -> tuple[int | None, float]:
        """The region that answers a caller, and the time lost until it is asked."""
        if not self.network.outages[region] or self.network.up(region, now):
            return region, 0.0
        waited = HEALTH_MS - (now - self.network.down_since(region, now))
        for there in range(len(self.scenario.regions)):
            if self.network.up(there, now):
                return there, 2 * self.network.one_way_ms(region, there, 0.0) + max(0.0, waited)
        return None, RETRY_MS

    @abstractmethod
    def take(self, region: int, user: int, units: int, now: float) -> bool:
        """Decide a request in a region."""

    @abstractmethod
    def counted(self) -> int:
        """The units that the counters show in the end."""

    def answer_ms(self, region: int, number: int, now: float) -> float:  # noqa: ARG002 - peers differ
        """How long the answer takes: one local write."""
        return self.write_ms[number % len(self.write_ms)]


class _Replicated(Baseline):
    """Counters that every region copies; copies are looked at once per slot of time, as they arrive."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        super().__init__(scenario, seed)
        self._items: dict[Key, Item[tuple[float, int]]] = {}
        self._seen: dict[tuple[int, int, int], tuple[int, tuple[float, int] | None]] = {}

    def own(self, region: int, counter: int) -> tuple[float, int]:
        """When a region last wrote a counter, and the value."""
        item = self._items.get((region, counter))
        return item.value if item else (-1.0, 0)

    def write(self, region: int, counter: int, value: int, now: float) -> None:
        """Write a counter in a region."""
        self.books.write_units += 1
        item = self._items.get((region, counter))
        if item is None:
            number = counter if counter >= 0 else self.scenario.users
            self._items[region, counter] = Item(number, region, (now, value), now)
        else:
            item.write((now, value), now, self.network)

    def copies(self, region: int, counter: int, now: float) -> list[tuple[float, int]]:
        """What a region has seen of the others' writes: when each was made, and the value."""
        found = []
        for other in range(len(self.scenario.regions)):
            item = self._items.get((other, counter)) if other != region else None
            if item is not None and (copy := self._copy(item, region, counter, now)):
                found.append(copy)
        return found

    def _copy(
        self, item: Item[tuple[float, int]], region: int, counter: int, now: float
    ) -> tuple[float, int] | None:
        if counter != _ORGANISATION:
            return item.copy(region, now, self.network)
        slot, key = int(now / SLOT_MS), (region, item.owner, counter)
        seen = self._seen.get(key)
        if seen is None or seen[0] != slot:
            seen = self._seen[key] = (slot, item.copy(region, now, self.network))
        return seen[1]


class SharedCounter(_Replicated):
    """One counter in a global table: every region counts up its replica, and the last writer wins."""

    name = "shared_counter"

    def take(self, region: int, user: int, units: int, now: float) -> bool:
        """Count up what the replica shows, if that is within the limit."""
        spent, total = self._value(region, user, now), self._value(region, _ORGANISATION, now)
        if spent + units > self.setting.ceiling(user) or total + units > self.granted:
            self.books.write_units += 1  # a condition that fails costs a write unit too
            return False
        self.write(region, user, spent + units, now)
        self.write(region, _ORGANISATION, total + units, now)
        return True

    def counted(self) -> int:
        """The units of the replica written last, which is the one that stays."""
        return max(self.own(region, _ORGANISATION) for region in range(len(self.scenario.regions)))[1]

    def _value(self, region: int, counter: int, now: float) -> int:
        return max([self.own(region, counter), *self.copies(region, counter, now)])[1]


class PerRegionCounters(_Replicated):
    """A counter per region, each written by its region only and summed when read."""

    name = "per_region_counters"

    def take(self, region: int, user: int, units: int, now: float) -> bool:
        """Count up the own counter, if the sum of all as they are seen is within the limit."""
        spent, total = self._sum(region, user, now), self._sum(region, _ORGANISATION, now)
        if spent + units > self.setting.ceiling(user) or total + units > self.granted:
            self.books.write_units += 1
            return False
        self.write(region, user, self.own(region, user)[1] + units, now)
        self.write(region, _ORGANISATION, self.own(region, _ORGANISATION)[1] + units, now)
        return True

    def counted(self) -> int:
        """The sum of all regions' counters."""
        return sum(self.own(region, _ORGANISATION)[1] for region in range(len(self.scenario.regions)))

    def _sum(self, region: int, counter: int, now: float) -> int:
        return self.own(region, counter)[1] + sum(value for _, value in self.copies(region, counter, now))


class HomeRegion(Baseline):
    """Exact counters in the home region, changed in one transaction there, wherever the request arrives."""

    name = "home_region"

    def __init__(self, scenario: Scenario, seed: int) -> None:
        super().__init__(scenario, seed)
        self._total = 0
        self._spent: dict[int, int] = {}

    def take(self, region: int, user: int, units: int, now: float) -> bool:
        """Count in the home region, if it answers."""
        if region and not self.network.open(region, 0, now):
            return False
        self.books.write_units += 4  # two items in a transaction, at two write units each
        spent = self._spent.get(user, 0)
        if spent + units > self.setting.ceiling(user) or self._total + units > self.granted:
            return False
        self._total += units
        self._spent[user] = spent + units
        return True

    def counted(self) -> int:
        """The home region's counter."""
        return self._total

    def answer_ms(self, region: int, number: int, now: float) -> float:
        """How long the answer takes: a round trip from elsewhere and the transaction, or the caller's patience."""
        if region and not self.network.open(region, 0, now):
            return 2 * RETRY_MS
        there = self.network.one_way_ms(region, 0, self.rng.random())
        back = self.network.one_way_ms(region, 0, self.rng.random())
        return there + back + 2 * super().answer_ms(region, number, now)


class StaticSplit(Baseline):
    """Every region has its share of every limit, by Cutlass's own split, and nothing ever moves."""

    name = "static_split"

    def __init__(self, scenario: Scenario, seed: int) -> None:
        super().__init__(scenario, seed)
        shares = [grant.split for grant in self.setting.grants.values()]
        self._pools = [sum(split.get(name, 0) for split in shares) for name in scenario.regions]
        self._rights: dict[Key, int] = {}

    def take(self, region: int, user: int, units: int, now: float) -> bool:  # noqa: ARG002 - nothing is late here
        """Take from the region's own shares."""
        key = (region, user)
        rights = self._rights.get(key)
        if rights is None:
            name = self.scenario.regions[region]
            rights = self.setting.share(usual_region(self.scenario, user), name)
        self.books.write_units += 1
        if self._pools[region] < units:
            return False
        self.books.write_units += 1
        if rights < units:
            self.books.write_units += 1  # the first counter is put back
            return False
        self._pools[region] -= units
        self._rights[key] = rights - units
        return True

    def counted(self) -> int:
        """What is gone from the regions' shares."""
        return self.granted - sum(self._pools)


BASELINES: tuple[type[Baseline], ...] = (SharedCounter, PerRegionCounters, HomeRegion, StaticSplit)
