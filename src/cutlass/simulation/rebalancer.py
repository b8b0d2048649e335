"""Units that move ahead of need and at a shortage, as `cutlass.storage.rebalancer` moves them."""

from collections.abc import Generator, Iterable
from functools import partial

from cutlass.domain import rebalancing
from cutlass.domain.grants import Grant
from cutlass.domain.plans import MAX_UNITS
from cutlass.domain.pools import Pool
from cutlass.domain.sights import Sight
from cutlass.simulation.calls import Calls, Taken
from cutlass.simulation.store import Store
from cutlass.simulation.sweeps import PAGES, READ_TOGETHER, Found, Sweep, batches
from cutlass.simulation.world import READ_FACTOR, TRANSACTION_FACTOR, Wait, World

STREAM_MS = (500.0, 1000.0)
"""How long the stream takes to tell the rebalancer of a pool that gets short."""

CLAIMS, CLAIM_WAIT_MS = 4, 300.0
"""How often and after how long a claim to sweep is tried again, where somebody would be refused without."""

TICK_MS = 60_000.0
"""How often the rebalancer looks by itself."""

Came = Generator[float, None, int]


class Rebalancer:
    """Moves units between the pools of one region, its allotments and the other regions."""

    def __init__(self, world: World, store: Store) -> None:
        self._world = world
        self._store = store
        self._others = [other for other in world.stores if other is not store]
        self._setting = world.setting
        self.calls = Calls(world, store)
        self._told: set[str] = set()
        self._pause: dict[str, tuple[float, int]] = {}
        self._cursors: dict[str, int] = {}
        self._fruitless: dict[bool, tuple[float, int]] = {False: (0.0, 0), True: (0.0, 0)}
        self._gathered: tuple[float, int] = (0.0, 0)
        world.later(TICK_MS * (0.5 + world.rng.random()), self._tick)

    # --- what the stream and the schedule start -------------------------------------------------------

    def drawn(self, grant_id: str) -> None:
        """A refill has drawn from a pool: the stream tells, a moment later."""
        world = self._world
        pool = self._store.pools[grant_id].value
        if grant_id in self._told or pool.cover_ms(world.clock(self._store.number)) >= rebalancing.PULL_MS:
            return
        if self._pause.get(grant_id, (0.0, 0))[0] > world.now:
            return
        self._told.add(grant_id)
        least, most = STREAM_MS
        world.later(least + (most - least) * world.rng.random(), partial(self._start, grant_id))

    def _start(self, grant_id: str) -> None:
        self._told.discard(grant_id)
        if self._world.up(self._store.number):
            self._run(self._pull_ahead(grant_id))

    def _tick(self) -> None:
        if self._world.up(self._store.number):
            self._run(self._push_all())
        self._world.later(TICK_MS, self._tick)

    def _run(self, steps: Wait) -> None:
        self._world.start(self._store.number, steps, lambda _came: None, lambda: None)

    def _pull_ahead(self, grant_id: str) -> Came:
        """Even out what the regions have of a grant before this one is short."""
        world, here = self._world, self._store
        yield world.write_ms() * READ_FACTOR
        now_ms = world.clock(here.number)
        grant, pool = self._setting.grants[grant_id], here.pools[grant_id].value
        asked = (
            rebalancing.pulls_ahead(pool, self.sight([grant]).stocks(grant.grant_id, now_ms), now_ms)
            if pool.live(now_ms)
            else {}
        )
        came = 0
        for region, units in asked.items():
            came += yield from self.calls.take_units(grant, region, units, 0)
        pool = here.pools[grant_id].value
        if pool.cover_ms(now_ms) < rebalancing.SCARCE_MS and pool.live(now_ms):
            came += yield from self.sweep([grant], MAX_UNITS, only_idle=True)
            came += yield from self.gather([grant], 0)
            asked = asked or {here.name: 0}
        if asked:
            pause = 0 if came else rebalancing.next_pause(self._pause.get(grant_id, (0.0, 0))[1])
            self._pause[grant_id] = (world.now + pause, pause)
        return came

    def _push_all(self) -> Came:
        """Send to regions whose pools last less, and take in what was sent here."""
        came = 0
        for grant_id in list(self._store.pools):
            grant = self._setting.grants[grant_id]
            came += yield from self.accept_sent(grant)
            yield from self._push(grant)
        return came

    def _push(self, grant: Grant) -> Came:
        """Send what this region has of a grant beyond its share to regions whose pools last less."""
        world, here = self._world, self._store
        yield world.write_ms() * READ_FACTOR
        now_ms, pool, went = world.clock(here.number), here.pools[grant.grant_id].value, 0
        if pool.live(now_ms):
            sent = rebalancing.to_push(
                rebalancing.stock(pool, now_ms), self.sight([grant]).stocks(grant.grant_id, now_ms)
            )
            for region, units in sent.items():
                went += yield from self.calls.push_units(grant, region, units)
        return went

    # --- at a shortage --------------------------------------------------------------------------------

    def sight(self, grants: Iterable[Grant]) -> Sight:
        """What this region sees of some grants: its pools, and its copies of the others'."""
        here, chosen = self._store, {grant.grant_id: grant for grant in grants}
        own = {grant_id: here.pools[grant_id].value for grant_id in chosen if grant_id in here.pools}
        others = {other.name: self._copies(other, chosen) for other in self._others}
        return Sight(here.name, chosen, own, others)

    def _copies(self, other: Store, grants: Iterable[str]) -> dict[str, Pool]:
        world, here = self._world, self._store.number
        items = {grant_id: other.pools[grant_id] for grant_id in grants if grant_id in other.pools}
        copies = {grant_id: item.copy(here, world.now, world.network) for grant_id, item in items.items()}
        return {grant_id: pool for grant_id, pool in copies.items() if pool is not None}

    def accept_sent(self, grant: Grant) -> Came:
        """Take in what the copies of the other regions' pools show to be sent here."""
        came = 0
        for region, cumulative in self.sight([grant]).sent_here(grant.grant_id).items():
            came += yield from self.calls.accept_units(grant, region, cumulative)
        return came

    def pull(self, grants: list[Grant], need: int) -> Taken:
        """Get units of some grants from other regions; returns what came, and whether all answered."""
        world, here, came = self._world, self._store, 0
        for grant in grants:
            came += yield from self.accept_sent(grant)
        if came:
            return came, True
        for grant in grants:
            if came >= need or grant.grant_id not in here.pools:
                continue
            now_ms = world.clock(here.number)
            own = rebalancing.stock(here.pools[grant.grant_id].value, now_ms)
            others = self.sight([grant]).stocks(grant.grant_id, now_ms)
            asked = rebalancing.to_pull(own, others, need - came)
            order = [*asked, *(region for region in others if region not in asked)]
            for region in order:
                if came >= need and region not in asked:
                    break
                came += yield from self.calls.take_units(
                    grant, region, asked.get(region, need - came), max(0, need - came)
                )
        return came, self.calls.all_answer()

    def sweep(self, grants: list[Grant], enough: int, *, only_idle: bool = False) -> Came:
        """Take back what allotments here hold, until enough came; 0 also if another process does it now."""
        world, here = self._world, self._store
        now_ms = world.clock(here.number)
        until, pause = self._fruitless[only_idle]
        if world.now < until:
            return 0
        sweep = Sweep(here, self._cursors.get(here.name, 0))
        for claimed in range(CLAIMS):
            yield world.write_ms()
            now_ms = world.clock(here.number)
            if sweep.claim(grants, now_ms, world.now, only_idle=only_idle):
                break
            if only_idle or claimed + 1 == CLAIMS:
                return 0
            yield CLAIM_WAIT_MS
            if sum(pool.available for pool in here.live_pools(grants, now_ms)) >= enough:
                return enough
        came = yield from self._empty(sweep, enough, now_ms, only_idle=only_idle)
        pause = 0 if came else rebalancing.next_pause(pause)
        self._fruitless[only_idle] = (world.now + pause, pause)
        for grant in grants if came and not only_idle else []:
            yield from self._push(grant)  # the others may be as short
        return came

    def _empty(self, sweep: Sweep, enough: int, now_ms: int, *, only_idle: bool) -> Came:
        """Read on and empty allotments here until enough came, or the last one of the region was read."""
        world, came = self._world, 0
        for _ in range(PAGES):
            yield world.write_ms() * READ_FACTOR
            found = sweep.look()
            self._cursors[self._store.name] = sweep.cursor
            yield world.write_ms() * READ_FACTOR * (1 + len(found) // READ_TOGETHER)
            for batch in batches(found, now_ms, only_idle=only_idle):
                yield world.write_ms() * TRANSACTION_FACTOR
                came += sweep.take(batch, world.now)
                if came >= enough:
                    return came
            if not sweep.cursor:
                break
        return came

    def gather(self, grants: list[Grant], need: int) -> Came:
        """Have idle users of other regions give back what they hold there; returns what came here."""
        until, pause = self._gathered
        if self._world.now < until:
            return 0
        came = 0
        for other in self._others:
            if not self.calls.answers(other.name):
                continue
            freed = yield from self.sweep_there(grants, other.name, MAX_UNITS)
            for grant in grants if freed else []:
                came += yield from self.calls.take_units(grant, other.name, freed, need)
        pause = 0 if came else rebalancing.next_pause(pause)
        self._gathered = (self._world.now + pause, pause)
        return came

    def sweep_there(self, grants: list[Grant], region: str, enough: int) -> Came:
        """Have idle users of another region give back what they hold there, at that region's store."""
        world, came = self._world, 0
        now_ms = world.clock(self._store.number)
        sweep = Sweep(self.calls.others[region], self._cursors.get(region, 0))
        if not (yield from self.calls.call(region, partial(self._claim_there, sweep, grants))):
            return 0
        found = yield from self.calls.call(region, sweep.look)
        self._cursors[region] = sweep.cursor
        for _ in range(0, len(found or []), READ_TOGETHER):  # the roster, then the allotments
            yield from self.calls.call(region, lambda: 0)
        for batch in batches(found or [], now_ms, only_idle=True):
            told = yield from self.calls.call(region, partial(self._take_there, sweep, batch))
            came += told or 0
            if told is None or came >= enough:
                break
        return came

    def _claim_there(self, sweep: Sweep, grants: list[Grant]) -> bool:
        return sweep.claim(grants, self._world.clock(self._store.number), self._world.now, only_idle=True)

    def _take_there(self, sweep: Sweep, batch: Found) -> int:
        return sweep.take(batch, self._world.now)
