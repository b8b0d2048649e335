"""What happens when a region has too little, as `cutlass.storage.shortages` does it."""

from collections.abc import Generator
from dataclasses import dataclass

from cutlass.domain import rebalancing
from cutlass.domain.allotments import Allotment
from cutlass.domain.decisions import Reason
from cutlass.domain.grants import Grant
from cutlass.domain.refills import Shortage
from cutlass.simulation.rebalancer import Rebalancer
from cutlass.simulation.store import Store
from cutlass.simulation.world import READ_FACTOR, Signal, Step, World

_DRY_MS = 1000.0
"""How long a shortage is believed without asking around again."""

_NOTICE_MS = 25.0
"""Within what time those who wait for another's search notice that it ended, or that a pool got units."""

Key = int | None
"""Whose shortage it is: a user's, or everybody's."""

Answer = Generator[Step, None, Reason | None]


@dataclass(frozen=True, slots=True)
class _Dry:
    """A shortage of so many units met a moment ago, and for how long it is believed."""

    until: float
    units: int
    reason: Reason

    def tells(self, units: int) -> bool:
        """Whether it tells that so many units are short too."""
        return units == self.units or (units > self.units and self.reason is not Reason.REGION_SHORT)


class Shortages:
    """Relieves the shortages of one region; of those that come together, one asks and the others wait."""

    def __init__(self, world: World, store: Store, rebalancer: Rebalancer) -> None:
        self._world = world
        self._store = store
        self._others = [other for other in world.stores if other is not store]
        self._setting = world.setting
        self._rebalancer = rebalancer
        self._dry: dict[Key, _Dry] = {}
        self._searching: dict[Key, Signal] = {}
        store.on_units = self._units_came

    def copies(self, user: int) -> dict[str, Allotment | None]:
        """Find the copies here of a user's allotments in the other regions."""
        world, here = self._world, self._store.number
        found: dict[str, Allotment | None] = {}
        for other in self._others:
            item = other.allotments.get(user)
            found[other.name] = None if item is None else item.copy(here, world.now, world.network)
        return found

    def relieve(self, user: int, base: Allotment, units: int, shortage: Shortage) -> Answer:
        """Get some of what is short from elsewhere; returns None when any may have come, else why not."""
        world = self._world
        grants = self._setting.live(user, world.clock(self._store.number))
        own = any(grant.user_id for grant in grants)
        key = user if shortage.of_user or own else None
        dry = self._dry.get(key)
        if dry and world.now < dry.until and dry.tells(units):
            return dry.reason
        if key in self._searching:
            while key in self._searching:
                yield self._searching[key]
                if not shortage.of_user and self._available(grants) >= units:
                    break
            return None
        self._searching[key] = Signal()
        try:
            reason: Reason | None = yield from self._search(user, base, units, shortage, grants)
        finally:
            world.wake(self._searching.pop(key), _NOTICE_MS)
        if reason is not None:
            self._dry[key] = _Dry(world.now + _DRY_MS, units, reason)
            # Whoever waited for the search does not wait for this.
            if not shortage.of_user and (yield from self._rebalancer.gather(grants, units)):
                self._dry.pop(key, None)
                return None
        return reason

    def _units_came(self) -> None:
        """A pool got units: whoever waits for units looks whether they will do."""
        for signal in self._searching.values():
            self._world.wake(signal, _NOTICE_MS)

    def _search(self, user: int, base: Allotment, units: int, shortage: Shortage, grants: list[Grant]) -> Answer:
        reached = Reason.USER_LIMIT_REACHED if shortage.of_user else Reason.CREDITS_EXHAUSTED
        yield self._world.write_ms() * READ_FACTOR
        came, everywhere = 0, True
        if shortage.of_user:
            if not self._rights_elsewhere(user, base, units, grants):
                return reached
            came, everywhere = yield from self._take_rights(user, base, units)
            grants = [grant for grant in grants if grant.user_id]
        if not came and grants:
            came, answered = yield from self._take_units(base, units, grants)
            everywhere = everywhere and answered
        if came:
            return None
        return reached if everywhere else Reason.REGION_SHORT

    def _take_units(
        self, base: Allotment, units: int, grants: list[Grant]
    ) -> Generator[float, None, tuple[int, bool]]:
        """Get units for this region's pools: from where the copies show plenty, or else from allotments here."""
        rebalancer, now_ms = self._rebalancer, self._world.clock(self._store.number)
        pools = self._store.live_pools(grants, now_ms)
        need = max(1, units - base.available - self._available(grants))
        rate = sum(pool.rate_at(now_ms) for pool in pools)
        there = self._rebalancer.sight(grants).units()
        came, everywhere, pulled = 0, True, False
        if there >= rebalancing.enough(rate, need):
            came, everywhere = yield from rebalancer.pull(grants, need)
            pulled = True
        if not came:
            came = yield from rebalancer.sweep(grants, rebalancing.enough(rate, need))
        if not came and not pulled and there >= need:
            came, everywhere = yield from rebalancer.pull(grants, need)
        return came, everywhere

    def _available(self, grants: list[Grant]) -> int:
        pools = self._store.live_pools(grants, self._world.clock(self._store.number))
        return sum(pool.available for pool in pools)

    def _rights_elsewhere(self, user: int, base: Allotment, units: int, grants: list[Grant]) -> bool:
        """Whether rights of the user's limit may lie in other regions, as far as this region knows."""
        own = self._rebalancer.sight([grant for grant in grants if grant.user_id]).units()
        if base.limit is not None and base.total + units > base.limit + base.extra + own:
            return False
        there = base.unbacked + own
        for region, other in self.copies(user).items():
            if other is None:
                there += self._setting.newborn(user, region).rights
            else:
                there += other.unbacked + other.available
                there += other.sent.get(self._store.name, 0) - base.accepted.get(region, 0)
        return there >= units - base.available

    def _take_rights(self, user: int, base: Allotment, units: int) -> Generator[float, None, tuple[int, bool]]:
        calls = self._rebalancer.calls
        for region, other in self.copies(user).items():
            sent = other.sent.get(self._store.name, 0) if other else 0
            if sent:
                came = yield from calls.accept_rights(user, region, sent)
                if came:
                    return came, True
        need = max(1, units - base.available - base.unbacked)
        return (yield from calls.take_rights(user, need))
