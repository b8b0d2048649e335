"""Reservations beside each other, the sweeper, decisions, and lost answers: ended once, and nothing is lost."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from cutlass.domain.decisions import DecisionRequest, Reason
from cutlass.domain.errors import (
    ConflictError,
    CutlassError,
    NotFoundError,
    ReservationExpiredError,
    UnavailableError,
)
from cutlass.domain.organisations import Status
from cutlass.domain.reservations import State
from cutlass.functions import reservation_sweeper
from cutlass.storage import Store, keys
from tests.integration.test_reservations import commit, sweep
from tests.support.faults import CrashError, Faults
from tests.support.world import World


def test_the_sweeper_goes_on_past_one_it_cannot_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.found(requests=100)
    world.pass_time(days=3)
    sweep(world)
    stuck, other = world.reserve(units=10, ttl_seconds=1), world.reserve(units=10, ttl_seconds=2)
    world.pass_time(seconds=3)
    store = world.stores["london"]
    key = keys.reservation("london", stuck.reservation.name)
    item = store.dynamo.get(store.allotments.table, *key)
    store.dynamo.delete(store.allotments.table, *key)
    monkeypatch.setattr(reservation_sweeper, "open_store", lambda: store)
    with pytest.raises(NotFoundError, match=stuck.reservation.name):
        reservation_sweeper.handler({}, None)
    assert [one.state for one in world.reservations()] == [State.EXPIRED]
    assert item is not None
    store.dynamo.put(store.allotments.table, item)
    reservation_sweeper.handler({}, None)
    assert [one.state for one in world.reservations()] == [State.EXPIRED] * 2
    assert other.reservation.units == 10
    assert world.audit() == []


@pytest.mark.parametrize("first", ["commit", "sweep"])
def test_a_commit_and_the_sweeper_end_it_once_between_them(world: World, first: str) -> None:
    """Both have seen it held; one comes just before the other's write."""
    world.found(requests=100)
    world.pass_time(days=2)
    sweep(world)  # what other tests left, so that the write that is late is ours
    made = world.reserve(units=10, ttl_seconds=1)
    world.pass_time(seconds=2)
    steps = {"commit": lambda: commit(world, made, 3), "sweep": lambda: sweep(world)}
    second = "sweep" if first == "commit" else "commit"
    dynamo, write = world.stores["london"].dynamo, world.stores["london"].dynamo.transact

    def late(writes: list) -> None:
        dynamo.transact = write
        steps[first]()
        write(writes)

    dynamo.transact = late
    if second == "commit":
        with pytest.raises(ReservationExpiredError):
            steps[second]()
    else:
        steps[second]()
    assert sweep(world) == {State.COMMITTED if first == "commit" else State.EXPIRED: 1}
    assert world.audit() == []


@pytest.mark.parametrize("between", ["decision", "large decision", "refill", "terms", "reservation"])
def test_what_comes_between_look_and_write_is_looked_at(world: World, between: str) -> None:
    world.found(plan="enterprise", requests=100)
    world.check(units=1)
    dynamo, write = world.stores["london"].dynamo, world.stores["london"].dynamo.transact
    other = world.store("london")
    steps = {
        "decision": lambda: other.decider.decide(DecisionRequest(world.org, "ann", units=3)),
        "large decision": lambda: other.decider.decide(DecisionRequest(world.org, "ann", units=9)),
        "refill": lambda: other.decider.decide(DecisionRequest(world.org, "ann", units=40)),
        "terms": lambda: other.organisations.put(world.org, plan="enterprise", status=Status.SUSPENDED),
        "reservation": lambda: other.reservations.reserve(
            DecisionRequest(world.org, "ann", units=5, request_id="job"), ttl_seconds=300
        ),
    }
    world.stores["london"].dynamo.transact = lambda writes: (
        setattr(dynamo, "transact", write),
        steps[between](),
        write(writes),
    )
    made = world.reserve(units=5, request_id="job")
    assert made.decision.reason is (Reason.ORG_SUSPENDED if between == "terms" else Reason.OK)
    assert made.decision.replayed == (between == "reservation")
    assert len(world.reservations()) == (between != "terms")
    assert world.audit() == []


