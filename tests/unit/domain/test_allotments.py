"""The rules of one allotment: judging, consuming, settling, trimming."""

from dataclasses import replace

import pytest

from cutlass.domain.allotments import (
    RING_KEEP,
    RING_LIMIT,
    RING_TRIM_AT,
    Verdict,
    consume,
    earliest,
    judge,
    refuse,
    release,
    settle,
    trim,
    unspent,
)
from cutlass.domain.ids import FRESH_MS, mark_time, new_request_id
from cutlass.domain.invariants import check_allotment
from cutlass.domain.pools import NEVER_MS
from tests.unit.domain.samples import NOW_MS, allotment, holding, pool, spend

LATER = NOW_MS + 60_000


def marks(*times: int) -> frozenset[bytes]:
    return frozenset(ms.to_bytes(6) + number.to_bytes(6) for number, ms in enumerate(times))


class TestJudge:
    def test_takes_what_is_available_to_the_last_unit(self) -> None:
        assert judge(holding(5), spend(5)) is Verdict.TAKEN
        assert judge(holding(5), spend(6)) is Verdict.SHORT

    def test_knows_a_request_of_the_ring(self) -> None:
        request = spend()
        assert judge(consume(holding(5), request), request) is Verdict.REPEATED

    @pytest.mark.parametrize("off", [-FRESH_MS - 1, FRESH_MS + 1])
    def test_an_id_far_from_now_is_late(self, off: int) -> None:
        assert judge(holding(5), spend(request_id=new_request_id(NOW_MS + off))) is Verdict.LATE

    def test_an_opaque_id_is_late(self) -> None:
        assert judge(holding(5), spend(request_id="order-1")) is Verdict.LATE

    def test_an_id_not_younger_than_the_watermark_is_late(self) -> None:
        request = spend(request_id=new_request_id(NOW_MS))
        assert judge(holding(5, mark_ms=NOW_MS), request) is Verdict.LATE
        assert judge(holding(5, mark_ms=NOW_MS - 1), request) is Verdict.TAKEN

    def test_a_fence_admits_an_id_looked_up_unless_marks_were_dropped_since(self) -> None:
        request = spend(request_id="order-1", fence=3)
        assert judge(holding(5, trims=3), request) is Verdict.TAKEN
        assert judge(holding(5, trims=4), request) is Verdict.LATE

    def test_a_fenced_request_of_the_ring_is_repeated(self) -> None:
        request = spend(request_id="order-1", fence=0)
        assert judge(consume(holding(5), request), request) is Verdict.REPEATED

    @pytest.mark.parametrize("rev", [1, 3])
    def test_other_terms_on_either_side_stop_the_decision(self, rev: int) -> None:
        assert judge(holding(5, rev=2), spend(rev=rev)) is Verdict.TERMS_CHANGED

    def test_nothing_is_spent_at_or_past_an_expiry(self) -> None:
        held = allotment(("a", 5, NOW_MS), ("b", 5, NEVER_MS))
        assert judge(held, spend(now_ms=NOW_MS - 1)) is Verdict.TAKEN
        assert judge(held, spend()) is Verdict.EXPIRED

    def test_rules_are_asked_in_order(self) -> None:
        request = spend(9, rev=2)
        worst = consume(allotment(("a", 5, NOW_MS), mark_ms=LATER), request)
        steps = (
            worst,
            replace(worst, ring=frozenset()),
            replace(worst, ring=frozenset(), mark_ms=0),
            replace(worst, ring=frozenset(), mark_ms=0, rev=2),
            replace(worst, ring=frozenset(), mark_ms=0, rev=2, until_ms=NEVER_MS),
        )
        order = [Verdict.REPEATED, Verdict.LATE, Verdict.TERMS_CHANGED, Verdict.EXPIRED, Verdict.SHORT]
        assert [judge(better, request) for better in steps] == order


class TestConsumeAndRefuse:
    def test_consume_moves_units_and_remembers(self) -> None:
        request = spend(2)
        taken = consume(holding(5, total=40), request)
        assert (taken.available, taken.used, taken.total, taken.seq) == (3, 2, 42, 1)
        assert taken.ring == {request.identity.mark}
        assert taken.last is not None
        assert (taken.last.request_id, taken.last.units, taken.last.reason) == (
            request.identity.request_id,
            2,
            None,
        )
        assert check_allotment(taken) == []

    def test_refuse_takes_nothing_and_does_not_remember(self) -> None:
        request = spend(9)
        before = holding(5)
        after = refuse(before, request, "user_limit_reached")
        assert (after.available, after.used, after.refused, after.seq) == (5, 0, 1, 1)
        assert after.last is not None
        assert after.last.reason == "user_limit_reached"
        assert judge(replace(after, available=9), request) is Verdict.TAKEN


class TestUnspent:
    def test_chunks_are_spent_in_order(self) -> None:
        held = allotment(("a", 5, NEVER_MS), ("b", 5, NEVER_MS))
        left = [
            [(c.pool, units) for c, units in unspent(replace(held, used=used, available=10 - used))]
            for used in (0, 3, 5, 7, 10)
        ]
        assert left == [[("a", 5), ("b", 5)], [("a", 2), ("b", 5)], [("b", 5)], [("b", 3)], []]

    def test_reserved_returned_and_expired_units_have_left_too(self) -> None:
        held = allotment(("a", 5, NEVER_MS), ("b", 5, NEVER_MS), reserved=2, returned=2, expired=3, available=3)
        assert [(c.pool, units) for c, units in unspent(held)] == [("b", 3)]


