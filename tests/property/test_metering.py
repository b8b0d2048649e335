"""However the changes of allotments are cut into batches and told again, each is counted once."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.allotments import Allotment, consume, refuse, settle
from cutlass.domain.metering import AllotmentKey, DayKey, Event, Spans, Tally, by_day, event_of
from cutlass.domain.periods import from_millis, to_millis
from cutlass.domain.refills import Draw, adopt, refill
from tests.unit.domain.samples import NOW, NOW_MS, allotment, pool, spend

KEYS = [AllotmentKey("london", "org", user, "requests", "20261101T0000") for user in ("ann", "bob")]
NEARLY_MIDNIGHT = NOW_MS + 43_200_000 - 30_000

steps = st.tuples(
    st.integers(0, 1),
    st.sampled_from(["decide", "decide", "refuse", "refill", "settle", "trim", "adopt"]),
    st.integers(1, 9),
    st.integers(-2_000, 20_000),  # clocks of two servers: time may also go back
)


class Reference:
    """A plain count, made as things happen."""

    def __init__(self) -> None:
        self.units: Counter[tuple[str, str, int]] = Counter()
        self.refusals: Counter[tuple[str, str, int]] = Counter()
        self.moved: Counter[str] = Counter()


def changed(held: Allotment, what: str, units: int, now_ms: int) -> Allotment:
    match what:
        case "decide" if held.available >= units:
            return consume(held, spend(units, now_ms=now_ms))
        case "decide" | "refuse":
            return refuse(held, spend(units, now_ms=now_ms), "user_limit_reached")
        case "refill":
            return refill(held, [Draw(pool(), units)], now_ms)
        case "settle":
            return settle(held, now_ms, everything=True).allotment
        case "trim":
            return replace(held, trims=held.trims + 1, mark_ms=now_ms, ring=frozenset())
        case _:
            return adopt(held, rev=held.rev + 1, plan="basic", limit=units, share=units)


def told(history: list[tuple[int, str, int, int]]) -> tuple[list[Event], Reference]:
    """Live through a history; returns its events in the order of the stream, and the reference count."""
    held: dict[AllotmentKey, Allotment] = {}
    events, reference, now_ms = [], Reference(), NEARLY_MIDNIGHT
    for who, what, units, wait in history:
        key, now_ms = KEYS[who], now_ms + wait
        old = held.get(key)
        new = changed(old or allotment(), what if old else "refill", units, now_ms)
        held[key] = new
        if event := event_of(key, old, new, from_millis(now_ms)):
            events.append(event)
        at = from_millis(now_ms)
        slot = key.user_id, f"{at:%Y%m%d}", at.hour
        reference.units[slot] += new.used - (old.used if old else 0)
        reference.refusals[slot] += new.refused - (old.refused if old else 0)
        for item, sign in ((new, 1), (old, -1)):
            reference.moved[key.user_id] += sign * (item.drawn - item.returned - item.expired) if item else 0
    return events, reference


def counted(batches: list[list[Event]]) -> Reference:
    """Count batches as the usage table does: a day's tally and the events it has counted change together."""
    seen: dict[DayKey, Spans] = {}
    result = Reference()
    for batch in batches:
        for (key, date), tally in by_day(batch, seen).items():
            seen[key, date] = tally.counted
            whole = Tally()
            whole.include(tally)
            for (hour, _), units in whole.units.items():
                result.units[key.user_id, date, hour] += units
            for (hour, _), refusals in whole.refusals.items():
                result.refusals[key.user_id, date, hour] += refusals
            result.moved[key.user_id] += whole.moved
    return result


@st.composite
def cuts(draw: st.DrawFn, length: int) -> list[tuple[int, int]]:
    """Batches over a stream of so many records; each begins where an earlier one ended, or before that."""
    batches, reached = [], 0
    while reached < length:
        start = draw(st.integers(max(0, reached - 6), reached))
        end = draw(st.integers(reached, length))
        batches.append((start, end))
        reached = max(reached, end if len(batches) < 30 else length)
        if reached == length and batches[-1][1] < length:
            batches.append((start, length))
    return batches


@given(st.lists(steps, max_size=30), st.data())
def test_every_event_is_counted_once(history: list[tuple[int, str, int, int]], data: st.DataObject) -> None:
    events, reference = told(history)
    batches = [events[start:end] for start, end in data.draw(cuts(len(events)))]
    batches = data.draw(st.permutations(batches), "in any order")
    result = counted(batches)
    assert +result.units == +reference.units
    assert +result.refusals == +reference.refusals
    assert Counter(result.moved) == reference.moved


@given(st.lists(steps, max_size=30))
def test_telling_all_again_counts_nothing(history: list[tuple[int, str, int, int]]) -> None:
    events, _ = told(history)
    once, twice = counted([events]), counted([events, events])
    assert (once.units, once.refusals, once.moved) == (twice.units, twice.refusals, twice.moved)


@given(st.lists(steps, min_size=1, max_size=30))
def test_events_are_numbered_and_decisions_keep_their_own_time(history: list[tuple[int, str, int, int]]) -> None:
    events, _ = told(history)
    for key in KEYS:
        numbers = [event.seq for event in events if event.key == key]
        assert numbers == list(range(1, len(numbers) + 1)), "a gap would look like a lost event"
    for event in events:
        assert event.at >= NOW - timedelta(days=1)
        if event.entry:
            assert to_millis(event.entry.at) == to_millis(event.at)
