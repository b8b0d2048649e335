"""Spans of time in time zones: every instant is in one part, and SQL says the same one as the zone's own clock."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.periods import from_millis, to_millis
from cutlass.reporting.calendar import Calendar

# Half-hour and midnight changes, both hemispheres, none at all.
ZONES = ["Europe/London", "Australia/Sydney", "America/Santiago", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]
LOW, HIGH = to_millis(datetime(2027, 1, 1, tzinfo=UTC)), to_millis(datetime(2029, 1, 1, tzinfo=UTC))  # 2028 leaps


def local_name(at_ms: int, zone: str, granularity: str) -> str:
    """What the zone's clock and calendar call the part that an instant is in."""
    local = from_millis(at_ms).astimezone(ZoneInfo(zone))
    if granularity == "hour":
        offset = local.utcoffset() or timedelta()
        return f"{local:%Y-%m-%dT%H}{offset}"
    if granularity == "month":
        return f"{local:%Y-%m}"
    day = local.date() - timedelta(days=local.weekday() if granularity == "week" else 0)
    return day.isoformat()


@given(
    start=st.integers(LOW, HIGH),
    length=st.integers(1, 90 * 24),
    zone=st.sampled_from(ZONES),
    granularity=st.sampled_from(["hour", "day", "week", "month", "total"]),
    shares=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20),
)
def test_each_instant_is_in_one_part_and_sql_finds_it(
    start: int, length: int, zone: str, granularity: str, shares: list[float]
) -> None:
    end = start + length * 3_600_000
    calendar = Calendar(from_millis(start), from_millis(end), zone, granularity)
    parts = calendar.parts()
    assert parts[0].start == from_millis(start)
    assert parts[-1].end == from_millis(end)
    assert all(one.end == following.start for one, following in pairwise(parts))
    assert len({part.number for part in parts}) == len({part.label for part in parts})
    edges = [edge for part in parts[:50] for edge in (to_millis(part.start), to_millis(part.end) - 1)]
    instants = edges + [start + int(share * (end - start)) for share in shares]
    values = ", ".join(f"({at})" for at in instants)
    with duckdb.connect() as connection:
        found = connection.execute(f"SELECT at_ms, {calendar.sql()} FROM (VALUES {values}) AS t(at_ms)").fetchall()
    by_name: dict[str, set[int]] = {}
    for at, number in found:
        (part,) = [part for part in parts if part.start <= from_millis(at) < part.end and part.number == number]
        if granularity != "total":
            by_name.setdefault(local_name(at, zone, granularity), set()).add(part.number)
    assert all(len(numbers) == 1 for numbers in by_name.values()), "the clock knows one part where SQL sees two"
    assert len(set().union(*by_name.values())) == len(by_name), "the clock knows two parts where SQL sees one"


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/London", "2026-03-29", 23),
        ("Europe/London", "2026-10-25", 25),
        ("Australia/Sydney", "2026-10-04", 23),
        ("Australia/Sydney", "2026-04-05", 25),
        ("America/Santiago", "2026-09-06", 23),  # midnight itself is left out
        ("America/Santiago", "2026-04-04", 25),
        ("UTC", "2028-02-29", 24),
    ],
)
def test_a_day_has_as_many_hours_as_its_clock_shows(zone: str, day: str, hours: int) -> None:
    whole = Calendar(*month_around(day), zone, "day")
    (part,) = [part for part in whole.parts() if part.label == day]
    assert (part.end - part.start) == timedelta(hours=hours)
    inside = Calendar(part.start, part.end, zone, "hour").parts()
    assert len(inside) == hours
    assert len({part.label for part in inside}) == hours, "an hour that comes twice has two names"


def month_around(day: str) -> tuple[datetime, datetime]:
    at = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    return at - timedelta(days=10), at + timedelta(days=10)
