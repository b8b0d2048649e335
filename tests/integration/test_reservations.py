"""Reservations on real engines: set aside once, ended once, and nothing is lost or made on the way."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from cutlass.domain.decisions import Reason
from cutlass.domain.errors import (
    ConflictError,
    IdempotencyMismatchError,
    InsufficientUnitsError,
    NotFoundError,
    ReservationExpiredError,
    UnavailableError,
)
from cutlass.domain.organisations import Status
from cutlass.domain.reservations import State
from tests.support.world import World


def commit(world: World, made, units: int | None = None, region: str = "london"):
    return world.stores[region].reservations.commit(made.reservation.reservation_id, units)


def release(world: World, made, region: str = "london"):
    return world.stores[region].reservations.release(made.reservation.reservation_id)


def sweep(world: World, region: str = "london") -> Counter[State]:
    """Run the sweeper, which also ends what other tests left; returns this world's reservations by state."""
    world.stores[region].reservations.expire_overdue(100)
    return Counter(one.state for one in world.reservations())


def spend_all(world: World, region: str = "london") -> int:
    return sum(world.check(region).allowed for _ in range(130))


def test_what_the_work_did_not_cost_serves_again(world: World) -> None:
    world.found(requests=100)
    made = world.reserve(units=60)
    assert (made.decision.allowed, made.decision.units, made.decision.remaining) == (True, 60, 40)
    assert not world.check(units=41).allowed, "what is set aside cannot be spent by others"
    charged = commit(world, made, 25)
    assert (charged.decision.units, charged.reservation.state) == (25, State.COMMITTED)
    assert (charged.decision.used, charged.decision.remaining) == (25, 75)
    assert world.audit() == []
    assert spend_all(world) == 75
    assert world.audit() == []


def test_a_request_reserves_once_and_is_answered_as_before(world: World) -> None:
    world.found(requests=100)
    first = world.reserve(units=7, request_id="job-1")
    world.check(units=3)
    again = world.reserve(units=7, request_id="job-1")
    assert again == replace(first, decision=replace(first.decision, replayed=True))
    for other in ({"units": 8}, {"ttl_seconds": 301}, {"feature": "data.query"}):
        with pytest.raises(IdempotencyMismatchError):
            world.reserve(**({"units": 7, "request_id": "job-1"} | other))
    world.replicate()
    assert world.reserve("sydney", units=7, request_id="job-1").reservation == first.reservation
    assert world.reserve(units=7, request_id="job-2").reservation != first.reservation
    assert len(world.reservations()) == 2
    assert world.audit() == []


def test_a_commit_is_charged_once_and_answered_as_before(world: World) -> None:
    world.found(requests=100)
    made = world.reserve(units=10)
    first = commit(world, made, 4)
    world.check(units=2)
    assert commit(world, made, 4) == replace(first, decision=replace(first.decision, replayed=True))
    for cost in (None, 0, 5, 10):
        with pytest.raises(ConflictError, match="was committed with 4 units before"):
            commit(world, made, cost)
    with pytest.raises(ConflictError):
        release(world, made)
    assert world.check().used == 7
    assert world.audit() == []


def test_a_release_gives_all_back_and_so_does_a_commit_of_nothing(world: World) -> None:
    world.found(requests=100)
    one, other = world.reserve(units=10), world.reserve(units=10)
    assert release(world, one) == release(world, one)
    assert commit(world, other, 0).reservation.state is State.RELEASED
    assert commit(world, other, 0).decision.replayed
    assert release(world, other).state is State.RELEASED
    with pytest.raises(ConflictError):
        commit(world, one)
    assert world.check(units=80).allowed, "80 of 100 are this region's share"
    assert world.audit() == []


