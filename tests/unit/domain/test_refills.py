"""How much an allotment draws, from which pools, and what changed terms do to it."""

from dataclasses import replace

import pytest

from cutlass.domain.allotments import Chunk
from cutlass.domain.invariants import check_allotment
from cutlass.domain.pools import NEVER_MS
from cutlass.domain.refills import (
    HORIZON_MS,
    MAX_CHUNK,
    MAX_POOLS,
    MIN_CHUNK,
    Draw,
    Shortage,
    adopt,
    ahead,
    pace,
    plan_refill,
    refill,
)
from tests.unit.domain.samples import DAY_MS, NOW_MS, allotment, holding, pool


def drawn(held: object, pools: list[object], units: int) -> list[tuple[str, int]]:
    """What a refill draws, as grant and units; of a shortage, nothing and whose it is."""
    plan = plan_refill(held, pools, units, NOW_MS)  # type: ignore[arg-type]
    if isinstance(plan, Shortage):
        return [("user" if plan.of_user else "organisation", -1)]
    return [(draw.pool.grant_id, draw.units) for draw in plan]


class TestPace:
    def test_of_a_newborn_nothing_is_known(self) -> None:
        assert pace(allotment(), NOW_MS) == 0

    def test_a_steady_rate_stays(self) -> None:
        held = allotment(chunk=50, rate=10_000, refilled_ms=NOW_MS - 5000)
        assert pace(held, NOW_MS) == 10_000

    def test_what_is_still_held_was_not_spent(self) -> None:
        held = holding(20, chunk=20, refilled_ms=NOW_MS - 5000)
        assert pace(held, NOW_MS) == 0

    def test_a_short_moment_tells_little(self) -> None:
        held = allotment(chunk=1, rate=1000, refilled_ms=NOW_MS - 1)
        assert 1000 <= pace(held, NOW_MS) <= 1100

    def test_a_clock_that_went_back_is_no_time_at_all(self) -> None:
        assert pace(allotment(chunk=10, refilled_ms=NOW_MS + 5000), NOW_MS) == 1000


class TestAhead:
    def test_a_users_horizon_while_the_pool_lasts(self) -> None:
        plenty = pool(available=10**6, rate=3000, rated_ms=NOW_MS)
        assert ahead(2000, 1000, plenty, NOW_MS) == 2 * HORIZON_MS // 1000

    def test_no_more_than_was_spent_before_until_that_says_something(self) -> None:
        once = pool(available=10**6, allotted=1000, members=1000, rate=3000, rated_ms=NOW_MS)
        assert [ahead(2000, spent, once, NOW_MS) for spent in (0, 1, 7, MIN_CHUNK)] == [0, 1, 7, 60]

    def test_as_long_as_the_pool_lasts_when_that_is_less(self) -> None:
        scarce = pool(available=40, members=100, rate=20_000, rated_ms=NOW_MS)
        assert ahead(5000, 1000, scarce, NOW_MS) == 5 * 2, "40 units at 20 a second are 2 seconds"
        assert ahead(100, 1000, scarce, NOW_MS) == 0

    def test_all_users_together_hold_no_more_than_the_pool_has(self) -> None:
        scarce = pool(available=70, allotted=10**6, members=1000, rate=100_000, rated_ms=NOW_MS)
        assert sum(ahead(rate, 10**6, scarce, NOW_MS) for rate in [10_000] * 8 + [2000] * 10) <= 70

    def test_a_few_for_a_user_of_whom_nothing_is_known(self) -> None:
        assert ahead(0, 0, pool(available=1000), NOW_MS) == MIN_CHUNK, "nobody came yet"
        assert ahead(0, 0, pool(available=1000, allotted=2000, members=100), NOW_MS) == 5
        assert ahead(0, 0, pool(available=1000, allotted=10_020, members=501), NOW_MS) == 0

    def test_less_where_most_users_come_once(self) -> None:
        few = [ahead(0, 0, pool(available=10**6, allotted=n, members=n), NOW_MS) for n in (10, 100, 1000)]
        assert few == [5, 1, 0]
        often = pool(available=10**6, allotted=40_000, returned=10_000, members=5000)
        assert ahead(0, 0, often, NOW_MS) == 3, "half of the six that users draw"

    def test_users_who_hold_what_they_are_given_do_not_prove_that_they_need_it(self) -> None:
        met = pool(available=10**6)
        for _ in range(5000):
            units = max(1, ahead(0, 0, met, NOW_MS))
            met = replace(
                met, available=met.available - units, allotted=met.allotted + units, members=met.members + 1
            )
        assert met.allotted < 1.2 * met.members

    def test_never_more_than_the_most(self) -> None:
        assert ahead(10**10, 10**12, pool(available=10**12), NOW_MS) == MAX_CHUNK


