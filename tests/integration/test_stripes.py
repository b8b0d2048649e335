"""Busy users: their allotments are divided, and nothing else changes for anybody."""

import pytest

from cutlass.domain.allotments import Allotment
from cutlass.domain.errors import ConflictError, IdempotencyMismatchError
from cutlass.domain.stripes import MAX_STRIPES, ancestors, divided, stripe_of
from cutlass.storage.allotments import Holder
from cutlass.storage.stripes import Stripes
from tests.support.world import World


def hurry(world: World, seconds: int = 5, rate: int = 100) -> list[float]:
    """Decide at a rate, with the stream's consumer a second behind; returns each decision's write units."""
    units = []
    for _ in range(seconds):
        for _ in range(rate):
            world.pass_time(seconds=1 / rate)
            with world.counting() as counted:
                decision = world.check(request_id=world.request_id(ahead_ms=-20))
            assert decision.allowed, decision
            units.append(counted.write_units if dict(counted.requests) == {"UpdateItem": 1} else 0.0)
        world.meter()
    return units


def stripes(world: World, region: str = "london") -> int:
    key = world.stores[region].allotments.key(world.org, "ann", "requests", "20261101T0000")
    allotment = world.stores[region].allotments.read(key)
    return allotment.stripes if allotment else 0


def test_a_busy_user_still_pays_one_write_unit_per_decision(world: World) -> None:
    world.found(plan="enterprise")
    world.check()
    units = hurry(world)
    settled = [unit for unit in units[-200:] if unit]
    assert stripes(world) in {8, 16}  # at 16 where one stripe got more than its share for a second
    assert set(settled) == {1.0}, "an item has grown beyond 1 KB"
    assert len(settled) >= 160, "the rest are refills"
    assert world.audit() == []


def test_requests_decided_before_a_division_are_known_behind_it(world: World) -> None:
    world.found(plan="enterprise")
    world.check()
    sent = [world.request_id(ahead_ms=number) for number in range(-30, 30)]
    first = {request_id: world.check(request_id=request_id) for request_id in sent}
    divide(world, 8)
    for number in range(100, 110):  # the process learns that there are more
        world.check(request_id=world.request_id(ahead_ms=number))
    elsewhere = next(request_id for request_id in sent if stripe_of(request_id, 8))
    with pytest.raises(ConflictError):  # charged, but its answer is not on record yet
        world.check(request_id=elsewhere)
    world.meter()
    for request_id in sent:
        answer = world.check(request_id=request_id)
        assert answer.replayed
        assert answer.decision_id == first[request_id].decision_id
        with pytest.raises(IdempotencyMismatchError):
            world.check(request_id=request_id, units=7)
    assert sum(a.used for a in born(world).values()) == 1 + 60 + 10
    assert len(born(world)) >= 8, "every stripe was asked"
    assert world.audit() == []


