"""Usage: units and decisions over time, by user, feature, meter and region."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from cutlass.domain.reports import ReportSpec
from cutlass.reporting.calendar import Calendar
from cutlass.reporting.model import (
    Chart,
    Column,
    Kind,
    Report,
    Series,
    Table,
    Value,
    count,
    grouped,
    number,
    text,
    units,
)
from cutlass.reporting.query import Questions
from cutlass.reporting.reports.base import (
    condition,
    facts,
    group_column,
    grouped_by,
    groups_of,
    labels,
    newest,
    span_in_words,
    sql_of,
)

_TOP = 10


def usage_sql(spec: ReportSpec, calendar: Calendar, groups: list[str]) -> str:
    """Return the question: per part and group the units charged and refunded, the decisions and the refunds."""
    columns = ", ".join(sql_of(group) for group in groups)

    def total(column: str, kind: str) -> str:
        return f"CAST(COALESCE(SUM(CASE WHEN kind = '{kind}' THEN {column} END), 0) AS BIGINT)"

    return (
        f"SELECT {calendar.sql()} AS part, {columns}, {total('units', 'decision')} AS charged, "
        f"{total('units', 'refund')} AS refunded, "
        f"{total('entries', 'decision')} AS decisions, {total('entries', 'refund')} AS refunds "
        f"FROM entries WHERE {condition(spec, ('decision', 'refund'))} {grouped_by(groups)}"
    )


def build(spec: ReportSpec, questions: Questions) -> Report:
    """Build the report."""
    calendar, groups = Calendar.of(spec), groups_of(spec)
    names = labels(calendar)
    answer = questions.ask(usage_sql(spec, calendar, groups))
    columns = (
        text("period", "Period"),
        *map(group_column, groups),
        units("used", "Used"),
        units("charged", "Charged"),
        units("refunded", "Refunded"),
        count("decisions", "Decisions", "decisions"),
        count("refunds", "Refunds", "refunds"),
    )
    rows = [_row(row, names, len(groups)) for row in answer]
    totals = _totals(rows, columns, groups.index("meter"))
    words = "; ".join(f"{grouped(number(row[1]))} units of {row[0]}" for row in totals.rows)
    return Report(
        spec=spec,
        title="Usage",
        headline=f"{words or 'Nothing'} used, {span_in_words(spec)}.",
        figures=tuple((f"{row[0]} used", grouped(number(row[1]))) for row in totals.rows),
        tables=(Table("usage", "Usage", columns, rows), totals),
        charts=_charts(rows, calendar, columns, groups),
        notes=("Used is what was charged less what was refunded, in the part of the period it happened in.",),
        until=newest(questions, spec),
        facts=facts(spec),
    )


def _row(row: tuple[Any, ...], names: Mapping[int, str], groups: int) -> tuple[Value, ...]:
    part, *rest = row
    charged, refunded, *counts = rest[groups:]
    return (names[part], *rest[:groups], charged - refunded, charged, refunded, *counts)


def _totals(rows: list[tuple[Value, ...]], columns: tuple[Column, ...], meter: int) -> Table:
    """Sum the rows by meter."""
    numbers = [place for place, column in enumerate(columns) if column.kind is Kind.NUMBER]
    sums: dict[Value, list[int]] = defaultdict(lambda: [0] * len(numbers))
    for row in rows:
        for at, place in enumerate(numbers):
            sums[row[1 + meter]][at] += number(row[place])
    found = [(name, *sums[name]) for name in sorted(sums, key=str)]
    return Table("totals", "Totals", (text("meter", "Meter"), *(columns[place] for place in numbers)), found)


def _charts(
    rows: list[tuple[Value, ...]], calendar: Calendar, columns: tuple[Column, ...], groups: list[str]
) -> tuple[Chart, ...]:
    """Draw each meter's use over time, and who or what used most of it."""
    names = [column.name for column in columns]
    used, meter = names.index("used"), names.index("meter")
    charts = []
    for one in sorted({str(row[meter]) for row in rows}):
        own = [row for row in rows if row[meter] == one]
        parts = [part.label for part in calendar.parts()]
        if len(parts) > 1:
            over: dict[str, int] = defaultdict(int)
            for row in own:
                over[str(row[0])] += number(row[used])
            series = Series("used", tuple(over[part] for part in parts))
            about = f"Units of {one} used in each {calendar.granularity}"
            charts.append(Chart(f"{one} over time", "line", tuple(parts), (series,), "units", about))
        for group in groups:
            if group != "meter":
                charts += [_top(own, names.index(group), used, f"{one} by {group}")]
    return tuple(chart for chart in charts if len(chart.labels) > 1)


def _top(rows: list[tuple[Value, ...]], group: int, used: int, title: str) -> Chart:
    by: dict[str, int] = defaultdict(int)
    for row in rows:
        by[str(row[group] or "none")] += number(row[used])
    most = sorted(by.items(), key=lambda pair: (-pair[1], pair[0]))
    shown, rest = most[:_TOP], sum(value for _, value in most[_TOP:])
    if rest:
        shown.append((f"{len(most) - _TOP} others", rest))
    names, values = tuple(name for name, _ in shown), tuple(value for _, value in shown)
    return Chart(title, "bar", names, (Series("used", values),), "units", f"Units used, {title}")
