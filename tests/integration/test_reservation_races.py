"""Reservations beside each other, the sweeper, decisions, and lost answers: ended once, and nothing is lost."""

import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from cutlass.domain.decisions import DecisionRequest, Reason
from cutlass.domain.errors import (
    ConflictError,
    NotFoundError,
    ReservationExpiredError,
    UnavailableError,
)
from cutlass.domain.organisations import Status
from cutlass.domain.reservations import State
from cutlass.functions import reservation_sweeper
from cutlass.storage import keys
from cutlass.storage.dynamo import Dynamo
from tests.integration.test_reservations import commit, sweep
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


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_lost_whatever_answer_is(world: World, seed: int) -> None:
    """Any call fails before or after it did its work; whoever asked asks again, or never comes back."""
    rng = random.Random(seed)
    world.found(requests=100)
    store = world.stores["london"]
    held = []
    for step in range(60):
        _lose_answers(store.dynamo, rng)
        asked = {"units": rng.randint(1, 9), "ttl_seconds": rng.choice([5, 90]), "request_id": f"{seed}-{step}"}
        for _ in range(2):
            with suppress(UnavailableError):
                made = world.reserve(**asked)
                held += [made.reservation] if made.reservation else []
                break
        if held and rng.random() < 0.6:
            chosen, cost = rng.choice(held), rng.randint(0, 7)
            for _ in range(2):
                with suppress(UnavailableError, ConflictError):
                    store.reservations.commit(chosen.reservation_id, cost)
                    break
        with suppress(UnavailableError):
            store.reservations.expire_overdue(3)
        store.dynamo.__dict__.pop("call", None)
        world.pass_time(seconds=rng.choice([0, 1, 8]))
        if step % 10 == 9:
            assert world.audit() == [], f"seed {seed}, step {step}"
    world.pass_time(seconds=100)
    sweep(world)
    charged = sum(one.spent for one in world.reservations())
    assert charged, f"seed {seed} charged nothing"
    assert world.audit() == [], f"seed {seed}"
    assert not [one for one in world.reservations() if one.state is State.HELD]
    assert world.check(units=0).used == charged, f"seed {seed}"
    assert charged + sum(world.check().allowed for _ in range(120)) == 100, f"seed {seed}"


def _lose_answers(dynamo: Dynamo, rng: random.Random) -> None:
    def unreliable(operation: str, request: dict) -> dict:
        fate = rng.random()
        if fate < 0.06:
            raise UnavailableError("lost on the way there")
        answer = type(dynamo).call(dynamo, operation, request)
        if fate < 0.15:
            raise UnavailableError("lost on the way back")
        return answer

    dynamo.call = unreliable  # type: ignore[method-assign]
