"""Rights that move between regions."""

import pytest

from cutlass.domain.allotments import consume, release
from cutlass.domain.invariants import check_allotment, check_pool, check_rights
from cutlass.domain.pools import NEVER_MS
from cutlass.domain.transfers import IDLE_MS, accept, accept_rights, idle, send, send_rights, to_send
from tests.unit.domain.samples import NOW_MS, allotment, holding, pool, spend


def test_sent_units_leave_the_pool_and_are_counted_for_good() -> None:
    once = send(pool(), "sydney", 30)
    twice = send(once, "sydney", 5)
    assert (twice.available, twice.sent) == (65, {"sydney": 35})
    assert check_pool(twice) == []


def test_units_arrive_once_however_often_they_are_told() -> None:
    there = accept(accept(accept(pool(), "london", 30), "london", 30), "london", 20)
    assert (there.available, there.accepted) == (130, {"london": 30})
    assert accept(there, "london", 35).available == 135
    assert check_pool(there) == []


def test_rights_move_as_pool_units_do() -> None:
    sent = send_rights(holding(10), "sydney", 30)
    assert (sent.unbacked, sent.sent, sent.available) == (60, {"sydney": 30}, 10)
    there = accept_rights(accept_rights(holding(10), "london", 30), "london", 30)
    assert (there.unbacked, there.accepted) == (120, {"london": 30})
    assert check_allotment(sent) == check_allotment(there) == []
    assert check_rights({"london": sent, "sydney": there}) == []


def test_rights_that_nobody_sent_are_found() -> None:
    there = accept_rights(holding(10), "london", 30)
    assert check_rights({"london": send_rights(holding(10), "sydney", 29), "sydney": there}) == [
        "allotment: sydney accepted 30 rights from london, which sent 29"
    ]
    assert check_rights({"sydney": there}) == ["allotment: sydney accepted 30 rights from london, which sent 0"]


def test_moving_nothing_changes_nothing() -> None:
    assert send(pool(), "sydney", 0) == accept(pool(), "sydney", 0) == pool()
    assert send_rights(holding(1), "sydney", 0) == accept_rights(holding(1), "sydney", 0) == holding(1)


def test_an_allotment_without_a_recent_decision_is_idle() -> None:
    assert idle(holding(5), NOW_MS)
    decided = consume(holding(5), spend())
    assert not idle(decided, NOW_MS + IDLE_MS)
    assert idle(decided, NOW_MS + IDLE_MS + 1)


@pytest.mark.parametrize(
    ("free", "need", "is_idle", "given"),
    [(100, 40, False, 70), (100, 40, True, 100), (40, 40, False, 40), (30, 40, False, 30), (0, 40, False, 0)],
)
def test_a_region_gives_the_need_and_half_of_what_is_left(free: int, need: int, is_idle: bool, given: int) -> None:
    assert to_send(free, need, idle=is_idle) == given


def test_a_release_gives_back_units_and_frees_the_rights_of_the_limit() -> None:
    own = pool(user_id="ann").key
    held = allotment(("a", 5, NEVER_MS), (own, 4, NEVER_MS), used=2, available=7, unbacked=95, extra=4)
    released = release(held)
    after = released.allotment
    assert released.returns == {"a": 3, own: 4}
    assert (after.available, after.unbacked, after.released, after.returned) == (0, 98, 3, 7)
    assert check_allotment(held) == check_allotment(after) == []
