"""Rights that move between regions, as `cutlass.storage.transfers` moves them, over a network that fails."""

from collections.abc import Callable, Generator
from functools import partial
from typing import TypeVar

from cutlass.domain import allotments, rebalancing, transfers
from cutlass.domain.grants import Grant
from cutlass.simulation.store import Store
from cutlass.simulation.world import TRANSACTION_FACTOR, World

TIMEOUT_MS = 2000.0
"""How long an answer is waited for."""

_AWAY_MS = 5000.0
"""How long a region that did not answer is not asked again."""

_STALE_MS = 5000.0
"""How late a message that came twice may come again."""

T = TypeVar("T")

Came = Generator[float, None, int]
Taken = Generator[float, None, tuple[int, bool]]


class Calls:
    """Takes rights from other regions for one region."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self._setting = world.setting
        self.others = {other.name: other for other in world.stores if other is not store}
        self._away: dict[str, float] = {}

    def take_rights(self, user: int, need: int) -> Taken:
        """Take rights of a user's limit until `need` are had; returns what came, and whether all answered."""
        came = 0
        for region in self._reachable():
            if came >= need:
                break
            told = yield from self.call(region, partial(self._send_rights, region, user, need - came))
            if told is None:
                self._away[region] = self._world.now + _AWAY_MS
            else:
                came += yield from self.accept_rights(user, region, told)
        return came, len(self._reachable()) == len(self.others)

    def take_units(self, grant: Grant, region: str, wish: int, need: int) -> Came:
        """Take units of a grant from a region: what both having the same cover makes, up to the wish."""
        came = 0
        if grant.grant_id in self._store.pools and region in self._reachable():
            told = yield from self.call(region, partial(self._send_units, region, grant, wish, need))
            if told is None:
                self._away[region] = self._world.now + _AWAY_MS
            else:
                came = yield from self.accept_units(grant, region, told)
        return came

    def push_units(self, grant: Grant, region: str, units: int) -> Came:
        """Send units of a grant to a region, and tell it; what it is not told it finds in its copy."""
        world, here = self._world, self._store
        pool = here.pools[grant.grant_id].value
        if region not in self._reachable() or pool.available < units:
            return 0
        yield world.write_ms()
        pool = here.pools[grant.grant_id].value
        if pool.available < units:
            return 0
        sent = transfers.send(pool, region, units)
        here.write_pool(sent, world.now)
        there = self.others[region]
        told = yield from self.call(region, partial(self._accept_there, there, grant, sent.sent[region]))
        if told is None:
            self._away[region] = world.now + _AWAY_MS
        return units

    def answers(self, region: str) -> bool:
        """Whether a region answered lately."""
        return region in self._reachable()

    def all_answer(self) -> bool:
        """Whether every other region answered lately."""
        return len(self._reachable()) == len(self.others)

    def accept_rights(self, user: int, origin: str, cumulative: int) -> Came:
        """Count in, once, the rights another region has ever sent; returns how many are new."""
        yield self._world.write_ms()
        return self._twice(partial(self._accept_rights, user, origin, cumulative))

    def accept_units(self, grant: Grant, origin: str, cumulative: int) -> Came:
        """Count in, once, the units another region has ever sent; returns how many are new."""
        yield self._world.write_ms()
        return self._twice(partial(self._accept_into, self._store, grant, origin, cumulative))

    def _accept_rights(self, user: int, origin: str, cumulative: int) -> int:
        met = self._store.allotments[user].value
        new = transfers.accept_rights(met, origin, cumulative)
        if new == met:
            return 0
        self._store.write(user, new, self._world.now)
        return new.unbacked - met.unbacked

    def _accept_into(self, store: Store, grant: Grant, origin: str, cumulative: int) -> int:
        met = store.pools[grant.grant_id].value
        new = transfers.accept(met, origin, cumulative)
        if new == met:
            return 0
        store.write_pool(new, self._world.now)
        return new.available - met.available

    def _twice(self, accept: Callable[[], int]) -> int:
        """Accept a number; at times the same number comes again later, behind newer ones."""
        if self._world.chance(self._world.scenario.duplicated):
            self._world.later(self._world.rng.random() * _STALE_MS, partial(self._again, accept))
        return accept()

    def _again(self, accept: Callable[[], int]) -> None:
        if self._world.up(self._store.number):
            accept()

    def _reachable(self) -> list[str]:
        return [name for name in self.others if self._away.get(name, 0.0) <= self._world.now]

    def call(self, region: str, work: Callable[[], T]) -> Generator[float, None, T | None]:
        """Make a write in another region; None if no answer came, although it may have happened."""
        world, here, there = self._world, self._store.number, self.others[region].number
        world.messages += 1
        started, lost = world.now, world.scenario.lost
        answer: T | None = None
        if not world.chance(lost) and world.network.open(here, there, world.now):
            yield world.network.one_way_ms(here, there, world.rng.random())
            if world.network.open(here, there, world.now):
                answer = work()
                if world.chance(world.scenario.duplicated):
                    answer = work()
                yield world.write_ms() * TRANSACTION_FACTOR  # a read, then a write
                yield world.network.one_way_ms(here, there, world.rng.random())
                if world.chance(lost) or not world.network.open(here, there, world.now):
                    answer = None
        if answer is None:
            yield max(0.0, started + TIMEOUT_MS - world.now)
        return answer

    def _send_rights(self, region: str, user: int, need: int) -> int:
        """What the other region's allotment has sent here altogether, after it sent what it can spare."""
        there, here, now = self.others[region], self._store.name, self._world.now
        met = there.allotment(user)
        if met is None:
            newborn = self._setting.newborn(user, region)
            units = transfers.to_send(newborn.unbacked, need, idle=True)
            there.write_units += 2  # the allotment, and its line in the roster
            there.bear_allotment(user, transfers.send_rights(newborn, here, units), now)
            return units
        asleep = transfers.idle(met, self._world.clock(self._store.number))
        if met.unbacked < need and met.available:
            there.give_back({user: (met, allotments.release(met))}, now)
            met = there.allotments[user].value
        units = transfers.to_send(met.unbacked, need, idle=asleep)
        if units:
            met = transfers.send_rights(met, here, units)
            there.write(user, met, now)
        return met.sent.get(here, 0)

    def _send_units(self, region: str, grant: Grant, wish: int, need: int) -> int:
        """What the other region's pool has sent here altogether, after it sent what it can spare."""
        there, here, now = self.others[region], self._store.name, self._world.now
        now_ms = self._world.clock(self._store.number)
        met = there.bear_pool(grant, self._setting.numbers[grant.grant_id], now)
        mine = rebalancing.stock(self._store.pools[grant.grant_id].value, now_ms)
        fair = rebalancing.to_give(rebalancing.stock(met, now_ms), mine, need)
        units = min(fair, max(wish, need))
        if units:
            met = transfers.send(met, here, units)
            there.write_pool(met, now)
        return met.sent.get(here, 0)

    def _accept_there(self, there: Store, grant: Grant, cumulative: int) -> int:
        there.bear_pool(grant, self._setting.numbers[grant.grant_id], self._world.now)
        return self._twice(partial(self._accept_into, there, grant, self._store.name, cumulative))
