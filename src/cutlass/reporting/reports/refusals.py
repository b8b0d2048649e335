"""Limits and refusals: who was refused what, why, how often, and when first and last."""

from collections import defaultdict

from cutlass.domain.periods import from_millis
from cutlass.domain.reports import ReportSpec
from cutlass.reporting.calendar import Calendar
from cutlass.reporting.model import Chart, Report, Series, Table, count, grouped, number, text, time, units
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

_USUAL = ("user", "feature", "reason")
WORDS = {
    "user_limit_reached": "the user's limit was reached",
    "org_limit_reached": "the organisation's limit was reached",
    "credits_exhausted": "the credits were used up",
    "feature_not_in_plan": "the plan does not have the feature",
    "org_suspended": "the organisation is suspended",
    "unknown_user": "there is no such user",
    "region_short": "the units were in another region",
}
"""What the reasons of refusals mean."""


def build(spec: ReportSpec, questions: Questions) -> Report:
    """Build the report."""
    calendar, groups = Calendar.of(spec), groups_of(spec, _USUAL)
    names = labels(calendar)
    by = ", ".join(sql_of(group) for group in groups)
    answer = questions.ask(
        f"SELECT {calendar.sql()} AS part, {by}, CAST(SUM(entries) AS BIGINT) AS refusals, "
        "CAST(SUM(units) AS BIGINT) AS units, MIN(at_ms) AS first_ms, MAX(at_ms) AS last_ms "
        f"FROM entries WHERE {condition(spec, ('refusal',))} {grouped_by(groups)}"
    )
    columns = (
        text("period", "Period"),
        *map(group_column, groups),
        count("refusals", "Refusals", "refusals"),
        units("asked", "Units asked for"),
        time("first", "First"),
        time("last", "Last"),
    )
    rows = [(names[part], *rest[:-2], from_millis(rest[-2]), from_millis(rest[-1])) for part, *rest in answer]
    at = [column.name for column in columns].index("refusals")
    reasons: dict[str, int] = defaultdict(int)
    if "reason" in groups:
        for row in rows:
            reasons[str(row[1 + groups.index("reason")])] += number(row[at])
    total = sum(number(row[at]) for row in rows)
    most = max(reasons, key=lambda reason: reasons[reason], default="")
    why = f", most because {WORDS.get(most, most)}" if most else ""
    return Report(
        spec=spec,
        title="Limits and refusals",
        headline=f"{grouped(total) if total else 'No'} refusals{why}, {span_in_words(spec)}.",
        figures=(("refusals", grouped(total)), *((name, grouped(reasons[name])) for name in sorted(reasons))),
        tables=(Table("refusals", "Refusals", columns, rows), _reasons(reasons)),
        charts=_chart(calendar, [(str(row[0]), number(row[at])) for row in rows]),
        notes=(
            "A refusal is recorded of users who have an allotment; it charges nothing, and may be asked again.",
        ),
        until=newest(questions, spec),
        facts=facts(spec),
    )


def _reasons(reasons: dict[str, int]) -> Table:
    columns = (text("reason", "Reason"), text("meaning", "Meaning"), count("refusals", "Refusals", "refusals"))
    rows = [(name, WORDS.get(name, ""), reasons[name]) for name in sorted(reasons)]
    return Table("reasons", "By reason", columns, rows)


def _chart(calendar: Calendar, found: list[tuple[str, int]]) -> tuple[Chart, ...]:
    parts = [part.label for part in calendar.parts()]
    if len(parts) < 2 or not found:
        return ()
    over: dict[str, int] = defaultdict(int)
    for label, refusals in found:
        over[label] += refusals
    series = Series("refusals", tuple(over[part] for part in parts))
    about = f"Refusals in each {calendar.granularity}"
    return (Chart("Refusals over time", "line", tuple(parts), (series,), "refusals", about),)
