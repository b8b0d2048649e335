"""What the types of report share: conditions, groups, and the words around them."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from cutlass.domain.periods import from_millis
from cutlass.domain.reports import EVERYONE, ReportSpec
from cutlass.reporting.calendar import Calendar
from cutlass.reporting.model import Column, text
from cutlass.reporting.query import Questions
from cutlass.reporting.tables import listed, moments, quoted

COLUMN_OF = {"user": "user_id", "feature": "feature", "meter": "meter", "region": "region", "reason": "reason"}
"""The archive's column of what figures may be told apart by."""

_TITLES = {"user": "User", "feature": "Feature", "meter": "Meter", "region": "Region", "reason": "Reason"}


def condition(spec: ReportSpec, kinds: Sequence[str], start: datetime | None = None) -> str:
    """Return the condition that a row is of the report's organisation, span, kinds and filters."""
    parts = [moments(start or spec.start, spec.end), f"kind IN {listed(kinds)}"]
    if spec.org_id != EVERYONE:
        parts.append(f"org_id = {quoted(spec.org_id)}")
    parts += [f"{COLUMN_OF[name]} IN {listed(values)}" for name, values in spec.filters.items()]
    return " AND ".join(parts)


def groups_of(spec: ReportSpec, usual: Sequence[str] = ()) -> list[str]:
    """Return by what figures are told apart: always by meter, since units of two meters do not add up."""
    chosen = list(spec.group_by or usual)
    if spec.org_id == EVERYONE:
        chosen.insert(0, "org")
    return chosen if "meter" in chosen else [*chosen, "meter"]


def sql_of(group: str) -> str:
    """Return the archive's column of a group."""
    return COLUMN_OF.get(group, "org_id")


def group_column(group: str) -> Column:
    """Return the report's column of a group."""
    return text(group, _TITLES.get(group, "Organisation"))


def newest(questions: Questions, spec: ReportSpec) -> datetime | None:
    """Return the time of the newest entry in the span, None where there is none."""
    where = [moments(spec.start, spec.end)]
    if spec.org_id != EVERYONE:
        where.append(f"org_id = {quoted(spec.org_id)}")
    ((found,),) = questions.ask(f"SELECT MAX(at_ms) AS newest FROM entries WHERE {' AND '.join(where)}")
    return None if found is None else from_millis(int(found))


def facts(spec: ReportSpec) -> tuple[tuple[str, str], ...]:
    """Return what was asked for, for people."""
    calendar = Calendar.of(spec)
    found = [
        ("Organisation", "all" if spec.org_id == EVERYONE else spec.org_id),
        ("From", calendar.moment(spec.start)[:16].replace("T", " ")),
        ("To", calendar.moment(spec.end)[:16].replace("T", " ")),
        ("Time zone", spec.time_zone),
    ]
    if spec.granularity != "total":
        found.append(("By", spec.granularity))
    found += [(f"Only {name}", ", ".join(values)) for name, values in spec.filters.items()]
    return tuple(found)


def span_in_words(spec: ReportSpec) -> str:
    """Write the span for a headline."""
    return Calendar.of(spec, "total").parts()[0].label


def grouped_by(groups: Sequence[str]) -> str:
    """Return the end of a question whose first columns are the part and the groups: a row for each, in order.

    Databases disagree on where nothing goes, so it is said: last.
    """
    places = range(1, len(groups) + 2)
    order = ", ".join(f"{place} NULLS LAST" for place in places)
    return f"GROUP BY {', '.join(map(str, places))} ORDER BY {order}"


def labels(calendar: Calendar) -> Mapping[int, str]:
    """Return the names of a calendar's parts by their numbers."""
    return {part.number: part.label for part in calendar.parts()}
