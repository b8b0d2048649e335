"""Ledger entries and where a request id is found again."""

import uuid

from cutlass.domain.allotments import LastDecision
from cutlass.domain.ids import FRESH_MS, decision_id, new_request_id
from cutlass.domain.ledger import (
    SEGMENT_MS,
    EntryKind,
    LedgerEntry,
    refusal_id,
    segment_start,
    segments_of,
    was_fresh,
)
from tests.unit.domain.samples import NOW, NOW_MS

REQUEST = new_request_id(NOW_MS)


def entry(reason: str | None = None) -> LedgerEntry:
    last = LastDecision(REQUEST, "default", 3, NOW_MS, 77, reason)
    return LedgerEntry.of_last(
        last,
        region="london",
        org_id="org",
        user_id="ann",
        meter="requests",
        after=10,
        plan="basic",
        limit=100,
        refusal="refusal-1",
    )


def test_an_allowed_decision_moves_the_usage() -> None:
    made = entry()
    assert (made.kind, made.before, made.after, made.units) == (EntryKind.DECISION, 7, 10, 3)
    assert made.entry_id == decision_id("org", "ann", "requests", REQUEST)
    assert (made.at, made.fingerprint, made.reason) == (NOW, 77, None)


def test_a_refusal_moves_nothing() -> None:
    made = entry("user_limit_reached")
    assert (made.kind, made.before, made.after, made.units) == (EntryKind.REFUSAL, 10, 10, 3)
    assert (made.entry_id, made.reason) == ("refusal-1", "user_limit_reached")


def test_segments_begin_every_two_seconds() -> None:
    assert segment_start(NOW_MS) == NOW_MS
    assert segment_start(NOW_MS + SEGMENT_MS - 1) == NOW_MS
    assert segment_start(NOW_MS - 1) == NOW_MS - SEGMENT_MS


def test_a_request_is_looked_for_on_both_sides_of_its_time() -> None:
    around = [NOW_MS + n * SEGMENT_MS for n in (-3, -2, -1, 0, 1, 2)]
    assert segments_of(REQUEST) == around
    assert segments_of(new_request_id(NOW_MS + 1000)) == [*around[1:], around[-1] + SEGMENT_MS]


def test_an_opaque_id_is_in_no_segment() -> None:
    assert segments_of("order-1234") == []
    assert segments_of(str(uuid.UUID(int=5))) == []
    assert not was_fresh("order-1234", NOW_MS)


def test_what_was_fresh_is_found_by_its_time() -> None:
    assert was_fresh(REQUEST, NOW_MS + FRESH_MS)
    assert not was_fresh(REQUEST, NOW_MS + FRESH_MS + 1)


def test_refusals_of_one_request_differ_by_their_number_period_and_region() -> None:
    ids = {
        refusal_id("org", "ann", "requests", seq, period, region)
        for seq in (1, 2)
        for period in ("20261101T0000", "20261201T0000")
        for region in ("london", "sydney")
    }
    assert len(ids) == 8
