"""What happens when an allotment cannot answer by itself, as `cutlass.storage.supply` does it.

The rules are called through their modules, so that a test may break one of them.
"""

from collections.abc import Generator
from dataclasses import replace

from cutlass.domain import allotments, refills
from cutlass.domain.allotments import Allotment
from cutlass.domain.decisions import Reason
from cutlass.domain.grants import Category
from cutlass.domain.plans import MAX_UNITS
from cutlass.domain.refills import Draw, Shortage
from cutlass.simulation.rebalancer import Rebalancer
from cutlass.simulation.shortages import Shortages
from cutlass.simulation.store import Store
from cutlass.simulation.world import READ_FACTOR, TRANSACTION_FACTOR, Step, World

_RACES = 16
"""Plans made for one shortage before the decision looks at its allotment again."""

Answer = Generator[Step, None, Reason | None]


class Supply:
    """Supplies the allotments of one region."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self._others = [other for other in world.stores if other is not store]
        self._setting = world.setting
        self.rebalancer = Rebalancer(world, store)
        self._shortages = Shortages(world, store, self.rebalancer)

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
        for _ in range(_RACES):
            draws = self._plan(user, base, units, headroom)
            if not isinstance(draws, Shortage):
                yield from self._draw(user, met, base, draws)
                return None
            if met is None:
                yield from self._draw(user, None, base, ())  # rights from elsewhere need an allotment to come to
                return None
            reason = yield from self._shortages.relieve(user, base, units, draws)
            if reason is not None or draws.of_user:
                return reason
        return None

    def _draw(self, user: int, met: Allotment | None, base: Allotment, draws: tuple[Draw, ...]) -> Answer:
        """Move units from pools into the allotment, all or nothing; a lost race leaves everything as it was."""
        world, store = self._world, self._store
        filled = refills.refill(base, draws, world.clock(store.number))
        yield world.write_ms() * TRANSACTION_FACTOR
        if store.draw(user, met, filled, draws, world.now):
            for draw in draws:
                self.rebalancer.drawn(draw.pool.grant_id)
        return None

    def _with_others(self, user: int, base: Allotment) -> tuple[Allotment, int]:
        others = [other for other in self._shortages.copies(user).values() if other is not None]
        total = base.used + sum(other.used for other in others)
        base = base if base.total == total else replace(base, total=total)
        if base.limit is None:
            return base, MAX_UNITS
        own = base.extra + sum(other.extra for other in others)
        return base, max(0, base.limit + own - base.total - base.available)

    def _plan(self, user: int, base: Allotment, units: int, headroom: int) -> tuple[Draw, ...] | Shortage:
        now_ms = self._world.clock(self._store.number)
        grants = self._setting.live(user, now_ms)
        pools = self._store.live_pools(grants, now_ms)
        draws = refills.plan_refill(base, pools, units, now_ms, headroom=headroom)
        opened = any(pool.category is Category.PLAN for pool in pools)
        if isinstance(draws, Shortage) or not opened:
            for grant in grants:
                self._store.bear_pool(grant, self._setting.numbers[grant.grant_id], self._world.now)
            pools = self._store.live_pools(grants, now_ms)
            draws = refills.plan_refill(base, pools, units, now_ms, headroom=headroom)
        return draws
