"""Periods: the day or month after which included units are granted anew.

A period begins at local midnight, of every day or of the anchor day of every month, in the organisation's
IANA time zone. Its end is computed by the same function as the next one's start, so no instant lies in two
periods or in none, also where daylight saving moves the clock.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cutlass.domain.plans import PeriodKind


def to_millis(moment: datetime) -> int:
    """Milliseconds since 1970 of an aware datetime."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def from_millis(millis: int) -> datetime:
    """The UTC datetime of milliseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)


@dataclass(frozen=True, slots=True)
class PeriodRule:
    """Where an organisation's periods begin: the day of the month (1–31) and the IANA time zone.

    In a month without that day the last day stands in for it.
    """

    anchor_day: int = 1
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """A half-open span of time `[start, end)`, both in UTC."""

    start: datetime
    end: datetime

    @property
    def key(self) -> str:
        """The period's name in item keys: its start in UTC, to the minute."""
        return period_key(self.start)

    @property
    def start_ms(self) -> int:
        """The start in milliseconds since 1970."""
        return to_millis(self.start)

    @property
    def end_ms(self) -> int:
        """The end in milliseconds since 1970."""
        return to_millis(self.end)


def period_key(start: datetime) -> str:
    """Name the period that begins at `start` (UTC); names sort by time."""
    return start.strftime("%Y%m%dT%H%M")


def period_start(key: str) -> datetime:
    """The start (UTC) of the period that `period_key` names so."""
    return datetime.strptime(f"{key}+0000", "%Y%m%dT%H%M%z")


def period_at(kind: PeriodKind, rule: PeriodRule, moment: datetime) -> Period:
    """Find the period of `kind` under `rule` that `moment` (aware) lies in."""
    zone = ZoneInfo(rule.time_zone)
    day = moment.astimezone(zone).date()
    if kind is PeriodKind.DAY:
        candidates = [day + timedelta(days=offset) for offset in (-1, 0, 1, 2)]
    else:
        candidates = [_anchor(day, rule.anchor_day, months) for months in (-1, 0, 1, 2)]
    starts = [_local_midnight(candidate, zone) for candidate in candidates]
    # A zone that changed its offset by a day (Samoa 2011) makes two midnights the same instant.
    start = max(s for s in starts if s <= moment)
    end = min(s for s in starts if s > moment)
    return Period(start, end)


def _anchor(day: date, anchor_day: int, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return date(year, month + 1, min(anchor_day, calendar.monthrange(year, month + 1)[1]))


def _local_midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