def test_it_is_refused_as_a_decision_is(world: World) -> None:
    world.found(requests=20)
    world.cut()
    assert world.reserve(units=17).decision.reason is Reason.REGION_SHORT
    assert world.reserve(units=16).decision.allowed
    assert world.reserve(units=5).decision.reason is Reason.USER_LIMIT_REACHED
    assert world.check(units=1).reason is Reason.REGION_SHORT
    refusals = [
        (world.reserve(user="nobody"), Reason.UNKNOWN_USER),
        (world.reserve(feature="no.such"), Reason.FEATURE_NOT_IN_PLAN),
    ]
    world.stores["london"].organisations.put(world.org, plan="basic", status=Status.SUSPENDED)
    refusals.append((world.reserve(), Reason.ORG_SUSPENDED))
    for refused, reason in refusals:
        assert (refused.decision.reason, refused.reservation) == (reason, None)
    assert len(world.reservations()) == 1
    assert world.audit() == []


def test_what_was_set_aside_is_charged_though_the_organisation_is_suspended(world: World) -> None:
    world.found(requests=20)
    made = world.reserve(units=6)
    world.stores["london"].organisations.put(world.org, plan="basic", status=Status.SUSPENDED)
    with pytest.raises(InsufficientUnitsError, match="org_suspended") as error:
        commit(world, made, 7)
    assert error.value.available == 6
    assert commit(world, made, 6).decision.units == 6
    assert world.audit() == []


def test_work_that_cost_more_is_charged_if_so_much_can_be_had(world: World) -> None:
    world.found(requests=100)
    made = world.reserve(units=10)
    assert commit(world, made, 45).decision.used == 45
    made = world.reserve(units=10)
    world.check(units=5)
    world.cut()  # the other 20 of the limit are in Sydney
    for _ in range(2):
        with pytest.raises(InsufficientUnitsError) as error:
            commit(world, made, 31)
        assert error.value.available == 30
        assert world.stores["london"].reservations.get(made.reservation.reservation_id) == made.reservation
    assert commit(world, made, 30).decision.used == 80
    assert world.audit() == []


def test_a_reservation_is_ended_at_the_region_that_holds_it(world: World) -> None:
    world.found(requests=100)
    made, other, third = (world.reserve(units=10) for _ in range(3))
    assert commit(world, made, 4, region="sydney").decision.region == "london"
    assert world.stores["sydney"].reservations.get(made.reservation.reservation_id).spent == 4
    assert release(world, other, region="sydney").state is State.RELEASED
    world.check(units=1)  # leaves some at hand
    at_hand = (
        world.stores["london"]
        .allotments.read(world.stores["london"].allotments.key(world.org, "ann", "requests", "20261101T0000"))
        .available
    )
    with pytest.raises(InsufficientUnitsError, match="commit in london") as error:
        commit(world, third, 11 + at_hand, region="sydney")
    assert error.value.available == 10 + at_hand
    assert commit(world, third, 10 + at_hand, region="sydney").decision.units == 10 + at_hand
    assert world.audit() == []


def test_a_region_that_cannot_be_reached_keeps_its_reservations(world: World) -> None:
    world.found(requests=100)
    made = world.reserve(units=10)
    world.cut()
    for _ in range(2):
        with pytest.raises(UnavailableError) as error:
            commit(world, made, 4, region="sydney")
        assert error.value.retry_after >= 1
    world.heal()
    assert commit(world, made, 4, region="sydney").decision.units == 4
    assert world.audit() == []


@pytest.mark.parametrize("identity", ["london-0", "paris-0c9d", "nonsense", "-", "london-reservation"])
def test_there_is_no_such_reservation(world: World, identity: str) -> None:
    reservations = world.stores["london"].reservations
    for ask in (reservations.get, reservations.commit, reservations.release):
        with pytest.raises(NotFoundError):
            ask(identity)


def test_another_organisations_reservation_does_not_exist(world: World) -> None:
    world.found()
    made, reservations = world.reserve(units=2), world.stores["london"].reservations
    for ask in (reservations.get, reservations.commit, reservations.release):
        with pytest.raises(NotFoundError):
            ask(made.reservation.reservation_id, org_id="another")
    assert reservations.commit(made.reservation.reservation_id, 1, org_id=world.org).decision.allowed


