"""Depots: what they hand over, when they are filled or emptied, and how many there are."""

from dataclasses import replace

import pytest

from cutlass.domain.depots import (
    SPAN,
    Emptying,
    Filling,
    HandOver,
    carried_on,
    depot_name,
    depots_of,
    fill,
    hand_over,
    home_depot,
    newborn,
    next_step,
    of_depot,
    with_held,
)
from cutlass.domain.ids import ID_PATTERN
from cutlass.domain.invariants import check_allotment, check_sums
from cutlass.domain.plans import MAX_UNITS
from cutlass.domain.pools import MAX_DEPOTS, depots_for, measure
from cutlass.domain.refills import Draw, Shortage, refill
from tests.unit.domain.samples import DAY_MS, NOW_MS, allotment, pool

FIRST, SECOND = pool("requests:a", 100, priority=10), pool("requests:b", 100, priority=20)


def depot(*parts):
    """A depot that drew so many units from each pool, in this order."""
    return fill(newborn(1, "basic"), [Draw(of, units) for of, units in parts], NOW_MS)


def step(of, *pools, units=5, met=None, **options):
    return next_step(of, met or allotment(), pools, units, NOW_MS, **options)


def test_what_is_handed_over_is_counted_on_both_sides():
    full = depot((FIRST, 30))
    met = step(full, FIRST, units=5, birth=True)
    assert isinstance(met, HandOver)
    user = refill(allotment(), met.draws, NOW_MS)
    assert user.available == met.units == met.depot.handed
    assert met.depot.available == 30 - met.units
    assert (met.depot.served, met.depot.births, met.depot.refills) == (1, 1, full.refills)
    assert (user.held[0].pool, user.held[0].expires_ms) == (FIRST.key, FIRST.expires_ms)
    assert check_allotment(met.depot) == check_allotment(user) == []
    handed_out = replace(FIRST, available=70, allotted=30)
    assert check_sums([handed_out], [met.depot, user]) == []
    assert check_sums([handed_out], [full, user]) != [], "units handed over without leaving the depot"


def test_units_of_two_pools_are_handed_over_in_their_order():
    full = depot((FIRST, 3), (SECOND, 20))
    met = step(full, replace(FIRST, available=0), SECOND, units=5)
    assert isinstance(met, HandOver)
    assert [draw.pool.grant_id for draw in met.draws] == ["requests:a", "requests:b"]


def test_only_the_first_units_are_handed_over():
    full = depot((FIRST, 3), (SECOND, 20))
    assert hand_over(full, [Draw(SECOND, 2)]) is None
    assert hand_over(full, [Draw(FIRST, 4)]) is None
    assert hand_over(full, [Draw(FIRST, 24)]) is None


def test_a_depot_that_is_short_is_filled_behind_what_it_holds():
    met = step(depot((FIRST, 3)), replace(FIRST, available=0), SECOND, units=9)
    assert isinstance(met, Filling)
    assert [draw.pool.grant_id for draw in met.draws] == ["requests:b"]
    assert sum(draw.units for draw in met.draws) >= 6


def test_a_depot_that_begins_is_filled():
    assert isinstance(step(newborn(1, "basic"), FIRST), Filling)


def test_the_pool_whose_turn_it_is_comes_before_what_a_depot_holds():
    assert isinstance(step(depot((SECOND, 20)), FIRST, SECOND), Emptying)


@pytest.mark.parametrize(
    "ended",
    [{"voided": True}, {"expires_ms": NOW_MS}, {"starts_ms": NOW_MS + 1}],
    ids=["voided", "expired", "early"],
)
def test_units_of_a_pool_that_is_not_live_are_not_handed_over(ended):
    over = replace(FIRST, **ended)
    assert isinstance(step(depot((over, 20)), over, SECOND), Emptying)
    assert isinstance(step(depot((over, 20)), SECOND), Emptying), "nor of one the plan does not spend"


