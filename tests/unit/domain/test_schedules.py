"""Schedules run once on every date, and their spans leave no gap, wherever the clocks are moved."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.schedules import Every, covered, next_due

ZONES = ["Europe/London", "Australia/Lord_Howe", "America/New_York", "Pacific/Apia", "America/Sao_Paulo"]


def runs(every: Every, at: int, zone: str, since: datetime, count: int) -> list[datetime]:
    found = []
    for _ in range(count):
        since = next_due(every, at, zone, since)
        found.append(since)
    return found


def local(moment: datetime, zone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


def test_a_time_of_day_that_is_skipped_comes_later_and_one_that_is_repeated_comes_once() -> None:
    zone, at = "Europe/London", 90  # 01:30; on 2026-03-29 the clocks go from 01:00 to 02:00
    spring = runs(Every.DAY, at, zone, datetime(2026, 3, 28, tzinfo=UTC), 3)
    assert [local(due, zone) for due in spring] == ["2026-03-28 01:30", "2026-03-29 02:30", "2026-03-30 01:30"]
    autumn = runs(Every.DAY, at, zone, datetime(2026, 10, 24, tzinfo=UTC), 3)  # on the 25th 01:30 comes twice
    assert [local(due, zone) for due in autumn] == ["2026-10-24 01:30", "2026-10-25 01:30", "2026-10-26 01:30"]
    assert autumn[1] == datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "the first of the two"


def test_the_day_the_clocks_change_is_covered_whole() -> None:
    start, end = covered(Every.DAY, "Europe/London", datetime(2026, 3, 30, 6, tzinfo=UTC))
    assert (start, end) == (datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 29, 23, tzinfo=UTC))
    start, end = covered(Every.DAY, "Australia/Lord_Howe", datetime(2026, 4, 6, tzinfo=UTC))
    assert end - start == timedelta(hours=24, minutes=30), "its clocks move by half an hour"


def test_months_and_leap_days() -> None:
    start, end = covered(Every.MONTH, "America/New_York", datetime(2028, 3, 1, 12, tzinfo=UTC))
    assert (start, end) == (datetime(2028, 2, 1, 5, tzinfo=UTC), datetime(2028, 3, 1, 5, tzinfo=UTC))
    due = next_due(Every.MONTH, 360, "America/New_York", datetime(2028, 1, 31, 12, tzinfo=UTC))
    assert local(due, "America/New_York") == "2028-02-01 06:00"


def test_weeks_begin_on_monday() -> None:
    due = next_due(Every.WEEK, 0, "UTC", datetime(2026, 11, 22, 12, tzinfo=UTC))  # a Sunday
    assert due == datetime(2026, 11, 23, tzinfo=UTC)
    assert covered(Every.WEEK, "UTC", due) == (datetime(2026, 11, 16, tzinfo=UTC), due)


def test_a_date_that_never_was_has_no_run_and_no_span() -> None:
    zone = "Pacific/Apia"  # it went from 29 to 31 December 2011
    found = runs(Every.DAY, 360, zone, datetime(2011, 12, 29, tzinfo=UTC), 3)
    assert [local(due, zone)[:10] for due in found] == ["2011-12-29", "2011-12-31", "2012-01-01"]
    spans = [covered(Every.DAY, zone, due) for due in found]
    assert all(start < end for start, end in spans)
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]


@pytest.mark.parametrize("every", Every)
@given(
    st.sampled_from(ZONES),
    st.integers(0, 1439),
    st.integers(1_230_768_000, 2_208_988_800).map(lambda at: datetime.fromtimestamp(at, UTC)),  # 2009 to 2040
)
def test_runs_follow_one_another_and_their_spans_touch(every: Every, zone: str, at: int, since: datetime) -> None:
    found = runs(every, at, zone, since, 8)
    assert found == sorted(set(found))
    dates = [local(due, zone)[:10] for due in found]
    assert len(set(dates)) == len(dates), "a date has two runs"
    spans = [covered(every, zone, due) for due in found]
    assert all(start < end <= due for (start, end), due in zip(spans, found, strict=True))
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]], "a gap or an overlap"
