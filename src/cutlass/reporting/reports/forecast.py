"""Forecast: when the plan's units and when all units of a meter run out, with an interval."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
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
    Forecast,
    Prognosis,
    Renewal,
    Stock,
    foresee,
)
from cutlass.reporting.reports.usage import usage_sql

_LONGEST_DAY = timedelta(hours=26)
_METHOD = (
    f"Method: {FUTURES} possible futures of up to {HORIZON_DAYS} days; each future day uses what a day of the "
    f"same weekday among the last {HISTORY_DAYS} used, drawn at random. Units are spent in the order of grants "
    "and the plan's units come anew with each period. The date is the median, the interval has 80 of 100 futures."
)
_NOTES = (
    _METHOD,
    "It knows nothing of growth, holidays or changes of plan to come, nor of demand that was refused.",
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
    """Build the report: as of the end of the period, from the days in it, 56 at most."""
    zone = ZoneInfo(spec.time_zone)
    calendar = Calendar.of(spec)
    lines = list(reckon(read(spec, calendar, questions), calendar.parts()))
    histories = _histories(spec, questions)
    start = (spec.end - timedelta(milliseconds=1)).astimezone(zone).date() + timedelta(days=1)
    seed = replace(spec, format="json").digest()  # whatever the format, the same chances
    rows: list[tuple[Value, ...]] = []
    charts: list[Chart] = []
    words: list[str] = []
    for meter in sorted({line.grant.meter for line in lines}):
        own = [line for line in lines if line.grant.meter == meter]
        history = histories.get(meter, [])
        forecast = foresee(history, _stocks(own, zone), _renewal(own, spec, zone), start, f"{seed}{meter}")
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


def _renewal(lines: Sequence[Line], spec: ReportSpec, zone: ZoneInfo) -> Renewal | None:
    """What the newest period's grants of the plan tell of the next ones."""
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

    return Renewal(sum(grant.amount for grant in current), following)


def _histories(spec: ReportSpec, questions: Questions) -> Mapping[str, list[tuple[date, int]]]:
    """Units of each meter used on each of the last days of the period, from the first on which any were."""
    start = max(spec.start, spec.end - timedelta(days=HISTORY_DAYS))
    recent = replace(spec, start=start, granularity="day")
    calendar = Calendar.of(recent)
    found: dict[str, dict[int, int]] = defaultdict(dict)
    for part, meter, charged, refunded, *_ in questions.ask(usage_sql(recent, calendar, ["meter"])):
        found[meter][int(part)] = number(charged) - number(refunded)
    histories = {}
    for meter, used in found.items():
        days = [part.number for part in calendar.parts() if part.number >= min(used)]
        histories[meter] = [(from_millis(day).date(), max(0, used.get(day, 0))) for day in days]
    return histories


def _chart(meter: str, history: Sequence[tuple[date, int]]) -> list[Chart]:
    if len(history) < 2:
        return []
    series = Series("used", tuple(used for _, used in history))
    labels = tuple(day.isoformat() for day, _ in history)
    average = grouped(sum(series.values[at] or 0 for at in range(len(history))) // len(history))
    about = f"Units of {meter} used a day, from which the forecast is drawn; {average} on average"
    return [Chart(f"{meter} used a day", "line", labels, (series,), "units", about)]
