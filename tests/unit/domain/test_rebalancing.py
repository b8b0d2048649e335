"""How much of a grant belongs where, and whose units are taken back first."""

from dataclasses import replace

import pytest

from cutlass.domain.allotments import LastDecision
from cutlass.domain.pools import measure
from cutlass.domain.rates import WINDOW_MS, blend
from cutlass.domain.rebalancing import (
    FIRST_PAUSE_MS,
    IDLE_SWEEP_MS,
    LONGEST_PAUSE_MS,
    PULL_MS,
    SWEEP_MS,
    Stock,
    claim_sweep,
    enough,
    next_pause,
    pulls_ahead,
    to_give,
    to_pull,
    to_push,
    worth_sweeping,
)
from cutlass.domain.sights import Sight
from tests.unit.domain.samples import NOW_MS, grant, holding, pool


class TestRates:
    def test_a_steady_rate_stays(self) -> None:
        assert blend(20_000, 20, 1000) == 20_000

    def test_it_follows_a_change_within_some_windows(self) -> None:
        rate = 0
        for _ in range(50):
            rate = blend(rate, 100, 1000)
        assert 95_000 < rate <= 100_000

    def test_a_moment_does_not_make_it_jump(self) -> None:
        assert blend(10_000, 1, 0) == 10_000 + 1_000_000 // WINDOW_MS

    def test_a_pool_is_measured_by_what_is_out_so_that_no_lost_estimate_matters(self) -> None:
        first = measure(pool(available=1000), 10, NOW_MS)
        assert first.rate == 0, "one draw is no rate yet"
        lost = replace(first, allotted=30)  # another draw's estimate was overwritten, not what it drew
        assert measure(lost, 5, NOW_MS + 1000).rate == blend(0, 25, 1000)

    def test_units_that_come_back_are_no_demand(self) -> None:
        met = replace(measure(pool(available=1000, allotted=100), 0, NOW_MS), returned=80)
        assert measure(met, 1, NOW_MS + 1).rate == 0

    def test_an_empty_pool_keeps_its_rate(self) -> None:
        rated = pool(available=0, rate=5000, rated_ms=NOW_MS)
        assert rated.rate_at(NOW_MS + 60_000) == 5000
        assert replace(rated, available=1).rate_at(NOW_MS + WINDOW_MS) == 2500


class TestShares:
    @pytest.mark.parametrize(
        ("there", "here", "need", "given"),
        [
            (Stock(100, 1000), Stock(0, 1000), 1, 50),  # both last equally afterwards
            (Stock(100, 1000), Stock(0, 3000), 1, 75),
            (Stock(100, 1000), Stock(60, 3000), 1, 60),
            (Stock(100, 1000), Stock(100, 1000), 7, 7),  # even already: the need only
            (Stock(100, 0), Stock(0, 0), 1, 100),  # nobody asks there
            (Stock(5, 1000), Stock(0, 0), 9, 5),
            (Stock(0, 1000), Stock(0, 9000), 9, 0),
        ],
    )
    def test_a_region_gives_what_makes_both_last_equally(
        self, there: Stock, here: Stock, need: int, given: int
    ) -> None:
        assert to_give(there, here, need) == given

    def test_units_are_asked_of_those_who_have_more_than_their_share(self) -> None:
        others = {"a": Stock(900, 1000), "b": Stock(300, 1000), "c": Stock(0, 1000)}
        assert to_pull(Stock(0, 1000), others) == {"a": 300}
        assert to_pull(Stock(0, 1000), others, need=500) == {"a": 500}
        assert to_pull(Stock(0, 0), {"a": Stock(9, 0), "b": Stock(4, 0)}, need=11) == {"a": 9, "b": 2}
        assert to_pull(Stock(400, 1000), others) == {}

    def test_a_pool_asks_ahead_when_it_will_be_short_and_another_lasts_longer(self) -> None:
        short = pool(available=20, rate=1000, rated_ms=NOW_MS)
        assert short.cover_ms(NOW_MS) < PULL_MS
        assert pulls_ahead(short, {"a": Stock(100, 1000)}, NOW_MS) == {"a": 40}
        assert pulls_ahead(short, {"a": Stock(29, 1000)}, NOW_MS) == {}, "nearly even"
        assert pulls_ahead(replace(short, available=31), {"a": Stock(1000, 1000)}, NOW_MS) == {}, "lasts long"
        assert pulls_ahead(replace(short, rate=0), {"a": Stock(1000, 1000)}, NOW_MS) == {}, "nobody asks here"

    def test_units_are_pushed_to_regions_that_last_less(self) -> None:
        here = Stock(300, 1000)
        assert to_push(here, {"a": Stock(0, 1000), "b": Stock(290, 1000), "c": Stock(0, 0)}) == {"a": 150}
        assert to_push(Stock(0, 1000), {"a": Stock(0, 1000)}) == {}

    def test_what_is_pushed_never_exceeds_what_is_there(self) -> None:
        others = {f"r{n}": Stock(0, 10_000) for n in range(9)}
        assert sum(to_push(Stock(50, 0), others).values()) <= 50

    def test_pauses_grow_to_the_longest(self) -> None:
        assert next_pause(0) == FIRST_PAUSE_MS
        assert next_pause(4000) == 8000
        assert next_pause(LONGEST_PAUSE_MS) == LONGEST_PAUSE_MS


class TestSweeps:
    def test_one_begins_a_second_at_most(self) -> None:
        claimed = claim_sweep(pool(), NOW_MS, only_idle=False)
        assert claimed is not None
        assert claim_sweep(claimed, NOW_MS + SWEEP_MS - 1, only_idle=False) is None
        assert claim_sweep(claimed, NOW_MS + SWEEP_MS, only_idle=False) is not None

    def test_one_of_idle_users_keeps_none_of_all_users_waiting(self) -> None:
        claimed = claim_sweep(pool(), NOW_MS, only_idle=True)
        assert claimed is not None
        assert claim_sweep(claimed, NOW_MS + IDLE_SWEEP_MS - 1, only_idle=True) is None
        assert claim_sweep(claimed, NOW_MS, only_idle=False) is not None

    def test_idle_users_come_first_then_those_who_hold_most_beyond_their_next_second(self) -> None:
        now = LastDecision("r", "default", 1, NOW_MS, 0)
        busy = {"last": now, "refilled_ms": NOW_MS}
        held = {
            "idle": holding(2),
            "hoarder": holding(90, **busy),
            "quick": holding(95, rate=50_000, **busy),
            "empty": holding(0, **busy),
        }
        assert worth_sweeping(held.items(), NOW_MS, only_idle=False) == ["idle", "hoarder", "quick"]
        assert worth_sweeping(held.items(), NOW_MS, only_idle=True) == ["idle"]

    def test_it_stops_when_there_is_enough_until_the_next(self) -> None:
        assert enough(5000, 3) == 8


def test_a_sight_counts_what_is_left_anywhere_once() -> None:
    one = grant(amount=100, split={"london": 60, "sydney": 20, "oregon": 20})
    mine = pool(one.grant_id, 10, accepted={"sydney": 4, "oregon": 3})
    theirs = pool(one.grant_id, 5, sent={"london": 9})
    sight = Sight(
        "london", {one.grant_id: one}, {one.grant_id: mine}, {"sydney": {one.grant_id: theirs}, "oregon": {}}
    )
    assert sight.units() == 10 + (5 + 9 - 4) + (20 - 3)
    assert sight.sent_here(one.grant_id) == {"sydney": 9}
    assert sight.stocks(one.grant_id, NOW_MS)["oregon"] == Stock(20, 0)
    assert sight.of_user("ann").units() == 0
