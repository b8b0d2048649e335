"""Periods at the places where calendars are odd."""

from datetime import UTC, datetime, timedelta

import pytest

from cutlass.domain.periods import Period, PeriodRule, from_millis, period_at, to_millis
from cutlass.domain.plans import PeriodKind


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("kind", "anchor", "zone", "moment", "start", "end"),
    [
        ("month", 1, "UTC", utc(2026, 11, 22, 12), utc(2026, 11, 1), utc(2026, 12, 1)),
        ("month", 1, "UTC", utc(2026, 12, 31, 23, 59, 59), utc(2026, 12, 1), utc(2027, 1, 1)),
        ("day", 1, "UTC", utc(2026, 11, 22, 12), utc(2026, 11, 22), utc(2026, 11, 23)),
        # a month without the anchor day ends it on its last day
        ("month", 31, "UTC", utc(2026, 2, 28), utc(2026, 2, 28), utc(2026, 3, 31)),
        ("month", 31, "UTC", utc(2028, 2, 29), utc(2028, 2, 29), utc(2028, 3, 31)),
        ("month", 30, "UTC", utc(2026, 2, 27, 23), utc(2026, 1, 30), utc(2026, 2, 28)),
        # local midnight, not UTC's
        ("month", 1, "Australia/Sydney", utc(2026, 10, 31, 13), utc(2026, 10, 31, 13), utc(2026, 11, 30, 13)),
        ("month", 1, "Australia/Sydney", utc(2026, 10, 31, 12, 59), utc(2026, 9, 30, 14), utc(2026, 10, 31, 13)),
        # days of 23 and 25 hours
        ("day", 1, "Europe/London", utc(2026, 3, 29, 12), utc(2026, 3, 29), utc(2026, 3, 29, 23)),
        ("day", 1, "Europe/London", utc(2026, 10, 25, 12), utc(2026, 10, 24, 23), utc(2026, 10, 26)),
        # half an hour of daylight saving
        ("day", 1, "Australia/Lord_Howe", utc(2026, 10, 3, 20), utc(2026, 10, 3, 13, 30), utc(2026, 10, 4, 13)),
        # a day that begins at 01:00, because midnight does not exist
        ("day", 1, "America/Sao_Paulo", utc(2018, 11, 4, 3), utc(2018, 11, 4, 3), utc(2018, 11, 5, 2)),
        ("day", 1, "Africa/Cairo", utc(2026, 4, 24, 5), utc(2026, 4, 23, 22), utc(2026, 4, 24, 21)),
        # Samoa had no 30 December 2011
        ("day", 1, "Pacific/Apia", utc(2011, 12, 30, 9, 59), utc(2011, 12, 29, 10), utc(2011, 12, 30, 10)),
        ("day", 1, "Pacific/Apia", utc(2011, 12, 30, 10), utc(2011, 12, 30, 10), utc(2011, 12, 31, 10)),
    ],
)
def test_a_period_runs_between_local_midnights(
    kind: str, anchor: int, zone: str, moment: datetime, start: datetime, end: datetime
) -> None:
    assert period_at(PeriodKind(kind), PeriodRule(anchor, zone), moment) == Period(start, end)


def test_an_instant_in_another_zone_is_the_same_instant() -> None:
    moment = datetime.fromisoformat("2026-12-01T01:00:00+13:00")
    assert period_at(PeriodKind.MONTH, PeriodRule(), moment).key == "20261101T0000"


def test_a_key_is_the_start_in_utc_to_the_minute() -> None:
    period = period_at(PeriodKind.DAY, PeriodRule(1, "Asia/Kathmandu"), utc(2026, 11, 22, 12))
    assert period.key == "20261121T1815"
    assert period.end_ms - period.start_ms == 86_400_000


def test_milliseconds_round_down_and_come_back() -> None:
    moment = datetime(2026, 11, 22, 12, 0, 0, 123_999, tzinfo=UTC)
    assert from_millis(to_millis(moment)) == moment.replace(microsecond=123_000)
    assert to_millis(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert to_millis(datetime(1969, 12, 31, 23, 59, 59, tzinfo=UTC)) == -1000
    assert from_millis(-1) == datetime(1970, 1, 1, tzinfo=UTC) - timedelta(milliseconds=1)
