"""From changes of an allotment to events and tallies."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.allotments import consume, refuse, settle
from cutlass.domain.ledger import EntryKind
from cutlass.domain.metering import AllotmentKey, Event, Spans, Tally, by_day, day_of, event_of, spans_with
from cutlass.domain.refills import Draw, adopt, refill
from tests.unit.domain.samples import NOW, NOW_MS, allotment, holding, pool, spend

KEY = AllotmentKey("london", "org", "ann", "requests", "20261101T0000")
LATER = NOW + timedelta(seconds=2)


def event(seq: int, *, moved: int = 0, at: object = NOW) -> Event:
    return Event(KEY, seq, at, None, moved)  # type: ignore[arg-type]


def decision(seq: int, units: int = 1, reason: str | None = None) -> Event:
    before = holding(50, seq=seq - 1)
    request = spend(units)
    after = refuse(before, request, reason) if reason else consume(before, request)
    made = event_of(KEY, before, after, LATER)
    assert made is not None
    return made


def test_a_decision_is_an_event_of_its_own_time() -> None:
    made = decision(4, units=3)
    assert (made.seq, made.at, made.moved) == (4, NOW, 0)
    assert made.entry is not None
    assert (made.entry.kind, made.entry.units, made.entry.user_id) == (EntryKind.DECISION, 3, "ann")


def test_a_refusal_is_an_event_with_its_reason() -> None:
    entry = decision(4, reason="user_limit_reached").entry
    assert entry is not None
    assert (entry.kind, entry.reason) == (EntryKind.REFUSAL, "user_limit_reached")


def test_a_birth_with_its_first_refill_moves_units() -> None:
    born = refill(allotment(), [Draw(pool(), 10)], NOW_MS)
    assert event_of(KEY, None, born, LATER) == Event(KEY, 1, LATER, None, 10)


def test_units_that_go_back_or_expire_move_out() -> None:
    before = allotment(("a", 5, NOW_MS), ("b", 7, NOW_MS + 1), seq=8)
    after = settle(before, NOW_MS, everything=True).allotment
    made = event_of(KEY, before, after, LATER)
    assert made is not None
    assert made.entry is not None
    assert (made.seq, made.at, made.moved) == (9, LATER, -12)
    assert (made.entry.kind, made.entry.units, made.entry.spent) == (EntryKind.EXPIRY, 5, (("a", 5),))


def test_changes_that_count_nothing_are_no_events() -> None:
    before = holding(5, seq=3)
    assert event_of(KEY, before, replace(before, trims=1, mark_ms=NOW_MS), LATER) is None
    assert event_of(KEY, before, adopt(before, rev=2, plan="basic", limit=9, share=9), LATER) is None
    assert event_of(KEY, None, allotment(), LATER) is None


def test_a_tally_counts_units_and_refusals_by_hour_and_feature() -> None:
    tally = Tally()
    for one in (decision(1, 3), decision(2, 4), decision(3, reason="org_limit_reached"), event(4, moved=6)):
        tally.add(one)
    assert tally.units == {(12, "default"): 7}
    assert tally.refusals == {(12, "default"): 1}
    assert (tally.moved, tally.counted) == (6, ((1, 4),))


def test_tallies_add_up() -> None:
    one, total = Tally(), Tally()
    one.add(decision(1, 3))
    one.add(event(2, moved=6))
    total.include(one)
    total.include(one)
    assert (total.units, total.moved) == ({(12, "default"): 6}, 12)


def test_what_was_counted_is_not_counted_again() -> None:
    events = [decision(1), decision(2), decision(3)]
    day = day_of(events[0])
    assert day == (KEY, "20261122")
    assert by_day(events, {day: ((1, 2),)})[day].units == {(12, "default"): 1}
    assert by_day(events, {day: ((1, 3),)}) == {}
    assert by_day([*events, *events], {})[day].units == {(12, "default"): 3}


def test_an_event_told_late_is_counted_too() -> None:
    day = day_of(decision(1))
    tallies = by_day([decision(2), decision(5)], {day: ((1, 1), (3, 4))})
    assert tallies[day].units == {(12, "default"): 2}
    assert tallies[day].counted == ((1, 5),)


@given(st.lists(st.integers(1, 30)))
def test_spans_hold_just_the_numbers_put_into_them(numbers: list[int]) -> None:
    spans: Spans = ()
    for number in numbers:
        spans = spans_with(spans, number)
        assert spans_with(spans, number) is spans
    assert [n for low, high in spans for n in range(low, high + 1)] == sorted(set(numbers))
    assert all(high + 1 < low for (_, high), (low, _) in pairwise(spans)), "spans that touch are one"


def test_days_and_allotments_are_counted_apart() -> None:
    bob = AllotmentKey("london", "org", "bob", "requests", KEY.period)
    events = [event(1), event(2, at=NOW + timedelta(days=1)), Event(bob, 1, NOW, None, 5)]
    tallies = by_day(events, {(KEY, "20261122"): ((1, 1),)})
    assert {(day, tally.counted) for day, tally in tallies.items()} == {
        ((KEY, "20261123"), ((2, 2),)),
        ((bob, "20261122"), ((1, 1),)),
    }