class TestPlanRefill:
    def test_the_need_and_some_ahead_while_the_pool_is_plentiful(self) -> None:
        assert drawn(allotment(), [pool(available=1000)], 3) == [("requests:g", MIN_CHUNK)]
        assert drawn(allotment(), [pool(available=1000)], 30) == [("requests:g", 30)]

    def test_exactly_the_need_when_the_pool_is_nearly_dry(self) -> None:
        assert drawn(allotment(), [pool(available=6)], 3) == [("requests:g", 3)]
        assert drawn(allotment(), [pool(available=1000, members=167)], 3) == [("requests:g", 3)]

    def test_what_is_available_already_is_not_drawn(self) -> None:
        assert drawn(holding(5), [pool(available=4)], 7) == [("requests:g", 2)]

    @pytest.mark.parametrize("units", [4, 5])
    def test_nothing_is_drawn_when_enough_is_available(self, units: int) -> None:
        assert plan_refill(holding(5), [pool(available=1000)], units, NOW_MS) == ()
        assert plan_refill(holding(5), [], units, NOW_MS) == (), "nor is anything short"

    def test_what_is_known_to_be_left_of_a_lowered_limit_bounds_it_too(self) -> None:
        plentiful = [pool(available=1000)]
        assert plan_refill(allotment(), plentiful, 5, NOW_MS, headroom=5) == (Draw(plentiful[0], 5),)
        assert plan_refill(allotment(), plentiful, 6, NOW_MS, headroom=5) == Shortage(of_user=True)

    def test_pools_are_drawn_in_order_of_priority_then_expiry(self) -> None:
        pools = [
            pool("late", 100, expires_ms=NOW_MS + 2),
            pool("first", 3, priority=1),
            pool("soon", 4, expires_ms=NOW_MS + 1),
        ]
        assert drawn(allotment(), pools, 10) == [("first", 3), ("soon", 4), ("late", 3)]

    def test_pools_not_in_force_give_nothing(self) -> None:
        pools = [
            pool("expired", 9, expires_ms=NOW_MS),
            pool("future", 9, starts_ms=NOW_MS + 1),
            pool("empty", 0, priority=1),
            pool("voided", 9, voided=True),
        ]
        assert drawn(allotment(), pools, 1) == [("organisation", -1)]

    def test_the_users_limit_bounds_the_organisations_pools(self) -> None:
        assert drawn(allotment(limit=5), [pool(available=1000)], 5) == [("requests:g", 5)]
        assert drawn(allotment(limit=5), [pool(available=1000)], 6) == [("user", -1)]
        assert drawn(allotment(limit=0), [], 1) == [("user", -1)]

    def test_a_users_own_grants_come_on_top_of_the_limit(self) -> None:
        pools = [pool("own", 4, user_id="ann", priority=60), pool("shared", 100)]
        assert drawn(allotment(limit=5), pools, 9) == [("shared", 5), ("own", 4)]
        assert drawn(allotment(limit=5), pools, 10) == [("user", -1)]

    def test_a_shortage_of_the_organisation_is_told_from_the_users(self) -> None:
        assert drawn(allotment(limit=50), [pool(available=4)], 5) == [("organisation", -1)]

    def test_no_more_pools_than_one_transaction_takes(self) -> None:
        pools = [pool(f"g{n:02d}", 1) for n in range(MAX_POOLS + 1)]
        assert len(drawn(allotment(), pools, MAX_POOLS)) == MAX_POOLS
        assert drawn(allotment(), pools, MAX_POOLS + 1) == [("organisation", -1)]


class TestRefill:
    def test_drawn_units_stand_behind_those_still_held(self) -> None:
        before = allotment(("a", 5, NEVER_MS), ("b", 5, NEVER_MS), used=6, available=4)
        one, other = pool("one", 50, expires_ms=NOW_MS + 9), pool("other", 50)
        after = refill(before, [Draw(one, 3), Draw(other, 4)], NOW_MS)
        assert after.held == (
            Chunk("b", 10, NEVER_MS),
            Chunk(one.key, 13, NOW_MS + 9),
            Chunk(other.key, 17, NOW_MS + DAY_MS),
        )
        assert (after.available, after.unbacked, after.until_ms) == (11, 83, NOW_MS + 9)
        assert (after.refills, after.seq, after.refilled_ms, after.chunk) == (1, 1, NOW_MS, 7)
        assert check_allotment(after) == []

    def test_units_of_the_users_own_grants_leave_the_limit_alone(self) -> None:
        after = refill(allotment(limit=5), [Draw(pool("own", user_id="ann"), 7), Draw(pool("shared"), 2)], NOW_MS)
        assert (after.available, after.unbacked, after.extra) == (9, 3, 7)
        assert check_allotment(after) == []


class TestAdopt:
    def adopted(self, before: object, share: int) -> tuple[int, int, int]:
        after = adopt(before, rev=2, plan="premium", limit=999, share=share)  # type: ignore[arg-type]
        assert check_allotment(after) == []
        assert (after.rev, after.plan, after.limit) == (2, "premium", 999)
        return after.rights, after.unbacked, after.available

    def test_a_higher_limit_adds_rights(self) -> None:
        assert self.adopted(holding(10, limit=100), 150) == (150, 140, 10)

    def test_a_lower_limit_ends_what_no_pool_backs_yet(self) -> None:
        assert self.adopted(holding(10, limit=100), 60) == (60, 50, 10)

    def test_what_is_backed_or_spent_stays(self) -> None:
        spent = replace(holding(10, limit=100), used=4, available=6)
        assert self.adopted(spent, 0) == (10, 0, 6)

    def test_a_limit_lowered_and_raised_again_is_what_it_was(self) -> None:
        before = holding(10, limit=100)
        low = adopt(before, rev=2, plan="basic", limit=5, share=5)
        back = adopt(low, rev=3, plan="basic", limit=100, share=100)
        assert (back.rights, back.unbacked) == (before.rights, before.unbacked)

    def test_it_is_guarded_as_a_change_and_counts_no_movement(self) -> None:
        after = adopt(holding(10), rev=2, plan="basic", limit=100, share=100)
        assert (after.refills, after.seq) == (1, 0)
