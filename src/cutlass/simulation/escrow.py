"""Cutlass itself: the workload decided by the production rules in every region, callers that ask again."""

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from cutlass.domain import allotments
from cutlass.domain.allotments import RING_TRIM_AT, Allotment, Spend, Verdict
from cutlass.domain.ids import RequestIdentity
from cutlass.simulation.outcome import Books
from cutlass.simulation.scenarios import Scenario
from cutlass.simulation.setting import FEATURE, START_MS
from cutlass.simulation.store import ITEM_UNITS, Store
from cutlass.simulation.supply import Supply
from cutlass.simulation.workload import Arrival, workload
from cutlass.simulation.world import READ_FACTOR, Wait, World

_ATTEMPTS = 64
"""Looks at an allotment before a decision gives up, as in `cutlass.storage.decider`."""

RETRY_MS = 1000.0
"""After how long a caller without an answer asks again; a region that is gone answers with that delay too."""

FAR = 0.9
"""The share of the grants up to which a run is far from the limit."""

HEALTH_MS = 5000.0
"""How long callers still try a region that is gone."""

_MOST_RETRIES = 8


@dataclass(slots=True, eq=False)
class Request:
    """One request of a caller, who keeps its id until there is an answer; `due` ones should be allowed."""

    number: int
    user: int
    units: int
    region: int
    started: float
    identity: RequestIdentity
    due: bool
    retries: int = 0
    answered: bool = False


@dataclass(slots=True)
class Journal:
    """Every charge by region and request, kept outside of what is tested."""

    charges: dict[tuple[int, int], float] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)
    units: int = 0
    elsewhere: int = 0


