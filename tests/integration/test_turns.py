"""The turn of a period, met by requests that began before it: each id is charged once."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cutlass.domain.decisions import Decision, DecisionRequest
from tests.support.world import World

JUST_BEFORE = datetime(2026, 11, 30, 23, 59, 59, 900_000, tzinfo=UTC)


@pytest.fixture
def turning(world: World) -> World:
    """A world a tenth of a second before December, whose user holds units of November."""
    world.now = JUST_BEFORE
    world.found()
    assert world.check().allowed
    return world


def test_a_fence_does_not_outlive_its_period(turning: World) -> None:
    """A request with an id of no time stops between its look-up and its refill; its twin overtakes it."""
    request = DecisionRequest(turning.org, "ann", units=50, request_id="order-1")
    twin: list[Decision] = []
    subjects = turning.stores["london"].decider._subjects
    find = subjects.find

    def stop_here(*arguments: object, **options: object) -> object:
        subjects.find = find
        twin.append(turning.store("london").decider.decide(request))
        turning.pass_time(seconds=1)
        return find(*arguments, **options)

    subjects.find = stop_here
    assert turning.stores["london"].decider.decide(request) == replace(twin[0], replayed=True)
    assert twin[0].allowed


def test_a_new_allotment_knows_what_the_old_one_took_meanwhile(turning: World) -> None:
    """An id ahead of its time is charged in November while December's allotment is being made."""
    request = DecisionRequest(turning.org, "ann", units=2, request_id=turning.request_id(ahead_ms=60_000))
    late: list[Decision] = []
    allotments = turning.stores["london"].allotments
    earlier = allotments.earlier

    def stop_here(*arguments: object, **options: object) -> object:
        found = earlier(*arguments, **options)
        if not late:
            now, turning.now = turning.now, JUST_BEFORE
            late.append(turning.store("london").decider.decide(request))
            turning.now = now
        return found

    allotments.earlier = stop_here
    turning.pass_time(seconds=1)
    assert turning.check().allowed
    assert late[0].allowed
    turning.pass_time(seconds=58)
    assert turning.stores["london"].decider.decide(request) == replace(late[0], replayed=True)
