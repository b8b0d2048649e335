"""Depots before hot pools: users get what the pools would have given them, and no unit more."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from cutlass.domain.decisions import Decision, DecisionRequest
from cutlass.domain.depots import of_depot
from cutlass.domain.errors import RegionFencedError
from cutlass.storage import keys
from cutlass.storage.region_loss import RegionLoss
from tests.support.crowd import crowd, depots, force_depots, pools
from tests.support.world import World


@pytest.fixture
def busy(world: World) -> World:
    """A world of 24 users who may spend all of the plan's 10,000, with four depots in each region."""
    world.found()
    names = crowd(world, 24, requests=10_000)
    for region in world.stores:
        world.check(region, units=1)
        force_depots(world, 4, region)
    ask_all(world, names, ("london", "sydney"), units=1)
    assert depots(world)
    assert depots(world, "sydney")
    return world


NAMES = [f"user{number}" for number in range(24)]


def ask_all(
    world: World, names: list[str], regions: tuple[str, ...], *, rounds: int = 1, units: int = 1
) -> list[Decision]:
    """Sixteen clients ask for users in turn, through four execution environments in each region."""
    stores = [world.store(region) for region in regions for _ in range(4)]

    def ask(number: int) -> Decision:
        question = DecisionRequest(world.org, names[number % len(names)], units=units)
        return stores[number % len(stores)].decider.decide(question)

    with ThreadPoolExecutor(16) as clients:
        return list(clients.map(ask, range(rounds * len(names))))


def test_a_refill_through_a_depot_leaves_the_pools_item_alone(world: World) -> None:
    world.found(plan="enterprise")
    names = crowd(world, 30)
    world.check()
    force_depots(world, 2)
    for name in names[:8]:
        world.check(user=name, units=200)  # so that the depots know how fast they are drawn from
    untouched = 0
    for name in names[8:]:
        before = pools(world)
        with world.counting() as counted:
            assert world.check(user=name).allowed
        if pools(world) == before:
            untouched += 1
            assert counted.requests["TransactWriteItems"] == 1, "one transaction of depot and user"
    assert untouched >= 18, f"{22 - untouched} of 22 refills wrote to a pool"
    taken = sum(a.drawn for (name, _), a in world.held("london", "requests")[1].items() if name in names)
    assert sum(one.handed for one in depots(world).values()) == taken
    assert world.audit() == []


def test_a_pool_that_many_draw_from_gets_depots_by_itself(world: World) -> None:
    world.found(plan="enterprise")
    names = crowd(world, 12)
    for number in range(240):
        world.pass_time(milliseconds=2)
        assert world.check(user=names[number % 12], units=40).allowed
    assert max(pool.depots for pool in pools(world)) == 0, "half a second is no rate yet"
    for number in range(1200):
        world.pass_time(milliseconds=2)
        assert world.check(user=names[number % 12], units=200).allowed
    assert max(pool.depots for pool in pools(world)) >= 2
    met = depots(world)
    assert sum(one.handed for one in met.values()) > 0
    assert pools(world)[0].draws > sum(one.refills for one in met.values()), "hand-overs count as draws"
    assert world.audit() == []


@pytest.mark.parametrize("regions", [("london",), ("london", "sydney")])
def test_an_organisations_limit_is_sold_to_the_last_unit_and_no_further(
    busy: World, regions: tuple[str, ...]
) -> None:
    """Of 10,000 units sixteen clients ask for more, and with pauses everything that is left anywhere is had."""
    sold = 2 + 24
    for _ in range(6):
        answers = ask_all(busy, NAMES, regions, rounds=2, units=41)
        sold += 41 * sum(answer.allowed for answer in answers)
        busy.pass_time(seconds=4)
        busy.replicate()
        if not any(answer.allowed for answer in answers):
            break
    else:
        pytest.fail("nobody was refused")
    assert sold <= 10_000
    for _ in range(40):
        busy.pass_time(seconds=4)
        while sold < 10_000 and busy.check(user=NAMES[0]).allowed:
            sold += 1
        if sold == 10_000:
            break
    assert sold == 10_000, f"{10_000 - sold} units are left, and refused"
    assert not busy.check(user=NAMES[1]).allowed
    for region in busy.stores:
        busy.meter(region)
    assert busy.audit(metered=True) == []


def test_small_limits_of_users_hold_through_depots(world: World) -> None:
    world.found()
    names = crowd(world, 8, requests=9)
    for region in world.stores:
        world.check(region)
        force_depots(world, 2, region)
    answers = ask_all(world, names, ("london", "sydney"), rounds=16)
    assert sum(answer.allowed for answer in answers) == 8 * 9
    assert sum(one.handed for region in world.stores for one in depots(world, region).values()) > 0
    for region in world.stores:
        world.meter(region)
    assert world.audit(metered=True) == []


def test_nobody_is_refused_for_what_lies_in_depots(busy: World) -> None:
    """The pools are dry, all that is left is in other users' depots: a look counts it, and a decision gets it."""
    london = busy.stores["london"]
    while sum(pool.available for pool in pools(busy)) > 0:
        for name in NAMES[:4]:
            if not busy.check(user=name, units=150).allowed:
                break
    held = sum(one.available for one in depots(busy).values())
    if not held:
        pytest.skip("nothing was left in depots")
    busy.cut()
    assert busy.check(user=NAMES[5], units=0).allowed
    assert busy.check(user=NAMES[5], units=held).allowed
    assert sum(one.available for one in depots(busy).values()) + sum(p.available for p in pools(busy)) == 0 or held
    busy.heal()
    assert london.region == "london"
    assert busy.audit() == []