class Escrow:
    """One run of a scenario by the production rules."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.world = World(scenario, seed)
        self.network = self.world.network
        self.setting = self.world.setting
        self.scenario = scenario
        self.books = Books(self.setting)
        self.journal = Journal()
        self.unanswered = 0
        self.wrong: list[str] = []
        self._supplies = [Supply(self.world, store) for store in self.world.stores]
        self._rev = self.setting.organisation.rev
        self._crowded: list[set[int]] = [set() for _ in self.world.stores]
        self._recorded = [-1.0 for _ in self.world.stores]
        self._seed = seed
        self._open = 0
        self._marks: list[tuple[int, int]] = []

    def run(
        self,
        *,
        audit: Callable[["Escrow"], None] | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Let the whole workload happen; `audit` is called at random moments and at the end."""
        world = self.world
        for store in world.stores:
            world.later(self.scenario.meter_ms, partial(self._meter, store))
        if audit:
            for _ in range(self.scenario.audits):
                world.later(world.rng.random() * self.scenario.span_ms, partial(audit, self))
        granted = self.setting.granted
        thresholds = (math.ceil(granted * FAR), granted, math.inf)
        for arrival in self._arrivals(progress):
            while world.advance(arrival[0]):
                pass
            world.now = arrival[0]
            self._ask(self._request(arrival))
            if self.books.ideal.units >= thresholds[len(self._marks)]:
                self._mark()
        while self._open and world.advance():
            pass
        self.books.write_units = sum(store.write_units for store in world.stores)
        self.books.messages = world.messages
        if audit:
            audit(self)

    def _arrivals(self, progress: Callable[[int], None] | None) -> Iterator[Arrival]:
        for arrival in workload(self.scenario, self._seed):
            if progress and arrival[1] % 10_000 == 0:
                progress(arrival[1])
            yield arrival

    def _mark(self) -> None:
        """Note what was written and allowed by now."""
        self._marks.append((sum(store.write_units for store in self.world.stores), self.books.units))

    def phases(self) -> tuple[float | None, float | None]:
        """Write units per unit allowed while far from the limit, and in its last tenth; None if not reached."""
        marks = [(0, 0), *self._marks]
        costs = [
            (after[0] - before[0]) / max(1, after[1] - before[1]) for before, after in itertools.pairwise(marks)
        ]
        far, last = [*costs, None, None][:2]
        return far, last

    # --- callers --------------------------------------------------------------------------------------

    def _request(self, arrival: Arrival) -> Request:
        at, number, user, region, units = arrival
        skew = self.scenario.client_skew_ms
        time_ms = START_MS + int(at) + (self.world.rng.randint(-skew, skew) if skew else 0)
        self._open += 1
        due = self.books.ask(user, units)
        identity = RequestIdentity(f"request-{number}", time_ms, 0)
        request = Request(number, user, units, region, at, identity, due)
        if self.world.chance(self.scenario.duplicated):
            self.world.later(self.world.rng.random() * 4 * RETRY_MS, partial(self._send, request, region))
        return request

    def _ask(self, request: Request) -> None:
        """Send a request to its region or, if that is known to be gone, to the next one."""
        world, region = self.world, request.region
        if world.up(region):
            self._send(request, region)
        elif world.now - self.network.down_since(region, world.now) < HEALTH_MS:
            world.later(RETRY_MS, partial(self._retry, request))
        else:
            there = [other.number for other in world.stores if world.up(other.number)]
            if there:
                self._send(request, there[0])
            else:
                world.later(RETRY_MS, partial(self._retry, request))

    def _retry(self, request: Request) -> None:
        if request.answered:
            return
        request.retries += 1
        if request.retries > _MOST_RETRIES:
            self.unanswered += 1
            self._close(request, allowed=request.number in self.journal.numbers)
        else:
            self._ask(request)

    def _answer(self, request: Request, region: int, delay: float, *, allowed: bool) -> None:
        """Bring an answer to the caller after `delay` milliseconds, unless it is lost on the way."""
        world = self.world
        if request.answered:
            return
        if region != request.region:
            delay += 2 * self.network.one_way_ms(region, request.region, 0.0)
        gone = self.network.fails_within(region, world.now, world.now + delay)
        if gone or world.chance(self.scenario.lost):
            world.later(RETRY_MS, partial(self._retry, request))
            return
        self.books.latencies.add(world.now + delay - request.started)
        self._close(request, allowed=allowed)

    def _close(self, request: Request, *, allowed: bool) -> None:
        request.answered = True
        self._open -= 1
        if not allowed:
            self.books.refuse(due=request.due)

    # --- decisions ------------------------------------------------------------------------------------

    def _send(self, request: Request, region: int) -> None:
        """Hand a request to a region: mostly one write decides it, else a process that takes its time."""
        world = self.world
        if not world.up(region):
            return
        store = world.stores[region]
        spend = self._spend(store, request, None)
        verdict, met = self._consume(store, request, spend)
        if verdict is Verdict.TAKEN:
            self._answer(request, region, world.write_ms(), allowed=True)
            return
        world.start(
            region,
            self._decide(store, request, verdict, met),
            lambda allowed: self._answer(request, region, 0.0, allowed=allowed),
            lambda: world.later(RETRY_MS, partial(self._retry, request)),
        )

    def _spend(self, store: Store, request: Request, fence: int | None) -> Spend:
        now_ms = self.world.clock(store.number)
        return Spend(request.identity, FEATURE, request.units, self._rev, now_ms, fence)

    def _consume(self, store: Store, request: Request, spend: Spend) -> tuple[Verdict, Allotment | None]:
        """The decision's one conditional write."""
        store.write_units += ITEM_UNITS
        item = store.allotments.get(request.user)
        if item is None:
            return Verdict.SHORT, None
        met = item.value
        verdict = allotments.judge(met, spend)
        if verdict is Verdict.TAKEN:
            new = allotments.consume(met, spend)
            item.write(new, self.world.now, self.network)
            self._charged(store, request)
            if self.scenario.credits and any(c.expires_ms <= spend.now_ms for c, _ in allotments.unspent(met)):
                self.wrong.append(f"request {request.number} was charged past the end of what its user held")
            if len(new.ring) > RING_TRIM_AT:
                self._crowded[store.number].add(request.user)
        return verdict, met

    def _charged(self, store: Store, request: Request) -> None:
        journal, books = self.journal, self.books
        if not self.scenario.faulty:
            journal.units += request.units
            books.allow(request.user, request.units)
            return
        key = (store.number, request.number)
        if key not in journal.charges:
            journal.charges[key] = self.world.now
            journal.units += request.units
        books.allow(request.user, request.units)
        if request.number in journal.numbers:
            books.allowed -= 1
            journal.elsewhere += 1
        journal.numbers.add(request.number)

    def _decide(self, store: Store, request: Request, verdict: Verdict, met: Allotment | None) -> Wait:
        """Decide a request whose first write did not: the loop of `cutlass.storage.decider`."""
        world, fence = self.world, None
        yield world.write_ms()
        for attempt in range(_ATTEMPTS):
            if attempt:
                verdict, met = self._consume(store, request, self._spend(store, request, fence))
                yield world.write_ms()
            if verdict is Verdict.TAKEN or verdict is Verdict.REPEATED:
                return True
            if verdict is Verdict.LATE and met is not None:
                yield world.write_ms() * READ_FACTOR
                if self._in_ledger(store, request):
                    return True
                fence = met.trims
                continue
            reason = yield from self._supplies[store.number].supply(request.user, request.units, met)
            if reason is not None:
                now, item = world.now, store.allotments[request.user]
                spend = self._spend(store, request, None)
                store.write(request.user, allotments.refuse(item.value, spend, str(reason)), now)
                yield world.write_ms()
                return False
            if attempt >= 2:  # others are at the same allotment: let them finish
                yield world.rng.random() * 2 * min(attempt, 16)
        self.wrong.append(f"request {request.number} got no answer after {_ATTEMPTS} looks at its allotment")
        return False

    # --- the stream's consumer ------------------------------------------------------------------------

    def _in_ledger(self, store: Store, request: Request) -> bool:
        charged = self.journal.charges.get((store.number, request.number))
        return charged is not None and charged <= self._recorded[store.number]

    def _meter(self, store: Store) -> None:
        """Read the stream up to now; what it says is in the ledger a moment later."""
        world, number = self.world, store.number
        if not world.up(number):
            world.later(self.scenario.meter_ms, partial(self._meter, store))
            return
        images = [(user, store.allotments[user].value) for user in sorted(self._crowded[number])]
        self._crowded[number].clear()
        delay = self.scenario.meter_ms * world.rng.random() / 2
        world.later(delay, partial(self._record, store, world.now, images))

    def _record(self, store: Store, upto: float, images: list[tuple[int, Allotment]]) -> None:
        """Put decisions into the ledger, then drop their marks from the rings: the order matters."""
        world, number = self.world, store.number
        if world.up(number):
            self._recorded[number] = max(self._recorded[number], upto)
            for user, image in images:
                self._trim(store, user, image)
        else:
            self._crowded[number].update(user for user, _ in images)
        world.later(self.scenario.meter_ms, partial(self._meter, store))

    def _trim(self, store: Store, user: int, image: Allotment) -> None:
        now = store.allotments[user].value
        chosen = allotments.trim(image.ring, image.mark_ms, self.world.clock(store.number))
        if chosen is None or now.trims != image.trims:
            return
        ring = now.ring - chosen.marks
        store.write(user, replace(now, ring=ring, mark_ms=chosen.mark_ms, trims=now.trims + 1), self.world.now)
        if len(ring) > RING_TRIM_AT:
            self._crowded[store.number].add(user)
