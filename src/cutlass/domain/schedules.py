"""Schedules: reports that are made again and again, of the day, week or month before.

A run is due at a time of day on every day, Monday or first of a month of the organisation's IANA time zone. Where
the clocks skip that time the run is due as much later as they are put forward; where they come to it twice, the
first time. Either way every date has one run. A run covers whole spans between local midnights, so their length
follows the clocks and the spans of one schedule neither overlap nor leave a gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

MAX_SCHEDULES = 50
"""Schedules one organisation may have in one region."""


class Every(StrEnum):
    """How often a schedule runs."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A report that is made on a schedule.

    Attributes
    ----------
    region : str
        Where it was set up: that region runs it.
    at_minutes : int
        The local time of day at which a run is due, in minutes since midnight.
    report : dict
        What is asked for, without `from` and `to`.
    due_ms : int
        When the next run is due.
    last_due_ms, last_report, last_outcome : int, str or None, str or None
        The run before: its report, and `made` or the reason why there is none.
    """

    region: str
    org_id: str
    schedule_id: str
    user_id: str
    every: Every
    at_minutes: int
    time_zone: str
    report: dict[str, Any]
    due_ms: int
    created_ms: int
    last_due_ms: int = 0
    last_report: str | None = None
    last_outcome: str | None = None
    rev: int = field(default=1)


def next_due(every: Every, at_minutes: int, time_zone: str, after: datetime) -> datetime:
    """Find the first run that is due later than `after` (aware), in UTC."""
    zone = ZoneInfo(time_zone)
    at = time(*divmod(at_minutes, 60))
    days = _days(every, after.astimezone(zone).date())
    return min(due for due in (_instant(day, at, zone) for day in days) if due > after)


def covered(every: Every, time_zone: str, due: datetime) -> tuple[datetime, datetime]:
    """Return the span `[start, end)` in UTC that the run due then covers: the last whole one before it."""
    zone = ZoneInfo(time_zone)
    starts = [_instant(day, time(), zone) for day in _days(every, due.astimezone(zone).date())]
    end = max(start for start in starts if start <= due)
    # A zone that left out a day (Samoa 2011) makes two midnights one instant: the span before it is the one that
    # was.
    return max(start for start in starts if start < end), end


def _days(every: Every, around: date) -> Iterator[date]:
    """The days on which spans begin, from two before a date to two after it."""
    for step in (-3, -2, -1, 0, 1, 2):
        if every is Every.DAY:
            yield around + timedelta(days=step)
        elif every is Every.WEEK:
            yield around - timedelta(days=around.weekday()) + timedelta(weeks=step)
        else:
            year, month = divmod(around.year * 12 + around.month - 1 + step, 12)
            yield date(year, month + 1, 1)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)
