"""Refunds: back to the grants that paid, once, never above the charge, whatever comes between."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from cutlass.domain.decisions import DecisionRequest
from cutlass.domain.errors import ConflictError, IdempotencyMismatchError, NotFoundError, UnavailableError
from cutlass.domain.ledger import EntryKind
from cutlass.domain.pools import grant_of
from tests.integration.test_metering import Interruption, ledger, usage
from tests.support.world import World


def charged(world: World, units: int, region: str = "london", **options: object) -> str:
    """Charge units, and let the consumer put them on record; returns the request's id."""
    request_id = world.request_id()
    assert world.check(region, units=units, request_id=request_id, **options).allowed
    world.meter(region)
    return request_id


def parts(spent: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
    return [(grant_of(pool).partition("-")[0], units) for pool, units in spent]


def test_units_go_back_to_the_pools_that_paid_the_last_first(world: World) -> None:
    world.found(requests=500)
    credit, _ = world.stores["london"].grants.create(world.org, meter="requests", amount=5, priority=5)
    request_id = charged(world, 7)  # 4 of the credit's share in London, then of the plan
    (charge,) = [e for e in ledger(world) if e.kind is EntryKind.DECISION]
    assert parts(charge.spent) == [(credit.grant.grant_id, 4), ("requests:plan", 3)]
    first = world.refund(request_id, units=2, refund_id="r1")
    second = world.refund(request_id, refund_id="r2")
    assert parts(first.spent) == [("requests:plan", 2)]
    assert parts(second.spent) == [("requests:plan", 1), (credit.grant.grant_id, 4)]
    assert (first.refunded, second.refunded, second.part.units) == (2, 7, 5)
    world.meter()
    assert world.audit(metered=True) == []
    assert world.stores["london"].balances.user(world.org, "ann").meters["requests"].used == 0
    assert usage(world, "hour").popitem()[1] == (0, 0)
    lines = [(e.units, e.before, e.after, parts(e.spent)) for e in ledger(world) if e.kind is EntryKind.REFUND]
    assert sorted(lines) == [
        (2, 7, 5, [("requests:plan", 2)]),
        (5, 5, 0, [("requests:plan", 1), (credit.grant.grant_id, 4)]),
    ]


def test_what_is_refunded_may_be_spent_again_to_the_unit(world: World) -> None:
    world.found(requests=10)
    request_id = charged(world, 8)
    world.refund(request_id, units=5)
    assert world.check(units=7).allowed
    world.pass_time(seconds=2)
    assert world.check().reason == "user_limit_reached"
    world.meter()
    assert world.audit(metered=True) == []


def test_a_refund_is_made_once_for_each_id(world: World) -> None:
    world.found()
    request_id = charged(world, 8)
    once = world.refund(request_id, units=3, refund_id="r1", reason="broken")
    assert world.refund(request_id, units=3, refund_id="r1", reason="broken") == once
    assert world.refund(request_id, "sydney", units=3, refund_id="r1", reason="broken") == once
    with pytest.raises(IdempotencyMismatchError):
        world.refund(request_id, units=2, refund_id="r1", reason="broken")
    with pytest.raises(ConflictError, match="only 5 of the 8 units"):
        world.refund(request_id, units=6, refund_id="r2")
    assert world.refund(request_id, refund_id="r3").part.units == 5
    with pytest.raises(ConflictError, match="only 0"):
        world.refund(request_id, refund_id="r4")
    world.meter()
    assert world.audit(metered=True) == []


def test_a_charge_that_is_not_known_or_not_on_record_yet(world: World) -> None:
    world.found()
    with pytest.raises(NotFoundError):
        world.refund("order-1")
    for request_id in ("order-1", world.request_id()):
        world.check(request_id=request_id)
        with pytest.raises(ConflictError, match="not on record yet"):
            world.refund(request_id, "sydney")
        world.meter()
        assert world.refund(request_id, "sydney").part.units == 1
    world.meter()
    assert world.audit(metered=True) == []


def test_a_charge_of_a_region_that_does_not_answer_is_not_refunded(world: World) -> None:
    world.found()
    request_id = charged(world, 3)
    world.cut()
    with pytest.raises(UnavailableError):
        world.refund(request_id, "sydney")
    world.replicate()  # what was written before comes through: the charge is known, its region is away
    with pytest.raises(UnavailableError):
        world.refund(request_id, "sydney")
    world.heal()
    assert world.refund(request_id, "sydney").charge.region == "london"
    assert world.audit() == []


def test_a_replay_of_a_refunded_request_gets_its_first_answer(world: World) -> None:
    world.found()
    request_id = charged(world, 3)
    first = world.check(units=3, request_id=request_id)
    for _ in range(2):
        world.refund(request_id, units=1)
        assert world.check(units=3, request_id=request_id) == first
    assert (first.used, first.replayed) == (3, True)
    assert world.check(units=1).used == 2, "the total is net of refunds"


def test_a_request_charged_on_two_meters_is_refunded_on_the_one_that_is_named(world: World) -> None:
    world.found()
    world.check(request_id="twice", units=2)
    world.check(request_id="twice", units=4, feature="report.export")
    world.meter()
    with pytest.raises(ConflictError, match="several meters"):
        world.refund("twice")
    assert world.refund("twice", meter="reports").part.units == 4
    world.meter()
    assert world.audit(metered=True) == []
    assert world.audit("reports", metered=True) == []


@pytest.mark.parametrize("ending", ["void", "expiry", "period"])
@pytest.mark.parametrize("own", [False, True])
def test_what_goes_back_to_an_ended_grant_ends_there(world: World, ending: str, own: bool) -> None:
    world.found(requests=100)
    grant, _ = world.stores["london"].grants.create(
        world.org,
        meter="requests",
        amount=50,
        priority=5,
        expires_at=world.now + timedelta(hours=1) if ending == "expiry" else None,
        user_id="ann" if own else None,
    )
    request_id = charged(world, 12)
    if ending == "void":
        world.stores["london"].grants.void(world.org, grant.grant.grant_id)
        world.replicate()
    world.pass_time(**{"void": {"seconds": 1}, "expiry": {"hours": 2}, "period": {"days": 12}}[ending])
    assert parts(world.refund(request_id).spent) == [(grant.grant.grant_id, 12)]
    world.pass_time(hours=1)
    world.keep_house()
    pools, _ = world.held("london", "requests")
    (pool,) = [pool for pool in pools if pool.grant_id == grant.grant.grant_id]
    assert pool.returned >= 12
    left = (pool.available, pool.burned, pool.expired)
    if ending == "void":
        assert (left[0], left[2]) == (0, 0)
    elif ending == "expiry":
        assert (left[0], left[1]) == (0, 0)
    else:
        assert left == (40, 0, 0)
    world.meter()
    world.meter("sydney")
    assert world.audit(metered=True) == []


@pytest.mark.parametrize("seed", range(4))
def test_refunds_beside_decisions_and_crashes_lose_nothing(world: World, seed: int) -> None:
    """Each refund is interrupted before one of its calls at random, and asked for again until it is there."""
    rng = random.Random(seed)
    world.found(requests=300)
    world.stores["london"].grants.create(world.org, meter="requests", amount=40, priority=5)
    asked: dict[tuple[str, str], int] = {}
    ids: list[tuple[str, int]] = []
    for _ in range(25):
        units = rng.randint(1, 9)
        ids.append((charged(world, units, rng.choice(["london", "sydney"])), units))
        world.pass_time(milliseconds=rng.randint(1, 3000))
        request_id, units = rng.choice(ids)
        refund_id = f"r{rng.randint(0, 40)}"
        wanted = asked.setdefault((request_id, refund_id), rng.randint(1, units))
        while True:
            done = False
            with Interruption(world, rng, seed):
                try:
                    world.refund(request_id, units=wanted, refund_id=refund_id)
                except ConflictError:
                    del asked[request_id, refund_id]
                done = True
            if done:
                break
    world.meter()
    world.meter("sydney")
    assert world.audit(metered=True) == [], f"seed {seed}"
    charges = sum(units for _, units in ids)
    balance = sum(
        world.stores[region].balances.user(world.org, "ann").meters["requests"].regions[region].used
        for region in world.stores
    )
    assert balance == charges - sum(asked.values()), f"seed {seed}"
    world.replicate()
    assert sum(units for units, _ in usage(world, "user").values()) == balance, f"seed {seed}"


def test_refunds_at_once_never_exceed_the_charge(world: World) -> None:
    """Twelve callers refund one charge under eight ids while its user goes on."""
    world.found(requests=400)
    request_id = charged(world, 20)
    stores = [world.store(region) for region in ("london", "sydney")]

    def attempt(number: int) -> int:
        try:
            store = stores[number % 2]
            view, new = store.refunds.create(
                world.org, "ann", request_id=request_id, units=3, refund_id=f"r{number % 8}"
            )
        except ConflictError:
            return 0
        stores[0].decider.decide(DecisionRequest(world.org, "ann"))
        return view.part.units * new

    with ThreadPoolExecutor(12) as pool:
        given = sum(pool.map(attempt, range(36)))
    assert given == 18, "six times three of twenty"
    assert world.refund(request_id, refund_id="rest").part.units == 2
    world.meter()
    assert world.audit(metered=True) == []


def test_a_commit_behind_the_turn_of_its_period_is_refunded_in_its_own(world: World) -> None:
    """Rights of the new period do not grow by what was charged to the one before."""
    world.found(requests=20)
    world.now = datetime(2026, 11, 30, 23, 50, tzinfo=UTC)
    made = world.reserve(units=10, ttl_seconds=3600).reservation
    assert made
    world.now = datetime(2026, 12, 1, 0, 10, tzinfo=UTC)
    assert world.check(units=12).allowed
    world.stores["london"].reservations.commit(made.reservation_id, 10)
    world.meter()
    world.refund(made.charge_id, units=10)
    assert not world.check(units=9).allowed, "20 units a period"
    assert world.check(units=8).allowed
    world.meter()
    assert world.audit(metered=True) == []
