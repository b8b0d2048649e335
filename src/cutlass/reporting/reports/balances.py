"""What became of every grant, part by part: behind the credit statement, the forecast and the summary.

A grant's units count from the moment it may be spent. When it ends, what was not spent of it and is not set aside
has expired in that very part, whenever the regions come to take it out of their pools. So a part's line is

    opening + granted + overdrawn - used + refunded - voided - expired = closing

and `expired` follows from the others at a grant's end; before it nothing expires. What the ledger tells of expiry
is kept beside it, to be compared.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cutlass.domain.periods import to_millis
from cutlass.domain.reports import ReportSpec
from cutlass.domain.reservations import CHARGE
from cutlass.reporting.archive import BEGINNING
from cutlass.reporting.calendar import Calendar, Part
from cutlass.reporting.query import Questions
from cutlass.reporting.reports.base import condition

BEFORE = -1
"""The number of the part that is before the report's span."""

_NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Granted:
    """A grant as the ledger tells it; one that it does not tell of has an amount of 0. Times in milliseconds."""

    grant_id: str
    meter: str
    amount: int = 0
    effective_ms: int = 0
    ends_ms: int | None = None
    priority: int = 999
    category: str = "unknown"
    user_id: str | None = None

    @property
    def order(self) -> tuple[str, int, int, str]:
        """Where it stands in the order of spending, meter by meter."""
        return self.meter, self.priority, self.ends_ms or _NEVER, self.grant_id


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one grant in one part, in units; `aside` of the closing ones were set aside at its end."""

    grant: Granted
    part: Part
    opening: int
    granted: int = 0
    overdrawn: int = 0
    used: int = 0
    refunded: int = 0
    voided: int = 0
    expired: int = 0
    closing: int = 0
    aside: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing was there and nothing happened."""
        moved = self.granted, self.overdrawn, self.used, self.refunded, self.voided, self.expired
        return not (self.opening or self.closing or any(moved))


@dataclass(slots=True)
class Moves:
    """What was booked of one grant in one part."""

    used: int = 0
    refunded: int = 0
    voided: int = 0
    overdrawn: int = 0


@dataclass(frozen=True, slots=True)
class Aside:
    """Units set aside of one grant from a moment until another, None while they are."""

    units: int
    start_ms: int
    end_ms: int | None


@dataclass(frozen=True, slots=True)
class Books:
    """All that the ledger tells of the grants of one organisation up to the end of a report's span."""

    grants: Mapping[str, Granted]
    moves: Mapping[tuple[str, int], Moves]
    asides: Mapping[str, Sequence[Aside]]
    told: Mapping[str, int] = field(default_factory=dict)
    """Units of each grant that the ledger tells to have expired."""


def reckon(books: Books, parts: Sequence[Part]) -> Iterator[Line]:
    """Give the line of every grant in every part, in the order of parts, then of spending."""
    start_ms = to_millis(parts[0].start)
    first = Part(BEFORE, parts[0].start, parts[0].start, "before")
    ordered = sorted(books.grants.values(), key=lambda grant: grant.order)
    closing = {grant.grant_id: _line(books, grant, first, 0, 0, start_ms).closing for grant in ordered}
    for part in parts:
        low, high = to_millis(part.start), to_millis(part.end)
        for grant in ordered:
            line = _line(books, grant, part, closing[grant.grant_id], low, high)
            closing[grant.grant_id] = line.closing
            if not line.empty:
                yield line


def _line(books: Books, grant: Granted, part: Part, opening: int, low: int, high: int) -> Line:
    moves = books.moves.get((grant.grant_id, part.number), Moves())
    aside = sum(
        one.units
        for one in books.asides.get(grant.grant_id, ())
        if one.start_ms < high and (one.end_ms is None or one.end_ms >= high)
    )
    line = Line(
        grant=grant,
        part=part,
        opening=opening,
        granted=grant.amount if low <= grant.effective_ms < high else 0,
        overdrawn=moves.overdrawn,
        used=moves.used,
        refunded=moves.refunded,
        voided=moves.voided,
        aside=aside,
    )
    left = opening + line.granted + line.overdrawn - line.used + line.refunded - line.voided
    ended = grant.ends_ms is not None and grant.ends_ms <= high
    return replace(line, closing=aside, expired=left - aside) if ended else replace(line, closing=left)


