"""What decisions cost, counted exactly: requests and capacity units (docs/exact-limits.md, "Cost")."""

from collections import Counter

import pytest

from tests.support.world import World


def test_a_steady_decision_is_one_request_of_one_write_unit(world: World) -> None:
    world.found()
    world.check()
    with world.counting() as counted, world.counting("sydney") as elsewhere:
        for _ in range(5):
            assert world.check().allowed
    assert dict(counted.requests) == {"UpdateItem": 5}
    assert (counted.write_units, counted.read_units) == (5, 0)
    assert not elsewhere.requests, "a decision called the other region"


def test_a_reservation_costs_a_read_and_a_transaction_for_each_of_its_ends(world: World) -> None:
    world.found(plan="enterprise")
    world.check()
    reservations = world.stores["london"].reservations
    for cost, writes in ((3, 3), (1, 4), (0, 4)):  # what goes back goes to one pool
        with world.counting() as counted, world.counting("sydney") as elsewhere:
            made = world.reserve(units=3).reservation
        assert dict(counted.requests) == {"BatchGetItem": 1, "TransactWriteItems": 1}
        assert counted.write_units == 2 * 3, "the reservation, the allotment, the deadline"
        with world.counting() as counted:
            reservations.commit(made.reservation_id, cost)
        assert dict(counted.requests) == {"GetItem": 2, "TransactWriteItems": 1}
        assert counted.write_units == 2 * writes, f"{cost} of 3"
        assert not elsewhere.requests, "a reservation called the other region"
    assert world.audit() == []


@pytest.mark.parametrize(("rate", "seconds"), [(1, 180), (20, 60)])
def test_a_user_at_a_steady_rate_pays_one_write_unit_per_decision(world: World, rate: int, seconds: int) -> None:
    """The stream's consumer comes 0.3 s late and looks every second, as an event source mapping does."""
    world.found(plan="enterprise")
    kinds: Counter[str] = Counter()
    for step in range(rate * seconds):
        world.pass_time(seconds=1 / rate)
        with world.counting() as counted, world.counting("sydney") as elsewhere:
            assert world.check(request_id=world.request_id(ahead_ms=-80)).allowed
        assert not elsewhere.requests
        if dict(counted.requests) == {"UpdateItem": 1}:
            assert (counted.write_units, counted.read_units) == (1, 0), f"decision {step}"
            kinds["steady"] += 1
        else:
            assert counted.requests["TransactWriteItems"] == 1, f"decision {step}: {counted}"
            kinds["refill"] += 1
        if step % rate == rate // 3:
            world.meter()
    assert kinds["steady"] + kinds["refill"] == rate * seconds
    assert kinds["refill"] <= 5 + seconds / 9, "after the first few, each twice the last, one lasts ten seconds"
    assert world.audit() == []


@pytest.mark.parametrize("rate", [1, 20])
def test_the_ledger_costs_far_less_than_a_write_unit_per_decision(world: World, rate: int) -> None:
    world.found(plan="enterprise")
    decisions, units = 0, 0.0
    for second in range(40):
        for _ in range(rate):
            world.pass_time(seconds=1 / rate)
            world.check()
        if second % 5 == 4:
            records = world.records("london", "usage-credits", "meter")
            entries = world.stores["london"].meter
            with world.counting() as counted:
                metered = entries.record(records)
            decisions += metered.decisions
            units += counted.write_units
    assert decisions == 40 * rate
    assert units / decisions < {1: 2.0, 20: 1.0}[rate], f"{units / decisions:.2f} write units per decision"
    print(f"metering: {units / decisions:.2f} write units per decision at {rate} decisions/s")
