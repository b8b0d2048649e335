"""Rights move between regions: exactly once, whatever is lost on the way."""

import random
from contextlib import suppress

import pytest

from cutlass.domain.decisions import Reason
from cutlass.domain.errors import UnavailableError
from tests.support.world import World


def test_a_user_who_moves_takes_the_limit_along(world: World) -> None:
    world.found(requests=100)
    assert sum(world.check("london").allowed for _ in range(50)) == 50
    world.pass_time(seconds=60)
    assert sum(world.check("sydney").allowed for _ in range(60)) == 50
    world.replicate()
    world.pass_time(seconds=60)
    assert world.check("london").reason is Reason.USER_LIMIT_REACHED
    assert world.audit() == []


def test_an_organisations_units_follow_the_demand(world: World) -> None:
    world.found(plan="basic", requests=10**6)
    assert world.check("sydney", units=9_500).allowed
    assert world.check("london", units=500).allowed
    assert not world.check("london").allowed
    assert world.audit() == []


def test_what_a_partition_held_back_comes_when_it_heals(world: World) -> None:
    world.found(requests=100)
    world.cut()
    assert sum(world.check("london").allowed for _ in range(100)) == 80
    assert world.check("london").reason is Reason.REGION_SHORT
    world.heal()
    assert sum(world.check("london").allowed for _ in range(30)) == 20
    assert world.audit() == []


@pytest.mark.parametrize("seed", range(3))
def test_no_right_is_lost_or_doubled_when_steps_are_cut_short(world: World, seed: int) -> None:
    """Calls to the other region fail before or after they did their work, and replication comes when it may."""
    rng = random.Random(seed)
    world.found(plan="basic", requests=120)
    for region, store in world.stores.items():
        for peer in world.topology.regions:
            if peer != region:
                _make_unreliable(store.directory.at_home(peer), rng)
    allowed = 0
    for _ in range(260):
        with suppress(UnavailableError):
            allowed += world.check(rng.choice(["london", "london", "sydney"])).allowed
        world.pass_time(milliseconds=rng.choice([10, 2000, 12_000]))
        if rng.random() < 0.05:
            world.replicate()
        if rng.random() < 0.02:
            assert world.audit() == [], f"seed {seed}"
    assert allowed <= 120, f"seed {seed}"
    world.heal()
    for _ in range(4):  # what was on its way arrives
        world.replicate()
        world.pass_time(seconds=20)
        allowed += sum(world.check(region).allowed for region in ("london", "sydney") for _ in range(20))
    assert allowed == 120, f"seed {seed}: rights were lost"
    assert world.audit() == [], f"seed {seed}"


def _make_unreliable(dynamo, rng: random.Random) -> None:
    call = type(dynamo).call

    def unreliable(operation: str, request: dict) -> dict:
        fate = rng.random()
        if fate < 0.15:
            raise UnavailableError("lost on the way there")
        answer = call(dynamo, operation, request)
        if fate < 0.3:
            raise UnavailableError("lost on the way back")
        return answer

    dynamo.call = unreliable