def read(spec: ReportSpec, calendar: Calendar, questions: Questions) -> Books:
    """Read the books of a report's organisation, from the beginning to the end of its span."""
    grants = {grant.grant_id: grant for grant in _grants(spec, questions)}
    end_ms = to_millis(spec.end)
    grants = {name: grant for name, grant in grants.items() if grant.effective_ms < end_ms}
    moves: dict[tuple[str, int], Moves] = defaultdict(Moves)
    told: dict[str, int] = defaultdict(int)
    numbers = [(part.number, to_millis(part.end)) for part in calendar.parts()]
    start_ms = to_millis(spec.start)

    def part_at(at_ms: int) -> int:
        return BEFORE if at_ms < start_ms else next((number for number, end in numbers if at_ms < end), BEFORE - 1)

    for part, meter, name, kind, how, units, ends in questions.ask(_moves_sql(spec, calendar)):
        grant = name or f"{meter}:unattributed"
        if grant not in grants:
            grants[grant] = Granted(grant, meter, ends_ms=ends)
        _book(moves[grant, int(part)], kind, how, int(units))
        told[grant] += int(units) if kind == "expiry" and how != "voided" else 0
    for name, at_ms, units in questions.ask(_voids_sql(spec)):
        if name in grants:
            moves[name, part_at(max(int(at_ms), grants[name].effective_ms))].voided += int(units)
    for name, units in questions.ask(_late_sql(spec)):
        told[name] += int(units)
    asides: dict[str, list[Aside]] = defaultdict(list)
    for name, units, begun, ended in questions.ask(_asides_sql(spec)):
        asides[name].append(Aside(int(units), int(begun), None if ended is None else int(ended)))
    return Books(grants, moves, asides, told)


def _book(moves: Moves, kind: str, how: str, units: int) -> None:
    if kind == "decision":
        moves.used += units
    elif kind == "refund":
        moves.refunded += units
    elif kind == "overdraft":
        moves.overdrawn += units
    elif how == "voided":
        moves.voided += units


def _grants(spec: ReportSpec, questions: Questions) -> Iterator[Granted]:
    sql = (
        "SELECT COALESCE(grant_id, entry_id), meter, units, at_ms, effective_ms, grant_ends_ms, grant_priority, "
        f"reason, user_id FROM entries WHERE {condition(spec, ('grant',), BEGINNING)}"
    )
    for name, meter, amount, at_ms, effective, ends, priority, category, user in questions.ask(sql):
        begins = int(at_ms) if effective is None else max(int(at_ms), int(effective))
        kind = category or name.partition(":")[2].partition("-")[0]
        yield Granted(name, meter, int(amount), begins, ends, 999 if priority is None else priority, kind, user)


def _moves_sql(spec: ReportSpec, calendar: Calendar) -> str:
    kinds = ("decision", "refund", "expiry", "overdraft")
    part = f"CASE WHEN at_ms < {to_millis(spec.start)} THEN {BEFORE} ELSE {calendar.sql()} END"
    how = "CASE WHEN kind = 'expiry' THEN COALESCE(reason, '') ELSE '' END"
    return (
        f"SELECT {part} AS part, meter, grant_id, kind, {how} AS how, CAST(SUM(units) AS BIGINT) AS units, "
        f"MAX(grant_ends_ms) AS ends FROM entries WHERE {condition(spec, kinds, BEGINNING)} "
        # An overdraft of a user's rights says nothing of any grant's units.
        "AND (kind <> 'overdraft' OR grant_id IS NOT NULL) GROUP BY 1, 2, 3, 4, 5"
    )


def _voids_sql(spec: ReportSpec) -> str:
    where = condition(spec, ("void",), BEGINNING)
    return f"SELECT COALESCE(grant_id, entry_id), at_ms, units FROM entries WHERE {where}"


def _late_sql(spec: ReportSpec) -> str:
    """Units that a reservation gave back after their grant had ended: they expired then and there."""
    where = f"{condition(spec, ('release',), BEGINNING)} AND at_ms >= grant_ends_ms"
    return f"SELECT grant_id, CAST(SUM(units) AS BIGINT) FROM entries WHERE {where} GROUP BY 1"


def _asides_sql(spec: ReportSpec) -> str:
    """What was set aside, from when until when: until it was given back, or charged (`Reservation.charge_id`)."""
    held, released, charged = (condition(spec, (kind,), BEGINNING) for kind in ("reserve", "release", "decision"))
    return (
        f"WITH reserved AS (SELECT grant_id, units, at_ms, entry_id FROM entries WHERE {held}), "
        f"ended AS (SELECT entry_id AS name, at_ms FROM entries WHERE {released} UNION ALL "
        f"SELECT SUBSTR(request_id, {len(CHARGE) + 1}) AS name, at_ms FROM entries WHERE {charged} "
        f"AND request_id LIKE '{CHARGE}%'), "
        "ends AS (SELECT name, MIN(at_ms) AS ended FROM ended GROUP BY name) "
        "SELECT r.grant_id, r.units, r.at_ms, e.ended FROM reserved r "
        "LEFT JOIN ends e ON e.name = r.entry_id WHERE r.grant_id IS NOT NULL"
    )
