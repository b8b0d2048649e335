"""Histories of reservations worth telling every time; see `tests.property.scenarios`."""

from collections.abc import Iterator

from cutlass.domain.grants import Category
from tests.property.machine import HOUR_MS, Histories
from tests.property.model import REGIONS

LONDON, SYDNEY, _ = REGIONS
Story = Iterator[None]


def work_costs_less_than_was_set_aside(history: Histories) -> Story:
    """The rest serves again, to the last unit of the user's limit."""
    history.reserve(region=LONDON, user="ann", units=30, lasts_ms=60_000, later=False)
    yield
    history.reserve_again(age=0, moved=30)
    history.commit(age=0, cost=12, later=False)
    yield
    for cost in (12, 30, 0):
        history.commit(age=0, cost=cost, later=False)
        history.give_back(age=0, later=False)
        yield
    for region in (*REGIONS, LONDON, LONDON):
        history.learn(region=region)
        history.burst(region=region, user="ann", count=40, gap=1)
    yield
    assert _spent(history) == 60, f"{_spent(history)} units were spent of a limit of 60"
    history.catch_up()
    yield


def two_ends_of_a_reservation_race(history: Histories) -> Story:
    """A commit, a release and the sweeper look at once: one of them ends it, the others find it ended."""
    history.reserve(region=LONDON, user="ann", units=20, lasts_ms=1_000, later=False)
    history.wait(ms=1_100)
    history.commit(age=0, cost=7, later=True)
    history.commit(age=0, cost=20, later=True)
    history.give_back(age=0, later=True)
    history.expire(region=LONDON, later=True)
    yield
    for first in (False, True, False, True):
        history.finish(first=first)
        yield


def decisions_come_between(history: Histories) -> Story:
    """A reservation planned before decisions that leave too little, or before changed terms, is planned anew."""
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.reserve(region=LONDON, user="ann", units=9, lasts_ms=60_000, later=True)
    history.check(region=LONDON, user="ann", units=5, ahead=0)
    history.finish(first=True)
    yield
    assert not history.reservations(), "so much was not left"
    history.reserve(region=LONDON, user="ann", units=2, lasts_ms=60_000, later=True)
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.finish(first=True)
    yield
    assert history.reservations(), "units of the same pool were left"
    history.give_back(age=0, later=False)
    yield
    history.reserve(region=LONDON, user="ann", units=3, lasts_ms=60_000, later=True)
    history.set_plan(plan="premium")
    history.learn(region=LONDON)
    history.finish(first=True)
    yield
    assert len(history.reservations()) == 1, "it was planned on what had changed"
    history.reserve(region=LONDON, user="ann", units=30, lasts_ms=60_000, later=False)
    history.commit(age=0, cost=25, later=True)
    history.begin_refill(region=LONDON, user="ann", units=20)
    history.check(region=LONDON, user="ann", units=3, ahead=0)
    history.finish(first=True)
    yield
    history.commit(age=0, cost=25, later=False)
    yield


def work_costs_more_than_was_set_aside(history: Histories) -> Story:
    """The part above comes out of what there is, or the commit changes nothing."""
    history.reserve(region=LONDON, user="ann", units=5, lasts_ms=60_000, later=False)
    history.commit(age=0, cost=25, later=False)
    yield
    assert _spent(history) == 25
    history.reserve(region=LONDON, user="ann", units=10, lasts_ms=60_000, later=False)
    history.commit(age=0, cost=50, later=False)
    yield
    assert _spent(history) == 25, "more was charged than the user may spend here"
    history.commit(age=0, cost=None, later=False)
    yield
    assert _spent(history) == 35


def work_lasts_longer_than_the_grants_it_began_with(history: Histories) -> Story:
    """Units of credits that ended meanwhile are spent by the work, but do not come back."""
    history.grant(amount=40, priority=5, lasts_ms=3_000, user=None)
    history.grant(amount=30, priority=5, lasts_ms=None, user="ann")
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.reserve(region=LONDON, user="ann", units=40, lasts_ms=HOUR_MS, later=False)
    history.reserve(region=LONDON, user="ann", units=9, lasts_ms=HOUR_MS, later=False)
    yield
    history.void(which=1)
    history.wait(ms=3_100)
    history.commit(age=1, cost=14, later=False)
    yield
    history.give_back(age=0, later=False)
    yield
    for region in (*REGIONS, LONDON):
        history.learn(region=region)
        history.burst(region=region, user="ann", count=40, gap=1)
        yield


def units_are_set_aside_in_the_order_of_spending(history: Histories) -> Story:
    """The first to be spent are set aside, the first of those are charged, the others go back to their pools."""
    history.grant(amount=20, priority=5, lasts_ms=None, user=None)
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.begin_refill(region=LONDON, user="ann", units=30)
    history.finish(first=True)
    history.reserve(region=LONDON, user="ann", units=5, lasts_ms=60_000, later=False)
    yield
    history.reserve(region=LONDON, user="ann", units=20, lasts_ms=60_000, later=False)
    yield
    history.commit(age=0, cost=11, later=False)
    yield
    pools = history.company.regions[LONDON].pools
    back = {pool.category: pool.returned for pool in pools.values() if pool.returned}
    assert back == {Category.PLAN: 9}, f"credits are spent first, but {back} came back"


def a_users_own_credits_are_set_aside(history: Histories) -> Story:
    """What comes back of a user's own grant does not become rights of the user's limit."""
    history.grant(amount=40, priority=5, lasts_ms=None, user="ann")
    history.reserve(region=LONDON, user="ann", units=20, lasts_ms=60_000, later=False)
    yield
    history.give_back(age=0, later=False)
    yield
    for region in (*REGIONS, LONDON, LONDON):
        history.learn(region=region)
        history.burst(region=region, user="ann", count=40, gap=1)
        yield
    assert _spent(history) == 60 + 40, f"{_spent(history)} units were spent of a limit of 60 and 40 own"


def a_period_turns_over_work(history: Histories) -> Story:
    """A reservation of the period before is committed there, with no more than was set aside."""
    history.grant(amount=40, priority=5, lasts_ms=None, user=None)
    history.come_to_the_end_of_a_period(before=1_000)
    for _ in range(3):
        history.reserve(region=LONDON, user="ann", units=15, lasts_ms=60_000, later=False)
    yield
    history.wait(ms=2_000)
    history.check(region=LONDON, user="ann", units=2, ahead=0)
    history.sweep(region=LONDON, later=False)
    yield
    history.commit(age=0, cost=16, later=False)
    yield
    assert _spent(history) == 2
    history.commit(age=0, cost=4, later=False)
    history.give_back(age=1, later=False)
    yield
    history.rest(ms=HOUR_MS)
    history.expire(region=LONDON, later=False)
    yield
    history.catch_up()
    yield
    assert all(made.state != "held" for _, made in history.reservations())
    assert _spent(history) == 6


def _spent(history: Histories) -> int:
    charged = sum(units for _, _, units in history.company.charged.values())
    return charged + history.company.committed.total()


OF_RESERVATIONS = [
    work_costs_less_than_was_set_aside,
    two_ends_of_a_reservation_race,
    decisions_come_between,
    work_costs_more_than_was_set_aside,
    work_lasts_longer_than_the_grants_it_began_with,
    units_are_set_aside_in_the_order_of_spending,
    a_users_own_credits_are_set_aside,
    a_period_turns_over_work,
]
