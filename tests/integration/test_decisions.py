"""Decisions against real engines: what is allowed, what is refused and why, and what it costs."""

from tests.support.world import World


def test_the_first_decision_of_a_user_is_allowed(world: World) -> None:
    world.found()
    decision = world.check()
    assert decision.allowed, decision
    assert (decision.limit, decision.used, decision.remaining) == (1000, 1, 999)
    assert world.audit() == []


def test_a_steady_decision_is_one_request_of_one_write_unit(world: World) -> None:
    world.found()
    world.check()
    with world.counting() as counted:
        assert world.check().allowed
    assert dict(counted.requests) == {"UpdateItem": 1}
    assert (counted.write_units, counted.read_units) == (1, 0)
