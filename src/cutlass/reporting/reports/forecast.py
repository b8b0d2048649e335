"""Forecast: when the plan's units and when all units of a meter run out, with an interval."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from cutlass.domain.grants import Category
from cutlass.domain.periods import PeriodRule, from_millis, period_at
from cutlass.domain.plans import PeriodKind
from cutlass.domain.reports import ReportSpec
from cutlass.reporting.calendar import Calendar
from cutlass.reporting.model import Chart, Report, Series, Table, Value, count, grouped, number, text, units
from cutlass.reporting.query import Questions
from cutlass.reporting.reports.balances import Line, read, reckon
from cutlass.reporting.reports.base import facts, newest
from cutlass.reporting.reports.prognosis import (
    FUTURES,
    HISTORY_DAYS,
    HORIZON_DAYS,
    WEEKS_FOR_WEEKDAYS,
    Forecast,
    Prognosis,
    Renewal,
    Stock,
    foresee,
)
from cutlass.reporting.reports.usage import usage_sql

_LONGEST_DAY = timedelta(hours=26)
_METHOD = (
    f"Method: {FUTURES} possible futures of up to {HORIZON_DAYS} days; each draws which of the last "
    f"{HISTORY_DAYS} days it knows, and each of its days uses what one of those of the same weekday used, carried "
    "along their trend for as many days as were seen. Units are spent in the order of grants and the plan's units "
    "come anew with each period. The date is the median, the interval has 80 of 100 futures."
)
_DAYS = (
    f"Of fewer than {7 * WEEKS_FOR_WEEKDAYS} days neither weekdays nor a trend are told. A day that is not over "
    "counts as one to come."
)
_NOTES = (
    _METHOD,
    _DAYS,
    "It knows nothing of holidays or changes of plan to come, nor of demand that was refused.",
)
_COLUMNS = (
    text("meter", "Meter"),
    text("what", "What runs out"),
    units("left", "Left"),
    units("per_day", "Used per day"),
    text("early", "Early (10 of 100)"),
    text("date", "Date (median)"),
    text("late", "Late (90 of 100)"),
    count("days", "Days of history", "days"),
)


def build(spec: ReportSpec, questions: Questions) -> Report:
    """Build the report: as of the end of the period, from the last whole days in it."""
    zone = ZoneInfo(spec.time_zone)
    calendar = Calendar.of(spec)
    lines = list(reckon(read(spec, calendar, questions), calendar.parts()))
    start = spec.end.astimezone(zone).date()
    histories = _histories(spec, start, zone, questions)
    seed = replace(spec, format="json").digest()  # whatever the format, the same chances
    rows: list[tuple[Value, ...]] = []
    charts: list[Chart] = []
    words: list[str] = []
    for meter in sorted({line.grant.meter for line in lines}):
        own = [line for line in lines if line.grant.meter == meter]
        history = histories.get(meter, [])
        forecast = foresee(history, _stocks(own, zone), _renewal(own, spec, start, zone), start, f"{seed}{meter}")
        rows += _rows(meter, own, history, forecast)
        charts += _chart(meter, history)
        words.append(f"{meter} {_in_words(forecast.everything)}")
    return Report(
        spec=spec,
        title="Forecast",
        headline=f"{'; '.join(words) or 'There are no grants'}, as of {Calendar.of(spec).moment(spec.end)[:10]}.",
        figures=tuple((f"{row[0]}: {row[1]}", str(row[5])) for row in rows),
        tables=(Table("forecast", "Forecast", _COLUMNS, rows),),
        charts=tuple(charts),
        notes=_NOTES,
        until=newest(questions, spec),
        facts=facts(spec),
    )


def _in_words(found: Prognosis) -> str:
    if found.middle is None:
        return f"will last {HORIZON_DAYS} days and more"
    late = found.late.isoformat() if found.late else "later"
    early = found.early.isoformat() if found.early else "later"
    return f"will run out about {found.middle} ({early} to {late})"


def _rows(
    meter: str, lines: Sequence[Line], history: Sequence[tuple[date, int]], forecast: Forecast
) -> list[tuple[Value, ...]]:
    plan = sum(line.closing for line in lines if line.grant.category == Category.PLAN)
    left = sum(line.closing for line in lines)
    per_day = sum(used for _, used in history) // max(len(history), 1)

    def dates(found: Prognosis) -> tuple[str, ...]:
        never = f"after {HORIZON_DAYS} days"
        return tuple(day.isoformat() if day else never for day in (found.early, found.middle, found.late))

    return [
        (meter, "the plan's units of a period", plan, per_day, *dates(forecast.limit), len(history)),
        (meter, "everything", left, per_day, *dates(forecast.everything), len(history)),
    ]


def _stocks(lines: Sequence[Line], zone: ZoneInfo) -> list[Stock]:
    """What is left and not set aside, in the order of spending."""
    found = []
    for line in sorted(lines, key=lambda line: line.grant.order):
        ends = line.grant.ends_ms
        until = None if ends is None else from_millis(ends).astimezone(zone).date()
        if line.closing > line.aside:
            found.append(Stock(line.closing - line.aside, until, line.grant.category == Category.PLAN))
    return found


def _renewal(lines: Sequence[Line], spec: ReportSpec, start: date, zone: ZoneInfo) -> Renewal | None:
    """What the newest period's grants of the plan tell of the next ones; the first may begin with the forecast."""
    plans = [line.grant for line in lines if line.grant.category == Category.PLAN and line.grant.ends_ms]
    if not plans:
        return None
    newest_end = max(grant.ends_ms or 0 for grant in plans)
    current = [grant for grant in plans if grant.ends_ms == newest_end]
    first = from_millis(min(grant.effective_ms for grant in current)).astimezone(zone)
    end = from_millis(newest_end).astimezone(zone)
    kind = PeriodKind.DAY if end - first <= _LONGEST_DAY else PeriodKind.MONTH
    rule = PeriodRule(end.day, spec.time_zone)

    def following(day: date) -> date:
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=zone)
        return period_at(kind, rule, noon).end.astimezone(zone).date()

    return Renewal(sum(grant.amount for grant in current), max(start, end.date()), following)


def _histories(
    spec: ReportSpec, until: date, zone: ZoneInfo, questions: Questions
) -> Mapping[str, list[tuple[date, int]]]:
    """Units of each meter used on each of the last whole days of the period, from the first on which any were."""
    whole = spec.start.astimezone(zone).date()
    if _midnight(whole, zone) < spec.start:
        whole += timedelta(days=1)
    first = max(whole, until - timedelta(days=HISTORY_DAYS))
    if first >= until:
        return {}
    recent = replace(spec, start=_midnight(first, zone), end=_midnight(until, zone), granularity="day")
    calendar = Calendar.of(recent)
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for part, meter, charged, refunded, *_ in questions.ask(usage_sql(recent, calendar, ["meter"])):
        found[meter][int(part)] = number(charged) - number(refunded)
    histories = {}
    for meter, used in found.items():
        days = [part.number for part in calendar.parts() if part.number >= min(used)]
        histories[meter] = [(from_millis(day).date(), max(0, used.get(day, 0))) for day in days]
    return histories


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _chart(meter: str, history: Sequence[tuple[date, int]]) -> list[Chart]:
    if len(history) < 2:
        return []
    series = Series("used", tuple(used for _, used in history))
    labels = tuple(day.isoformat() for day, _ in history)
    average = grouped(sum(series.values[at] or 0 for at in range(len(history))) // len(history))
    about = f"Units of {meter} used a day, from which the forecast is drawn; {average} on average"
    return [Chart(f"{meter} used a day", "line", labels, (series,), "units", about)]
