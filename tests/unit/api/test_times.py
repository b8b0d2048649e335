from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutlass.api.responses import timestamp
from cutlass.api.times import parse_time


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-01T00:00:00Z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01t00:00:00z", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T01:30:00+01:30", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-11-30T22:30:00-01:30", datetime(2026, 12, 1, tzinfo=UTC)),
        ("2026-12-01T00:00:00.1234567890Z", datetime(2026, 12, 1, 0, 0, 0, 123456, tzinfo=UTC)),
        ("2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("0001-01-01T00:00:00+01:00", datetime.min.replace(tzinfo=UTC)),
        ("9999-12-31T23:59:59-01:00", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_rfc_3339_is_read(text: str, expected: datetime):
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-12-01",
        "2026-12-01T00:00:00",
        "2026-12-01 00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-12-01T24:00:00Z",
        "2026-12-01T00:00:61Z",
        "2026-12-01T00:00:00+24:00",
        "2026-12-01T00:00:00+01:60",
        "2026-12-01T00:00:00.Z",
        "0000-01-01T00:00:00Z",
        "２０２６-12-01T00:00:00Z",
        "2026-12-01T00:00:00Z\n",
    ],
)
def test_what_is_no_time_is_refused(text: str):
    with pytest.raises(ValueError, match="must"):
        parse_time(text)


ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


YEARS = {"min_value": datetime(2, 1, 2), "max_value": datetime(9998, 12, 30)}  # noqa: DTZ001 (local ones, given a zone)


@given(st.datetimes(**YEARS, timezones=ZONES))
def test_a_time_is_the_same_moment_in_any_zone(moment: datetime):
    assert parse_time(moment.isoformat()) == moment
    assert abs(parse_time(timestamp(moment)) - moment) < timedelta(milliseconds=1)


def test_a_time_without_a_zone_is_never_shown():
    with pytest.raises(ValueError, match="zone"):
        timestamp(datetime(2026, 12, 1))  # noqa: DTZ001
