"""When a mail may go out: not in quiet hours, and with a digest at the end of its hour or day."""

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.alerts import QuietHours
from cutlass.domain.quiet_hours import is_quiet, send_at
from tests.support.telling import settings

NIGHT = QuietHours(time(22), time(7), "Europe/London")
LUNCH = QuietHours(time(12), time(13), "UTC")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-22T21:59:59", "2026-11-22T21:59:59"),
        ("2026-11-22T22:00:00", "2026-11-23T07:00:00"),
        ("2026-11-23T06:59:59", "2026-11-23T07:00:00"),
        ("2026-11-23T07:00:00", "2026-11-23T07:00:00"),
        # London is an hour ahead of UTC in summer, and puts its clocks back on 25 October.
        ("2026-07-01T21:30:00", "2026-07-02T06:00:00"),
        ("2026-10-24T23:00:00", "2026-10-25T07:00:00"),
    ],
)
def test_a_night_holds_back_until_its_end(now: str, due: str) -> None:
    assert send_at(settings(quiet_hours=NIGHT), at(now)) == at(due)


def test_hours_within_a_day() -> None:
    assert send_at(settings(quiet_hours=LUNCH), at("2026-11-22T12:30:00")) == at("2026-11-22T13:00:00")
    assert send_at(settings(quiet_hours=LUNCH), at("2026-11-22T13:00:00")) == at("2026-11-22T13:00:00")


def test_hours_that_begin_and_end_alike_are_none() -> None:
    always = QuietHours(time(9), time(9), "UTC")
    assert not any(is_quiet(always, at(f"2026-11-22T{hour:02d}:00:00")) for hour in range(24))


@pytest.mark.parametrize(
    ("digest", "quiet", "now", "due"),
    [
        ("hourly", None, "2026-11-22T12:00:00", "2026-11-22T13:00:00"),
        ("hourly", None, "2026-11-22T12:59:59", "2026-11-22T13:00:00"),
        ("daily", None, "2026-11-22T07:59:59", "2026-11-22T08:00:00"),
        ("daily", None, "2026-11-22T08:00:00", "2026-11-23T08:00:00"),
        ("daily", NIGHT, "2026-11-22T12:00:00", "2026-11-23T07:00:00"),
        ("hourly", NIGHT, "2026-11-22T21:30:00", "2026-11-23T07:00:00"),
        ("hourly", LUNCH, "2026-11-22T11:15:00", "2026-11-22T13:00:00"),
    ],
)
def test_a_digest_ends_its_hour_or_day_and_keeps_the_quiet(
    digest: str, quiet: QuietHours | None, now: str, due: str
) -> None:
    assert send_at(settings(quiet_hours=quiet, digest=digest), at(now)) == at(due)


times = st.times().map(lambda t: t.replace(microsecond=0))
zones = st.sampled_from(["UTC", "Europe/London", "Australia/Sydney", "America/St_Johns", "Pacific/Apia"])


@given(
    times,
    times,
    zones,
    st.integers(1_320_000_000, 1_900_000_000),  # with the day that Samoa did without
    st.sampled_from(["off", "hourly", "daily"]),
)
def test_what_is_sent_is_never_early_never_in_the_quiet_and_never_days_late(
    start: time, end: time, zone: str, moment: int, digest: str
) -> None:
    quiet, now = QuietHours(start, end, zone), datetime.fromtimestamp(moment, UTC)
    due = send_at(settings(quiet_hours=quiet, digest=digest), now)
    assert due >= now
    assert (due - now).total_seconds() < 3 * 86_400
    local = due.astimezone(ZoneInfo(zone))
    # Clocks that are put back show the end of the quiet twice: after the first of the two they are quiet again.
    assert not is_quiet(quiet, due) or local.utcoffset() != local.replace(fold=1).utcoffset()
