"""What happens when an allotment cannot answer by itself, as `cutlass.storage.supply` and `.shortages` do it.

The rules are called through their modules, so that a test may break one of them.
"""

from collections.abc import Generator
from dataclasses import replace

from cutlass.domain import allotments, refills
from cutlass.domain.allotments import Allotment
from cutlass.domain.decisions import Reason
from cutlass.domain.grants import Category, Grant
from cutlass.domain.plans import MAX_UNITS
from cutlass.domain.refills import Draw, Shortage
from cutlass.simulation.calls import Calls
from cutlass.simulation.store import Store
from cutlass.simulation.world import READ_FACTOR, TRANSACTION_FACTOR, World

_DRY_MS = 1000.0
"""How long a shortage is believed without minting and asking around again."""

Answer = Generator[float, None, Reason | None]


class Supply:
    """Supplies the allotments of one region."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self._others = [other for other in world.stores if other is not store]
        self._setting = world.setting
        self._calls = Calls(world, store)
        self._dry: dict[tuple[int, int], tuple[float, Reason]] = {}

    def supply(self, user: int, units: int, met: Allotment | None) -> Answer:
        """Bring an allotment to where it can answer; returns why it cannot, or None: look again."""
        world, store = self._world, self._store
        now_ms = world.clock(store.number)
        if met is not None and met.until_ms <= now_ms:
            settled = allotments.settle(met, now_ms).allotment
            yield world.write_ms()
            store.change(user, met, settled, world.now)
            return None
        base = met or self._setting.newborn(user, store.name)
        yield world.write_ms() * READ_FACTOR
        if met is not None and met.available >= units:
            return None
        base, headroom = self._with_others(user, base)
        draws = self._plan(user, base, units, headroom)
        if isinstance(draws, Shortage):
            if met is not None:
                return (yield from self._relieve(user, base, units, draws))
            draws = ()  # rights from elsewhere need an allotment to come to
        else:
            self._dry.pop((user, units), None)
        filled = refills.refill(base, draws, world.clock(store.number))
        yield world.write_ms() * TRANSACTION_FACTOR
        store.draw(user, met, filled, draws, world.now)
        return None

    def _with_others(self, user: int, base: Allotment) -> tuple[Allotment, int]:
        others = [other for other in self._copies(user).values() if other is not None]
        total = base.used + sum(other.used for other in others)
        base = base if base.total == total else replace(base, total=total)
        if base.limit is None:
            return base, MAX_UNITS
        own = base.extra + sum(other.extra for other in others)
        return base, max(0, base.limit + own - base.total - base.available)

    def _copies(self, user: int) -> dict[str, Allotment | None]:
        world, here = self._world, self._store.number
        found: dict[str, Allotment | None] = {}
        for other in self._others:
            item = other.allotments.get(user)
            found[other.name] = None if item is None else item.copy(here, world.now, world.network)
        return found

    def _live(self, user: int) -> list[Grant]:
        return self._setting.live(user, self._world.clock(self._store.number))

    def _plan(self, user: int, base: Allotment, units: int, headroom: int) -> tuple[Draw, ...] | Shortage:
        now_ms, grants = self._world.clock(self._store.number), self._live(user)
        pools = self._store.live_pools(grants, now_ms)
        draws = refills.plan_refill(base, pools, units, now_ms, headroom=headroom)
        opened = any(pool.category is Category.PLAN for pool in pools)
        if (isinstance(draws, Shortage) or not opened) and self._believed_dry(user, units) is None:
            for grant in grants:
                self._store.bear_pool(grant, self._setting.numbers[grant.grant_id], self._world.now)
            pools = self._store.live_pools(grants, now_ms)
            draws = refills.plan_refill(base, pools, units, now_ms, headroom=headroom)
        return draws

    def _believed_dry(self, user: int, units: int) -> Reason | None:
        until, reason = self._dry.get((user, units), (0.0, None))
        return reason if self._world.now < until else None

    def _relieve(self, user: int, base: Allotment, units: int, shortage: Shortage) -> Answer:
        reason = self._believed_dry(user, units)
        if reason is None:
            reason = yield from self._ask_around(user, base, units, shortage)
            if reason is not None:
                self._dry[user, units] = (self._world.now + _DRY_MS, reason)
        return reason

    def _ask_around(self, user: int, base: Allotment, units: int, shortage: Shortage) -> Answer:
        reached = Reason.USER_LIMIT_REACHED if shortage.of_user else Reason.CREDITS_EXHAUSTED
        yield self._world.write_ms() * READ_FACTOR
        if not self._elsewhere(user, base, units, shortage):
            return reached
        grants = self._live(user)
        units_new, everywhere = 0, True
        if shortage.of_user:
            units_new, everywhere = yield from self._take_rights(user, base, units)
            grants = [grant for grant in grants if grant.user_id]
        if not units_new:
            units_new, answered = yield from self._take_units(base, units, grants)
            everywhere = everywhere and answered
        if units_new:
            return None
        return reached if everywhere else Reason.REGION_SHORT

    def _elsewhere(self, user: int, base: Allotment, units: int, shortage: Shortage) -> bool:
        """Whether enough may lie in other regions, as far as this region knows."""
        grants = self._live(user)
        if not shortage.of_user:
            return self._units_anywhere(grants) >= units - base.available
        own = self._units_anywhere([grant for grant in grants if grant.user_id])
        if base.limit is not None and base.total + units > base.limit + base.extra + own:
            return False
        there = base.unbacked + own
        for region, other in self._copies(user).items():
            if other is None:
                there += self._setting.newborn(user, region).rights
            else:
                there += other.unbacked + other.available
                there += other.sent.get(self._store.name, 0) - base.accepted.get(region, 0)
        return there >= units - base.available

    def _units_anywhere(self, grants: list[Grant]) -> int:
        """Units left in all regions' pools, as far as this region knows; a pool it does not see is full."""
        world, here = self._world, self._store
        units = sum(pool.available for pool in here.live_pools(grants, world.clock(here.number)))
        for other in self._others:
            for grant in grants:
                item, mine = other.pools.get(grant.grant_id), here.pools.get(grant.grant_id)
                accepted = mine.value.accepted.get(other.name, 0) if mine else 0
                pool = None if item is None else item.copy(here.number, world.now, world.network)
                if pool is None:
                    units += grant.split.get(other.name, 0) - accepted
                else:
                    units += pool.available + (pool.sent.get(here.name, 0) - accepted if mine else 0)
        return units

    def _take_rights(self, user: int, base: Allotment, units: int) -> Generator[float, None, tuple[int, bool]]:
        for region, other in self._copies(user).items():
            sent = other.sent.get(self._store.name, 0) if other else 0
            if sent:
                came = yield from self._calls.accept_rights(user, region, sent)
                if came:
                    return came, True
        need = max(1, units - base.available - base.unbacked)
        return (yield from self._calls.take_rights(user, need))

    def _take_units(
        self, base: Allotment, units: int, grants: list[Grant]
    ) -> Generator[float, None, tuple[int, bool]]:
        world, here = self._world, self._store
        for other in self._others:
            for grant in grants:
                item = other.pools.get(grant.grant_id)
                pool = None if item is None else item.copy(here.number, world.now, world.network)
                sent = pool.sent.get(here.name, 0) if pool else 0
                if sent and grant.grant_id in here.pools:
                    came = yield from self._calls.accept_units(grant, other.name, sent)
                    if came:
                        return came, True
        held = sum(pool.available for pool in here.live_pools(grants, world.clock(here.number)))
        return (yield from self._calls.take_units(grants, max(1, units - base.available - held)))