def test_threads_reserve_and_commit_what_there_is_and_no_more(world: World) -> None:
    world.found(plan="enterprise", requests=200)
    stores = [world.store("london") for _ in range(4)]

    def work(number: int) -> int:
        rng = random.Random(number)
        reservations = stores[number % 4].reservations
        charged = 0
        for _ in range(6):
            asked = DecisionRequest(world.org, "ann", units=rng.randint(1, 12))
            made = reservations.reserve(asked, ttl_seconds=60).reservation
            stores[(number + 1) % 4].decider.decide(DecisionRequest(world.org, "bob"))
            if made and rng.random() < 0.7:
                spent = rng.randint(0, made.units)
                charged += reservations.commit(made.reservation_id, spent).decision.units
            elif made:
                reservations.release(made.reservation_id)
            charged += stores[number % 4].decider.decide(DecisionRequest(world.org, "ann")).allowed
        return charged

    with ThreadPoolExecutor(8) as pool:
        charged = sum(pool.map(work, range(8)))
    assert world.audit() == []
    assert world.check(units=0).used == charged
    assert charged + sum(world.check().allowed for _ in range(220)) == 200


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_oversold_or_lost_whatever_fails(world: World, seed: int) -> None:
    """Calls fail before or after they did their work, and callers crash: in both regions, eight at once."""
    world.found(requests=100)
    stores = {region: [world.store(region) for _ in range(2)] for region in world.stores}
    faults = Faults(seed, 0.06)
    over = threading.Event()

    def disturb() -> None:
        rng = random.Random(seed)
        while not over.is_set():
            world.pass_time(milliseconds=rng.choice([5, 50, 2000]))
            with suppress(CutlassError, CrashError):
                rng.choice(stores[rng.choice(["london", "sydney"])]).reservations.expire_overdue(5)
            over.wait(0.02)

    with faults.inside([store for of_region in stores.values() for store in of_region]):
        background = threading.Thread(target=disturb)
        background.start()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda client: _work(world, stores, random.Random(f"{seed}-{client}")), range(8)))
        over.set()
        background.join()
    assert len(faults.injected) == 4, f"seed {seed}: hardly any fault came: {faults.injected}"
    assert world.audit() == [], f"seed {seed}"
    world.pass_time(minutes=5)
    for region in world.stores:
        sweep(world, region)
    made = [one for region in world.stores for one in world.reservations(region)]
    states = Counter(one.state for one in made)
    assert not states[State.HELD], f"seed {seed}: {states}"
    assert states[State.COMMITTED], f"seed {seed}: {states}"
    for _ in range(3):
        for region in world.stores:
            world.meter(region)
        world.replicate()
        world.pass_time(seconds=20)
        for region in world.stores:
            while world.check(region).allowed:
                world.pass_time(milliseconds=1)
    for region in world.stores:
        world.meter(region)
    assert world.audit(ledger=True) == [], f"seed {seed}"
    account = world.audited.accounts["requests"]
    assert (account.used, account.reserved, account.gap) == (100, 0, 0), f"seed {seed}: not all could be had"


def _work(world: World, stores: dict[str, list[Store]], rng: random.Random) -> None:
    """Reserve, work, and end it, mostly; each is sent up to three times, perhaps to the other region."""
    for _ in range(5):
        asked = DecisionRequest(world.org, "ann", units=rng.randint(1, 6), request_id=world.request_id())
        lasts, made = rng.choice([1, 60]), None
        for _ in range(3):
            store = rng.choice(stores[rng.choice(["london", "london", "sydney"])])
            with suppress(UnavailableError, CrashError):
                made = store.reservations.reserve(asked, ttl_seconds=lasts).reservation
                break
        with suppress(UnavailableError, ConflictError, CrashError):
            store.decider.decide(DecisionRequest(world.org, "ann"))
        cost = rng.randint(0, 8)
        for _ in range(rng.randint(0, 3) if made else 0):
            store = rng.choice(stores[rng.choice(["london", "sydney"])])
            with suppress(UnavailableError, CrashError):
                with suppress(ConflictError):  # it has expired, or so much was not to be had
                    store.reservations.commit(made.reservation_id, cost)
                break
