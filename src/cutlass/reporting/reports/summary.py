"""The executive summary: what was used, refused and granted, against the span before, on one page."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from cutlass.domain.reports import ReportSpec
from cutlass.reporting.calendar import Calendar
from cutlass.reporting.model import Chart, Report, Table, Value, count, grouped, number, text, units
from cutlass.reporting.query import Questions
from cutlass.reporting.reports import statement, usage
from cutlass.reporting.reports.base import condition, facts, span_in_words

_COLUMNS = (
    text("meter", "Meter"),
    units("used", "Used"),
    units("used_before", "Used before"),
    text("change", "Change"),
    count("decisions", "Decisions", "decisions"),
    count("refusals", "Refusals", "refusals"),
    count("users", "Active users", "users"),
    units("granted", "Granted"),
    units("expired", "Expired"),
    units("left", "Left"),
)


def build(spec: ReportSpec, questions: Questions) -> Report:
    """Build the report."""
    now, before = _figures(spec, questions), _figures(_span_before(spec), questions)
    statements = statement.build(replace(spec, granularity="total"), questions)
    balances = {row[1]: row for row in statements.tables[1].rows}
    rows = []
    for meter in sorted({*now, *before, *map(str, balances)}):
        used, decisions, refusals, users = now.get(meter, (0, 0, 0, 0))
        earlier = before.get(meter, (0, 0, 0, 0))[0]
        _, _, _, granted, _, _, _, expired, _, left = balances.get(meter, (None, None, *[0] * 8))
        rows.append(
            (meter, used, earlier, _change(used, earlier), decisions, refusals, users, granted, expired, left)
        )
    over = usage.build(replace(spec, group_by=("user",)), questions)
    features = usage.build(replace(spec, group_by=("feature",), granularity="total"), questions)
    words = "; ".join(f"{grouped(number(row[1]))} units of {row[0]} used ({row[3]})" for row in rows)
    return Report(
        spec=spec,
        title="Executive summary",
        headline=f"{words or 'Nothing was used'}, {span_in_words(spec)}.",
        figures=tuple(pair for row in rows for pair in _headline_figures(row)),
        tables=(Table("summary", "Summary", _COLUMNS, rows), _top(features, "feature", "Features")),
        charts=(*_over_time(over), *[chart for chart in features.charts if chart.sort == "bar"]),
        notes=(f"Before is {span_in_words(_span_before(spec))}, as long as the period.", statements.notes[1]),
        until=over.until,
        facts=facts(spec),
    )


def _span_before(spec: ReportSpec) -> ReportSpec:
    """The span of the same length that ends where the report's begins; of whole months as many months."""
    zone = Calendar.of(spec)
    first, last = (datetime.fromisoformat(zone.moment(at)) for at in (spec.start, spec.end))
    if (first.day, first.hour, first.minute) == (last.day, last.hour, last.minute) == (1, 0, 0):
        months = (last.year - first.year) * 12 + last.month - first.month
        year, month = divmod(first.year * 12 + first.month - 1 - months, 12)
        start = datetime(year, month + 1, 1, tzinfo=zone.zone).astimezone(spec.start.tzinfo)
        return replace(spec, start=start, end=spec.start)
    return replace(spec, start=spec.start - (spec.end - spec.start), end=spec.start)


def _figures(spec: ReportSpec, questions: Questions) -> dict[str, tuple[int, int, int, int]]:
    """Units used, decisions, refusals and active users of each meter."""

    def total(column: str, kind: str) -> str:
        return f"COALESCE(SUM(CASE WHEN kind = '{kind}' THEN {column} END), 0)"

    sql = (
        f"SELECT meter, {total('units', 'decision')} - {total('units', 'refund')} AS used, "
        f"{total('entries', 'decision')} AS decisions, {total('entries', 'refusal')} AS refusals, "
        "COUNT(DISTINCT CASE WHEN kind = 'decision' THEN user_id END) AS users "
        f"FROM entries WHERE {condition(spec, ('decision', 'refund', 'refusal'))} GROUP BY 1"
    )

    def four(row: tuple[Any, ...]) -> tuple[int, int, int, int]:
        used, decisions, refusals, users = map(number, row[1:])
        return used, decisions, refusals, users

    return {row[0]: four(row) for row in questions.ask(sql)}


def _change(now: int, before: int) -> str:
    """Write a change in percent, rounded half away from zero, without floating point."""
    if not before:
        return "new" if now else "none"
    tenths = (abs(now - before) * 2000 + before) // (2 * before)
    sign = "+" if now > before else "-" if now < before else ""
    return f"{sign}{tenths // 10}.{tenths % 10} %"


def _headline_figures(row: tuple[Value, ...]) -> list[tuple[str, str]]:
    return [
        (f"{row[0]} used", f"{grouped(number(row[1]))} ({row[3]})"),
        (f"{row[0]} left", grouped(number(row[9]))),
    ]


def _over_time(report: Report) -> list[Chart]:
    return [chart for chart in report.charts if chart.sort == "line" or "by user" in chart.title]


def _top(report: Report, group: str, title: str) -> Table:
    """The main table of a report without its period."""
    main = report.tables[0]
    kept = [place for place, column in enumerate(main.columns) if column.name != "period"]
    columns = tuple(main.columns[place] for place in kept)
    return Table(f"{group}s", title, columns, [tuple(row[place] for place in kept) for row in main.rows])