class TestSettle:
    def test_expired_units_end_and_the_rest_stays_in_order(self) -> None:
        held = allotment(("a", 5, LATER), ("b", 5, NOW_MS), ("c", 5, NEVER_MS), used=2, available=13)
        settled = settle(held, NOW_MS)
        after = settled.allotment
        assert (settled.expired, settled.returns) == (5, {})
        assert (after.available, after.expired, after.until_ms) == (8, 5, LATER)
        assert [(c.pool, units) for c, units in unspent(after)] == [("a", 3), ("c", 5)]
        assert check_allotment(after) == []

    def test_rights_that_backed_expired_units_serve_again(self) -> None:
        held = allotment(("a", 5, NOW_MS), ("b", 5, NEVER_MS), used=2, available=8)
        after = settle(held, NOW_MS).allotment
        assert (after.unbacked, after.released) == (90 + 3, 3)
        assert check_allotment(after) == []

    @pytest.mark.parametrize("everything", [False, True])
    def test_expired_units_of_the_users_own_grants_leave_no_rights(self, everything: bool) -> None:
        own = pool(user_id="ann").key
        held = allotment((own, 5, NOW_MS), ("b", 4, NOW_MS), unbacked=96, extra=5)
        after = settle(held, NOW_MS, everything=everything).allotment
        assert (after.expired, after.unbacked, after.released) == (9, 96 + 4, 4)
        assert check_allotment(after) == []

    def test_a_spent_chunk_that_expires_ends_nothing(self) -> None:
        held = allotment(("a", 5, NOW_MS), ("b", 5, LATER), used=5, available=5)
        settled = settle(held, NOW_MS)
        assert (settled.expired, settled.allotment.available, settled.allotment.until_ms) == (0, 5, LATER)

    def test_everything_goes_back_by_pool_but_what_expired(self) -> None:
        held = allotment(("a", 5, LATER), ("b", 5, NOW_MS), ("a", 4, LATER), ("c", 1, NEVER_MS))
        settled = settle(held, NOW_MS, everything=True)
        assert (settled.returns, settled.expired) == ({"a": 9, "c": 1}, 5)
        assert (settled.allotment.available, settled.allotment.returned, settled.allotment.held) == (0, 10, ())
        assert settled.allotment.until_ms == NEVER_MS
        assert check_allotment(settled.allotment) == []

    def test_settling_is_guarded_and_counted_as_a_movement(self) -> None:
        before = allotment(("a", 5, NOW_MS))
        after = settle(before, NOW_MS).allotment
        assert (after.refills, after.seq) == (before.refills + 1, before.seq + 1)

    def test_settling_again_changes_no_amount(self) -> None:
        once = settle(allotment(("a", 5, NOW_MS), ("b", 5, LATER)), NOW_MS)
        again = settle(once.allotment, NOW_MS)
        assert (again.expired, again.returns) == (0, {})
        assert again.allotment.held == once.allotment.held

    def test_nothing_held_never_expires(self) -> None:
        assert earliest([]) == NEVER_MS


class TestRelease:
    def test_units_go_back_and_their_rights_serve_elsewhere(self) -> None:
        own = pool(user_id="ann").key
        held = allotment(("a", 5, LATER), (own, 4, LATER), used=2, available=7, unbacked=95, extra=4)
        released = release(held)
        after = released.allotment
        assert (released.returns, released.expired) == ({"a": 3, own: 4}, 0)
        assert (after.available, after.returned, after.unbacked, after.released) == (0, 7, 95 + 3, 3)


class TestTrim:
    def test_a_short_ring_stays(self) -> None:
        assert trim(marks(*range(NOW_MS - RING_TRIM_AT, NOW_MS)), 0, NOW_MS) is None

    def test_the_oldest_go_and_the_watermark_covers_them(self) -> None:
        ring = marks(*range(NOW_MS - 20, NOW_MS))
        chosen = trim(ring, 0, NOW_MS)
        assert chosen is not None
        kept = ring - chosen.marks
        assert len(kept) == RING_KEEP
        assert max(map(mark_time, chosen.marks)) == chosen.mark_ms < min(map(mark_time, kept))

    def test_the_watermark_never_goes_back(self) -> None:
        chosen = trim(marks(*([0] * 20)), NOW_MS, NOW_MS)
        assert chosen is not None
        assert chosen.mark_ms == NOW_MS

    def test_marks_of_the_future_wait(self) -> None:
        assert trim(marks(*range(NOW_MS + 1, NOW_MS + 30)), 0, NOW_MS) is None
        chosen = trim(marks(NOW_MS - 1, *range(NOW_MS + 1, NOW_MS + 30)), 0, NOW_MS)
        assert chosen is not None
        assert (len(chosen.marks), chosen.mark_ms) == (1, NOW_MS - 1)

    def test_a_ring_too_long_is_trimmed_whatever_its_times(self) -> None:
        chosen = trim(marks(*range(NOW_MS + 1, NOW_MS + RING_LIMIT + 2)), 0, NOW_MS)
        assert chosen is not None
        assert len(chosen.marks) == RING_LIMIT + 1 - RING_KEEP
