"""The credit statement: what there was, what came, what it was used for, what ended, what is left, to the unit."""

from collections import defaultdict
from collections.abc import Sequence

from cutlass.domain.periods import from_millis
from cutlass.domain.reports import ReportSpec
from cutlass.reporting.calendar import Calendar
from cutlass.reporting.model import Chart, Report, Series, Table, Value, grouped, text, time, units
from cutlass.reporting.query import Questions
from cutlass.reporting.reports.balances import Books, Line, read, reckon
from cutlass.reporting.reports.base import facts, newest

_AMOUNTS = (
    units("opening", "Opening"),
    units("granted", "Granted"),
    units("used", "Used"),
    units("refunded", "Refunded"),
    units("voided", "Voided"),
    units("expired", "Expired"),
    units("overdrawn", "Overdrawn"),
    units("closing", "Closing"),
)
_COLUMNS = (
    text("period", "Period"),
    text("meter", "Meter"),
    text("grant", "Grant"),
    text("category", "Category"),
    text("user", "User"),
    *_AMOUNTS,
    time("ends", "Ends"),
)
_ENDS = (
    "Units count as granted when they may first be spent, and as expired when their grant ends; what is set aside "
    "then stays until it is charged or given back."
)
_OVERDRAWN = (
    "Overdrawn are units that another region was given after a region was lost, and that the lost one had spent "
    "already."
)
_TOLD = (
    "Told by the ledger is what the regions have taken out of their pools as expired; units of an ended grant "
    "that they have not come to yet, or that no region ever needed, make the difference."
)
_NOTES = (
    "Closing is opening + granted - used + refunded - voided - expired + overdrawn, in every line.",
    _ENDS,
    _OVERDRAWN,
    _TOLD,
)


def build(spec: ReportSpec, questions: Questions) -> Report:
    """Build the report."""
    calendar = Calendar.of(spec)
    books = read(spec, calendar, questions)
    lines = list(reckon(books, calendar.parts()))
    totals = _totals(lines)
    closing = _closing(lines, calendar)
    words = "; ".join(f"{grouped(left)} units of {meter} left" for meter, left in closing.items())
    return Report(
        spec=spec,
        title="Credit statement",
        headline=f"{words or 'No grants'} at the end of {calendar.last_day()}.",
        figures=tuple((f"{meter} left", grouped(left)) for meter, left in closing.items()),
        tables=(
            Table("statement", "By grant", _COLUMNS, [_row(line) for line in lines]),
            Table("totals", "By meter", (_COLUMNS[0], _COLUMNS[1], *_AMOUNTS), totals),
            _reconciliation(books, lines),
            _aside(lines, calendar),
        ),
        charts=_charts(lines, calendar),
        notes=_NOTES,
        until=newest(questions, spec),
        facts=facts(spec),
    )


def _amounts(line: Line) -> tuple[int, ...]:
    return tuple(getattr(line, column.name) for column in _AMOUNTS)


def _row(line: Line) -> tuple[Value, ...]:
    grant = line.grant
    ends = None if grant.ends_ms is None else from_millis(grant.ends_ms)
    return (line.part.label, grant.meter, grant.grant_id, grant.category, grant.user_id, *_amounts(line), ends)


def _totals(lines: Sequence[Line]) -> list[tuple[Value, ...]]:
    sums: dict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0] * len(_AMOUNTS))
    for line in lines:
        found = sums[line.part.number, line.part.label, line.grant.meter]
        found[:] = [have + more for have, more in zip(found, _amounts(line), strict=True)]
    return [(label, meter, *found) for (_, label, meter), found in sorted(sums.items())]


def _closing(lines: Sequence[Line], calendar: Calendar) -> dict[str, int]:
    last = calendar.parts()[-1].number
    left: dict[str, int] = {line.grant.meter: 0 for line in lines}
    for line in lines:
        left[line.grant.meter] += line.closing if line.part.number == last else 0
    return dict(sorted(left.items()))


def _reconciliation(books: Books, lines: Sequence[Line]) -> Table:
    """Compare what has expired by the grants' ends with what the ledger tells, over all time up to the end."""
    expired: dict[str, int] = defaultdict(int)
    for line in lines:
        expired[line.grant.grant_id] += line.expired
    columns = (
        text("meter", "Meter"),
        text("grant", "Grant"),
        units("expired", "Expired in the period"),
        units("told", "Told by the ledger, ever"),
    )
    rows = [
        (grant.meter, grant.grant_id, expired[grant.grant_id], books.told.get(grant.grant_id, 0))
        for grant in sorted(books.grants.values(), key=lambda grant: grant.order)
        if expired[grant.grant_id] or (grant.grant_id in expired and books.told.get(grant.grant_id))
    ]
    return Table("expiry", "Expiry, beside the ledger", columns, rows)


def _aside(lines: Sequence[Line], calendar: Calendar) -> Table:
    last = calendar.parts()[-1].number
    columns = (text("meter", "Meter"), text("grant", "Grant"), units("aside", "Set aside"))
    held = [line for line in lines if line.part.number == last and line.aside]
    return Table(
        "aside",
        "Set aside at the end, within closing",
        columns,
        [(line.grant.meter, line.grant.grant_id, line.aside) for line in held],
    )


def _charts(lines: Sequence[Line], calendar: Calendar) -> tuple[Chart, ...]:
    parts = calendar.parts()
    charts = []
    for meter in sorted({line.grant.meter for line in lines}):
        own = [line for line in lines if line.grant.meter == meter]
        if len(parts) > 1:
            left = {part.number: 0 for part in parts}
            for line in own:
                left[line.part.number] += line.closing
            series = Series("closing", tuple(left[part.number] for part in parts))
            labels = tuple(part.label for part in parts)
            about = f"Units of {meter} left at the end of each {calendar.granularity}"
            charts.append(Chart(f"{meter} left", "line", labels, (series,), "units", about))
        used: dict[str, int] = defaultdict(int)
        for line in own:
            used[line.grant.category] += line.used - line.refunded
        if sum(map(bool, used.values())) > 1:
            names = tuple(sorted(used, key=lambda name: -used[name]))
            series = Series("used", tuple(used[name] for name in names))
            about = f"Units of {meter} used, by the category of the grant that paid"
            charts.append(Chart(f"{meter} used by category", "bar", names, (series,), "units", about))
    return tuple(charts)