def test_a_stripe_born_without_memory_would_charge_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail: without what its ancestors remember a stripe knows nothing of their requests."""
    monkeypatch.setattr(Stripes, "before", lambda *_: [])
    world.found(plan="enterprise")
    world.check()
    sent = [world.request_id(ahead_ms=number) for number in range(40)]
    for request_id in sent:
        world.check(request_id=request_id)
    divide(world, 8)
    for number in range(100, 110):
        world.check(request_id=world.request_id(ahead_ms=number - 200))
    again = [request_id for request_id in sent if stripe_of(request_id, 8)]
    assert any(not world.check(request_id=request_id).replayed for request_id in again)


def test_a_process_that_knows_fewer_stripes_learns_of_more(world: World) -> None:
    world.found(plan="enterprise")
    world.check()
    slow, quick = world.stores["london"], world.store("london")
    allotments = slow.allotments
    key = allotments.key(world.org, "ann", "requests", "20261101T0000")
    for stripes in (2, 8, 4):  # never fewer
        allotments.divide(key, stripes)
        for store in (slow, quick) if stripes == 8 else (quick,):
            world.stores["london"] = store
            for number in range(12):
                assert world.check(request_id=world.request_id(ahead_ms=stripes * 100 + number)).allowed
    world.meter()
    assert stripes_of(world) == {8}
    assert sum(a.used for a in born(world).values()) == 1 + 4 * 12
    assert world.audit() == []


def test_a_limit_is_sold_out_over_all_stripes_and_no_further(world: World) -> None:
    world.found(requests=300)
    world.check(units=20)
    divide(world, 8)
    answers = [world.check(("london", "sydney")[number % 4 == 3]) for number in range(320)]
    assert sum(answer.allowed for answer in answers) == 280
    assert {answer.reason for answer in answers if not answer.allowed} == {"user_limit_reached"}
    assert all(answer.allowed for answer in answers[:270]), "rights were left in another stripe"
    assert world.audit() == []


def test_a_look_counts_what_all_stripes_have(world: World) -> None:
    world.found(requests=300)
    world.check(units=20)
    divide(world, 4)
    for _ in range(30):
        world.check()
    look = world.check(units=0)
    assert (look.allowed, look.user_id, look.used) == (True, "ann", 50)


def test_balance_and_usage_add_up_over_stripes(world: World) -> None:
    world.found(requests=300)
    world.check(units=20)
    divide(world, 4)
    for _ in range(30):
        world.check()
    world.meter()
    world.replicate()
    store = world.stores["london"]
    mine = store.balances.user(world.org, "ann").meters["requests"]
    assert (mine.used, mine.remaining) == (50, 250)
    whole = store.balances.organisation(world.org).meters["requests"]
    assert (whole.used, whole.remaining) == (50, whole.limit - 50)
    day = world.now.replace(hour=0, minute=0)
    rows = store.usage.page(world.org, day, world.now.replace(hour=23), group_by="user").items
    assert [(row.group, row.units) for row in rows] == [("ann", 50)]
    assert len(born(world)) == 4, "every stripe was asked"
    assert world.audit(ledger=True) == [], "reconciliation compares the sum of all stripes with the ledger"


def test_the_next_period_begins_with_one_allotment_and_what_was_left_goes_back(world: World) -> None:
    world.found(requests=300)
    world.check(units=20)
    divide(world, 4)
    for _ in range(30):
        world.check()
    world.pass_time(days=10)
    assert world.check().allowed
    assert all(a.available == 0 for a in born(world).values()), "an ended period's stripe still holds units"
    allotments = world.stores["london"].allotments
    now = allotments.read(allotments.key(world.org, "ann", "requests", "20261201T0000"))
    assert now
    assert (now.stripes, now.used) == (1, 1)
    assert world.audit() == []


def test_changed_terms_reach_every_stripe(world: World) -> None:
    world.found(requests=300)
    world.check(units=20)
    divide(world, 4)
    for _ in range(30):
        world.check()
    world.stores["london"].organisations.put(world.org, plan="basic", home_region="london", status="suspended")
    world.replicate()
    assert {world.check().reason for _ in range(12)} == {"org_suspended"}


def test_the_rules_of_stripes() -> None:
    assert ancestors(0) == []
    assert ancestors(6) == [2, 0]
    assert ancestors(5) == [1, 0]
    for request in map(str, range(200)):
        eight = stripe_of(request, 8)
        assert stripe_of(request, 4) in {eight, *ancestors(eight)}
        assert stripe_of(request, 1) == 0
    assert divided(1, 20, 1000) is None
    assert divided(1, 101, 1000) == 8
    assert divided(4, 41, 1000) == 8
    assert divided(MAX_STRIPES, 10_000, 1000) is None
    assert divided(1, 500, 100_000) is None, "a consumer that catches up sees many at once, not often"


def divide(world: World, stripes: int) -> None:
    """Divide ann's allotment in London, as the stream's consumer does."""
    allotments = world.stores["london"].allotments
    allotments.divide(allotments.key(world.org, "ann", "requests", "20261101T0000"), stripes)


def born(world: World, region: str = "london") -> dict[int, Allotment]:
    store = world.stores[region]
    holder = Holder(world.org, "ann", "requests", "20261101T0000", 0)
    return store.allotments.stripes(holder, range(MAX_STRIPES))


def stripes_of(world: World) -> set[int]:
    return {allotment.stripes for allotment in born(world).values()}