def test_a_users_own_grants_come_from_their_pools_in_their_turn():
    own = pool("requests:own", 4, priority=15, user_id="ann")
    met = step(depot((FIRST, 3), (SECOND, 20)), replace(FIRST, available=0), own, SECOND, units=9)
    assert isinstance(met, HandOver)
    assert [(draw.pool.grant_id, draw.units) for draw in met.draws][:2] == [("requests:a", 3), ("requests:own", 4)]
    assert met.depot.handed == met.units >= 5
    first = step(newborn(1, "basic"), pool("requests:own", 50, priority=1, user_id="ann"), FIRST)
    assert isinstance(first, HandOver)
    assert (first.units, first.depot) == (0, newborn(1, "basic")), "the depot is not needed"


def test_nothing_is_handed_over_beyond_a_users_limit_or_what_there_is():
    full = depot((FIRST, 50))
    assert step(full, FIRST, units=11, met=allotment(limit=10)) == Shortage(of_user=True)
    assert step(full, FIRST, units=11, headroom=10) == Shortage(of_user=True)
    assert step(full, replace(FIRST, available=10), units=61) == Shortage(of_user=False)


def test_a_depot_tells_once_whom_it_served():
    full = hand_over(depot((FIRST, 30)), [Draw(FIRST, 2)], birth=True)
    assert full
    again = fill(full, [Draw(FIRST, 9)], NOW_MS)
    assert (again.served, again.births, again.handed) == (0, 0, 2)
    assert check_allotment(again) == []


def test_a_depot_never_runs_out_of_rights():
    one = newborn(1, "basic")
    for _ in range(3):
        one = fill(one, [Draw(FIRST, MAX_UNITS)], NOW_MS)
        given = hand_over(one, [Draw(FIRST, MAX_UNITS)])
        assert given
        one = given
    assert one.unbacked == MAX_UNITS
    assert check_allotment(one) == []


def test_what_depots_hold_is_counted_to_its_pools():
    own = pool("requests:own", 4, user_id="ann")
    seen = with_held([FIRST, SECOND, own], depot((FIRST, 3), (SECOND, 20)), depot((FIRST, 8)))
    assert [one.available for one in seen] == [111, 120, 4]


def test_no_user_has_a_depots_name():
    names = [depot_name(number) for number in range(MAX_DEPOTS)]
    assert all(of_depot(name) and SPAN[0] <= name <= SPAN[1] for name in names)
    assert not any(ID_PATTERN.fullmatch(name) for name in names)
    assert {home_depot(f"user{n}", 8) for n in range(200)} == set(range(8))


def test_the_number_of_depots_follows_the_draws_and_never_falls():
    assert [depots_for(per_second * 1000) for per_second in (0, 100, 101, 200, 201, 500, 10**9)] == [
        0, 0, 2, 2, 4, 8, MAX_DEPOTS,
    ]  # fmt: skip
    hot, now_ms = measure(replace(FIRST, available=10**9), 1, NOW_MS), NOW_MS
    for _ in range(3000):
        now_ms += 2
        hot = replace(measure(hot, 1, now_ms), draws=hot.draws + 1)
    assert hot.depots == 4, "500 draws a second for six seconds"
    calm = measure(hot, 1, now_ms + DAY_MS)
    assert (calm.pulse < 1000, calm.depots) == (True, 4)
    through = measure(hot, 90_000, now_ms + 10_000, draws=9_000)
    assert through.depots == 8, "what depots served counts as the refills it was"


def test_a_new_pool_begins_with_the_depots_its_forerunner_needed():
    before = replace(FIRST, pulse=390_000, rated_ms=NOW_MS, depots=8, expires_ms=NOW_MS)
    own = pool("requests:own", 4, user_id="ann")
    assert [one.depots for one in carried_on([before, SECOND, own], NOW_MS)] == [8, 4, 0]
    assert depots_of(carried_on([SECOND, own], NOW_MS)) == 0
    later = carried_on([before, SECOND], NOW_MS + DAY_MS)
    assert later[1].depots == 0, "it was hot yesterday"
