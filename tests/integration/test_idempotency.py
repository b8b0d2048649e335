"""A request id is charged once, however old it gets, and gives its first answer again."""

from dataclasses import replace

import pytest

from cutlass.domain.allotments import RING_TRIM_AT
from cutlass.domain.decisions import Decision, DecisionRequest
from cutlass.domain.errors import ConflictError, IdempotencyMismatchError, InvalidRequestError
from tests.support.world import World


def used(world: World, region: str = "london", user: str = "ann") -> int:
    balance = world.stores[region].balances.user(world.org, user).meters["requests"]
    return balance.regions[region].used


def as_first(decision: Decision) -> Decision:
    return replace(decision, replayed=True)


def test_a_repeated_request_gives_its_first_answer_and_charges_nothing(world: World) -> None:
    world.found()
    request_id = world.request_id()
    first = world.check(request_id=request_id)
    assert world.check(request_id=request_id) == as_first(first)
    assert used(world) == 1


def test_a_request_is_recognised_behind_many_others(world: World) -> None:
    world.found()
    ids = [world.request_id() for _ in range(RING_TRIM_AT // 2)]
    first = [world.check(request_id=i) for i in ids]
    world.meter()
    assert [world.check(request_id=i) for i in ids] == [as_first(d) for d in first]
    assert used(world) == len(ids)


def test_a_request_whose_mark_was_dropped_is_found_in_the_ledger(world: World) -> None:
    world.found()
    ids, first = [], []
    for _ in range(60):
        ids.append(world.request_id())
        first.append(world.check(request_id=ids[-1]))
        world.pass_time(milliseconds=200)
        world.meter()
    allotment = world.stores["london"].allotments.read(
        world.stores["london"].allotments.key(world.org, "ann", "requests", "20261101T0000")
    )
    assert allotment is not None
    assert len(allotment.ring) <= RING_TRIM_AT + 1, "the consumer drops what it has recorded"
    for age in ({"seconds": 0}, {"seconds": 3}, {"minutes": 10}, {"hours": 30}):
        world.pass_time(**age)
        assert [world.check(request_id=i) for i in ids] == [as_first(d) for d in first], f"after {age}"
    assert used(world) == 60
    assert world.audit() == []


def test_a_request_of_the_period_before_is_recognised_at_the_turn(world: World) -> None:
    world.found()
    world.now = world.now.replace(month=11, day=30, hour=23, minute=59, second=59, microsecond=500_000)
    request_id = world.request_id()
    first = world.check(request_id=request_id)
    world.pass_time(seconds=2)
    assert world.check(request_id=request_id) == as_first(first), "the ledger does not have it yet"
    world.meter()
    assert world.check(request_id=request_id) == as_first(first), "the ledger has it"
    world.pass_time(days=2)
    assert world.check(request_id=request_id) == as_first(first)
    assert used(world) == 0, "nothing was charged in the new period"


@pytest.mark.parametrize("kind", ["opaque", "old", "ahead", "far ahead"])
def test_an_id_that_does_not_carry_our_time_is_charged_once(world: World, kind: str) -> None:
    world.found()
    ahead = {"old": -3_600_000, "ahead": 20_000, "far ahead": 80_000_000}
    ids = [f"order-{n}" if kind == "opaque" else world.request_id(ahead_ms=ahead[kind]) for n in range(24)]
    first = []
    for request_id in ids:
        first.append(world.check(request_id=request_id))
        world.pass_time(milliseconds=100)
        world.meter()
    for seconds in (0, 30, 3600):
        world.pass_time(seconds=seconds)
        for number in range(20):  # fresh ids go on, and push old marks out
            assert world.check(request_id=world.request_id(ahead_ms=number)).allowed
        world.meter()
        again = [world.check(request_id=i) for i in ids]
        assert again == [as_first(d) for d in first], f"{seconds} s later"
    assert used(world) == 24 + 3 * 20
    assert world.audit() == []


def test_a_late_id_is_not_charged_twice_when_its_mark_is_dropped_between_look_up_and_write(world: World) -> None:
    world.found()
    store, other = world.stores["london"], world.store("london")
    world.check()
    find, raced = store.ledger.find, []

    def find_and_lose_a_race(*arguments: str) -> object:
        entry = find(*arguments)
        if not raced:
            raced.append(True)
            other.decider.decide(DecisionRequest(world.org, "ann", request_id="late-1"))
            for number in range(RING_TRIM_AT + 4):
                other.decider.decide(
                    DecisionRequest(world.org, "ann", request_id=world.request_id(ahead_ms=number))
                )
            world.meter()
        return entry

    store.ledger.find = find_and_lose_a_race
    assert world.check(request_id="late-1").replayed
    store.ledger.find = find
    assert used(world) == 1 + 1 + RING_TRIM_AT + 4


def test_the_same_id_with_another_body_is_refused(world: World) -> None:
    world.found()
    request_id = world.request_id()
    assert world.check(request_id=request_id).allowed
    for _ in range(2):
        with pytest.raises(IdempotencyMismatchError):
            world.check(request_id=request_id, units=2)
        with pytest.raises(IdempotencyMismatchError):
            world.check(request_id=request_id, feature="data.query")
        world.meter()
        world.pass_time(minutes=1)
    assert used(world) == 1


def test_a_refused_request_is_decided_anew(world: World) -> None:
    world.found(requests=5)
    request_id = world.request_id()
    assert world.check(units=5).allowed
    assert not world.check(request_id=request_id).allowed
    world.stores["london"].organisations.put_user(world.org, "ann", limits={"requests": 50})
    assert world.check(request_id=request_id).allowed
    assert world.check(request_id=request_id).replayed


def test_an_answer_not_on_record_yet_is_a_conflict_not_a_second_charge(world: World) -> None:
    world.found()
    world.stores["london"].decider._sleep = lambda _: None
    request_id = world.request_id()
    world.check(request_id=request_id)
    world.check()
    with pytest.raises(ConflictError):
        world.check(request_id=request_id)
    assert used(world) == 2
    world.meter()
    assert world.check(request_id=request_id).replayed


def test_a_replay_in_the_other_region_is_recognised_once_the_ledger_is_there(world: World) -> None:
    world.found()
    request_id = world.request_id()
    first = world.check("london", request_id=request_id)
    world.meter()
    world.replicate()
    world.pass_time(seconds=10)
    assert world.check("sydney", request_id=request_id) == as_first(first)
    assert used(world, "sydney") == 0


def test_an_id_ahead_of_the_clock_is_charged_once_over_the_turn_of_the_period(world: World) -> None:
    world.found()
    world.now = world.now.replace(day=30, hour=23, minute=59, second=59)
    ids = [world.request_id(ahead_ms=ahead) for ahead in (8_000, 20_000, 7_200_000)]
    first = [world.check(request_id=i) for i in ids]
    world.meter()
    for seconds in (5, 10, 5, 7_190):
        world.pass_time(seconds=seconds)
        world.check()
        assert [world.check(request_id=i) for i in ids] == [as_first(d) for d in first], f"at {world.now}"


def test_an_id_more_than_a_day_ahead_is_refused(world: World) -> None:
    world.found()
    with pytest.raises(InvalidRequestError, match="clock"):
        world.check(request_id=world.request_id(ahead_ms=86_400_000 + 60_000))
