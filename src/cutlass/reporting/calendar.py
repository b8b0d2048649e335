"""How a span of time is divided in a time zone: by hours, days, weeks, months or not at all.

A part has a number that SQL computes of an entry's time by plain arithmetic, the same in DuckDB and in Athena: the
local start of the part as if it were UTC, in milliseconds; of an hour its real start, for a local hour may come
twice. What the zone does in the span is written into the SQL.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cutlass.domain.periods import from_millis, to_millis
from cutlass.domain.reports import ReportSpec

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000
_MONDAY_MS = 4 * _DAY_MS  # 1970-01-05, the first Monday
_STEP = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a span: its number, when it begins and ends (UTC, within the span), and its name."""

    number: int
    start: datetime
    end: datetime
    label: str


class Calendar:
    """The parts of `[start, end)` in a zone."""

    def __init__(self, start: datetime, end: datetime, zone: str, granularity: str) -> None:
        self._start, self._end = start, end
        self.zone = ZoneInfo(zone)
        self.granularity = granularity
        self._offsets = list(_offsets(start, end, self.zone))

    @classmethod
    def of(cls, spec: ReportSpec, granularity: str | None = None) -> "Calendar":
        """Return the calendar of a report, or of its span in other parts."""
        return cls(spec.start, spec.end, spec.time_zone, granularity or spec.granularity)

    def sql(self) -> str:
        """Return the SQL of the number of the part that `at_ms` is in."""
        if self.granularity == "total":
            return "0"
        offset = _case([(until, offset) for until, offset in self._offsets])
        local = f"(at_ms + {offset})"
        if self.granularity == "hour":
            return f"({local} - {local} % {_HOUR_MS} - {offset})"
        if self.granularity == "day":
            return f"({local} - {local} % {_DAY_MS})"
        if self.granularity == "week":
            return f"({local} - ({local} - {_MONDAY_MS}) % {7 * _DAY_MS})"
        return _case([(to_millis(part.end), part.number) for part in self.parts()])

    def parts(self) -> list[Part]:
        """Return the parts in order; none is missing and none overlap."""
        if self.granularity == "total":
            return [Part(0, self._start, self._end, self._name(self._start, self._end))]
        if self.granularity == "hour":
            return list(self._hours())
        found = []
        for first, following in self._dates():
            start, end = self._midnight(first), self._midnight(following)
            if start < self._end and self._start < end:
                number = to_millis(datetime(first.year, first.month, first.day, tzinfo=UTC))
                label = f"{first:%Y-%m}" if self.granularity == "month" else first.isoformat()
                found.append(Part(number, max(start, self._start), min(end, self._end), label))
        return found

    def moment(self, at: datetime) -> str:
        """Write a time as the zone's clocks show it, with its offset."""
        return at.astimezone(self.zone).isoformat(timespec="minutes")

    def last_day(self) -> str:
        """Write the last local day of the span."""
        return self.moment(self._end - timedelta(milliseconds=1))[:10]

    def _name(self, start: datetime, end: datetime) -> str:
        return f"{self.moment(start)[:10]} to {self.moment(end - timedelta(milliseconds=1))[:10]}"

    def _hours(self) -> Iterator[Part]:
        at = to_millis(self._start)
        for until, offset in self._offsets:
            while at < until:
                number = at + offset - (at + offset) % _HOUR_MS - offset
                end = min(number + _HOUR_MS, until)
                yield Part(number, from_millis(at), from_millis(end), self.moment(from_millis(number)))
                at = end

    def _dates(self) -> Iterator[tuple[date, date]]:
        """Give the local dates that parts begin on, each with the next one."""
        day = self._start.astimezone(self.zone).date()
        last = self._end.astimezone(self.zone).date()
        if self.granularity == "week":
            day -= timedelta(days=day.weekday())
        elif self.granularity == "month":
            day = day.replace(day=1)
        while day <= last:
            if self.granularity == "month":
                following = (day + timedelta(days=32)).replace(day=1)
            else:
                following = day + timedelta(days=7 if self.granularity == "week" else 1)
            yield day, following
            day = following

    def _midnight(self, day: date) -> datetime:
        """When a local date begins: where midnight is left out, with the first moment after it."""
        naive = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - its zone comes below
        return naive.replace(tzinfo=self.zone).astimezone(UTC)


def _offsets(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """Give what the zone is ahead of UTC in milliseconds, each with the time until which it is."""

    def offset(at: datetime) -> int:
        return (at.astimezone(zone).utcoffset() or timedelta()) // timedelta(milliseconds=1)

    at = start
    while at < end:
        following = min(at + _STEP, end)
        if offset(at) != offset(following):
            low, high = at, following
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if offset(middle) == offset(at) else (low, middle)
            change = high.replace(microsecond=0)
            yield to_millis(change), offset(at)
            at = change
        else:
            at = following
    yield to_millis(end), offset(end - timedelta(milliseconds=1))


def _case(limits: list[tuple[int, int]]) -> str:
    """Return the SQL of the first value whose limit is above `at_ms`."""
    *before, (_, last) = limits
    if not before:
        return str(last)
    return (
        "CASE " + " ".join(f"WHEN at_ms < {until} THEN {value}" for until, value in before) + f" ELSE {last} END"
    )