def test_the_sweeper_gives_back_what_is_overdue_and_nothing_else(world: World) -> None:
    world.found(requests=100)
    short, long = world.reserve(units=10, ttl_seconds=60), world.reserve(units=10, ttl_seconds=600)
    world.pass_time(seconds=60)
    assert sweep(world) == {State.HELD: 2}
    world.pass_time(seconds=1)
    assert sweep(world, "sydney") == {State.HELD: 2}, "another region's are none of its business"
    for _ in range(2):
        assert sweep(world) == {State.HELD: 1, State.EXPIRED: 1}
    with pytest.raises(ReservationExpiredError, match="2026-11-22T12:01:00Z"):
        commit(world, short)
    assert release(world, short).state is State.EXPIRED
    assert commit(world, long).decision.units == 10
    assert world.check(units=70).allowed
    assert world.audit() == []


def test_a_commit_after_the_deadline_holds_if_it_comes_before_the_sweeper(world: World) -> None:
    world.found(requests=100)
    made = world.reserve(units=10, ttl_seconds=1)
    world.pass_time(hours=2)
    assert commit(world, made, 3).decision.units == 3
    assert sweep(world) == {State.COMMITTED: 1}
    assert world.audit() == []


def test_a_reservation_outlives_its_period(world: World) -> None:
    world.found(requests=100)
    world.stores["london"].grants.create(world.org, meter="requests", amount=100, priority=5)
    world.replicate()
    world.now = world.now.replace(day=30, hour=23, minute=59, second=30)
    one = world.reserve(units=90, ttl_seconds=3600)
    other = world.reserve(units=5, ttl_seconds=60)
    world.pass_time(minutes=2)
    assert world.check(units=3).used == 3, "the new period begins with nothing spent"
    with pytest.raises(InsufficientUnitsError, match="period has ended") as error:
        commit(world, one, 91)
    assert error.value.available == 90
    charged = commit(world, one, 50)
    assert (charged.decision.used, charged.decision.resets_at.month) == (50, 12)
    assert sweep(world) == {State.COMMITTED: 1, State.EXPIRED: 1}
    assert other.reservation.period == one.reservation.period
    assert world.audit() == []
    assert world.check().used == 4


def test_units_of_credits_that_ended_meanwhile_do_not_come_back(world: World) -> None:
    world.found(requests=1000)
    grants = world.stores["london"].grants
    soon = world.now + timedelta(minutes=1)
    grants.create(world.org, meter="requests", amount=20, priority=5, expires_at=soon)
    view, _ = grants.create(world.org, meter="requests", amount=20, priority=6)
    world.replicate()
    made = world.reserve(units=30)
    assert [part.units for part in made.reservation.parts][:2] == [16, 14], "of 80 % of two grants of 20"
    grants.void(world.org, view.grant.grant_id)
    world.pass_time(minutes=2)
    commit(world, made, 10)
    assert world.audit() == []
    pools = {pool.grant_id: pool for pool in world.stores["london"].pools.of(world.org, "requests")}
    assert sum(pool.returned for pool in pools.values()) == 14
    assert pools[view.grant.grant_id].returned == 14, "6 of the other grant expired, the voided one's came back"
    assert world.check(units=500).allowed
    assert world.audit() == []


def test_units_set_aside_count_where_a_limit_is_lowered(world: World) -> None:
    world.found(plan="enterprise", requests=100)
    made = world.reserve(units=50)
    store = world.stores["london"]
    store.organisations.put_user(world.org, "ann", limits={"requests": 60})
    world.replicate()
    assert spend_all(world) == 10, "50 are set aside of a limit of 60"
    assert world.audit() == []
    release(world, made)
    assert spend_all(world) == 50
    assert world.audit() == []
