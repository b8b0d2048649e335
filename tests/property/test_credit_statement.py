"""The credit statement against an account book kept by hand: every event is booked when it happens."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.periods import from_millis, to_millis
from cutlass.domain.pools import NEVER_MS
from cutlass.domain.reports import ReportSpec
from cutlass.domain.reservations import CHARGE
from cutlass.reporting.calendar import Calendar
from cutlass.reporting.query import Local, Watch
from cutlass.reporting.reports.balances import Line, read, reckon
from cutlass.reporting.reports.statement import build
from cutlass.reporting.rows import rows_of, to_csv
from cutlass.reporting.tables import csv_source

ZONES = ["Europe/London", "Australia/Sydney", "America/New_York"]
BEGUN, YEAR_END = datetime(2027, 12, 1, tzinfo=UTC), datetime(2028, 12, 31, tzinfo=UTC)  # 2028 has a leap day
COLUMNS = ("granted", "overdrawn", "used", "refunded", "voided", "expired")


@dataclass
class Held:
    grant: str
    units: int
    name: str
    region: str
    ended: int | None = None


@dataclass
class Book:
    """An account book: balances moved by hand, each movement noted with its time, and what the ledger is told."""

    entries: list[LedgerEntry] = field(default_factory=list)
    noted: list[tuple[int, str, str, int]] = field(default_factory=list)
    balance: dict[str, int] = field(default_factory=dict)  # neither set aside nor spent
    ends: dict[str, int] = field(default_factory=dict)
    begins: dict[str, int] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    charges: list[tuple[str, str, int]] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    voided: set[str] = field(default_factory=set)
    number: int = 0

    def pool(self, grant: str) -> str:
        return f"050#{self.ends[grant]:013d}#{grant}"

    def note(self, at: int, grant: str, what: str, units: int) -> None:
        if units:
            self.noted.append((at, grant, what, units))

    def tell(self, kind: EntryKind, at: int, grant: str, units: int, **more: object) -> None:
        self.number += 1
        details = {"user_id": "ann", "region": "london", "entry_id": f"e{self.number}", **more}
        self.entries.append(
            LedgerEntry(
                kind=kind,
                at=from_millis(at),
                org_id="org1",
                meter="requests",
                units=units,
                before=0,
                after=0,
                spent=((self.pool(grant), units),),
                **details,  # type: ignore[arg-type]
            )
        )

    def turn(self, at: int) -> None:
        """End the grants whose time has come, at the last moment before it."""
        for grant, ends in self.ends.items():
            if ends <= at and grant not in self.ended:
                self.ended.add(grant)
                self.lose(grant, ends - 1)

    def lose(self, grant: str, at: int) -> None:
        left, self.balance[grant] = self.balance[grant], 0
        self.note(at, grant, "expired", left)
        if left:
            # Regions take it out of their pools later, each its part.
            self.tell(EntryKind.EXPIRY, at + 1 + 20_000, grant, left - left // 3, reason="expired")
            self.tell(EntryKind.EXPIRY, at + 1 + 90_000, grant, left // 3, reason="expired", region="sydney")

    def grant(self, at: int, amount: int, wait: int, days: int | None) -> None:
        name, begins = f"requests:g{len(self.ends)}", at + wait
        self.ends[name] = NEVER_MS if days is None else begins + days * 86_400_000
        self.begins[name] = begins
        self.balance[name] = amount
        self.tell(
            EntryKind.GRANT, at, name, amount, entry_id=name, reason="paid", effective_at=from_millis(begins)
        )
        self.note(begins, name, "granted", amount)

    def open_grants(self, at: int) -> list[str]:
        names = [n for n in self.balance if self.begins[n] <= at < self.ends[n] and n not in self.voided]
        return sorted(names, key=lambda name: (self.ends[name], name))

    def spend(self, at: int, units: int, region: str) -> None:
        for grant in self.open_grants(at):
            part = min(units, self.balance[grant])
            if part:
                self.balance[grant] -= part
                units -= part
                self.note(at, grant, "used", part)
                self.tell(EntryKind.DECISION, at, grant, part, request_id=f"r{self.number}", region=region)
                self.charges.append((grant, f"r{self.number - 1}", part))

    def refund(self, at: int, which: int, units: int) -> None:
        if not self.charges:
            return
        grant, request, charged = self.charges.pop(which % len(self.charges))
        back = min(units, charged)
        self.note(at, grant, "refunded", back)
        self.tell(EntryKind.REFUND, at, grant, back, request_id=request)
        self.balance[grant] += back
        if grant in self.ended:
            self.lose(grant, at)
        elif grant in self.voided:
            self.burn(grant, at)

    def reserve(self, at: int, units: int, region: str) -> None:
        for grant in self.open_grants(at)[:1]:
            part = min(units, self.balance[grant])
            if part:
                self.balance[grant] -= part
                held = Held(grant, part, f"{region}-{self.number}", region)
                self.held.append(held)
                self.tell(
                    EntryKind.RESERVE, at, grant, part, entry_id=held.name, region=region, request_id=held.name
                )

    def end(self, at: int, which: int, cost: int) -> None:
        open_ones = [held for held in self.held if held.ended is None]
        if not open_ones:
            return
        held = open_ones[which % len(open_ones)]
        held.ended = at
        spent = min(cost, held.units)
        if spent:
            self.note(at, held.grant, "used", spent)
            request = CHARGE + held.name
            self.tell(EntryKind.DECISION, at, held.grant, spent, request_id=request, region=held.region)
        back = held.units - spent
        if back:
            self.tell(
                EntryKind.RELEASE, at, held.grant, back, entry_id=held.name, region=held.region, reason="committed"
            )
        if back and held.grant in self.ended:
            self.note(
                at, held.grant, "expired", back
            )  # with the release itself, of which the ledger tells no more
        else:
            self.balance[held.grant] += back
            if back and held.grant in self.voided:
                self.burn(held.grant, at)

    def void(self, at: int, which: int) -> None:
        names = [name for name in self.balance if name not in self.voided | self.ended]
        if names:
            grant = names[which % len(names)]
            self.voided.add(grant)
            left, self.balance[grant] = self.balance[grant], 0
            self.note(max(at, self.begins[grant]), grant, "voided", left)
            self.tell(EntryKind.VOID, at, grant, left, entry_id=grant, reason="voided")

    def burn(self, grant: str, at: int) -> None:
        left, self.balance[grant] = self.balance[grant], 0
        self.note(at, grant, "voided", left)
        self.tell(EntryKind.EXPIRY, at, grant, left, reason="voided")

    def lose_region(self, at: int, units: int) -> None:
        """A lost region had spent units that its survivor was given, and tells so when it is back."""
        for grant in self.open_grants(at)[:1]:
            self.note(at, grant, "overdrawn", units)
            self.tell(EntryKind.OVERDRAFT, at, grant, units, region="sydney")
            self.balance[grant] += units

    def before(self, at: int, grant: str) -> int:
        """What there was of a grant at a time: all that was booked before it, set aside or not."""
        signs = {"granted": 1, "overdrawn": 1, "refunded": 1, "used": -1, "voided": -1, "expired": -1}
        return sum(signs[what] * units for when, name, what, units in self.noted if name == grant and when < at)


MINUTES = st.integers(1, 60 * 24 * 20)
STEP = st.one_of(
    st.tuples(
        st.just("grant"),
        MINUTES,
        st.integers(1, 500),
        st.integers(0, 40 * 86_400_000),
        st.none() | st.integers(1, 90),
    ),
    st.tuples(st.just("spend"), MINUTES, st.integers(1, 300), st.sampled_from(["london", "sydney"])),
    st.tuples(st.just("refund"), MINUTES, st.integers(0, 50), st.integers(1, 100)),
    st.tuples(st.just("reserve"), MINUTES, st.integers(1, 100), st.sampled_from(["london", "sydney"])),
    st.tuples(st.just("end"), MINUTES, st.integers(0, 50), st.integers(0, 100)),
    st.tuples(st.just("void"), MINUTES, st.integers(0, 50)),
    st.tuples(st.just("lose_region"), MINUTES, st.integers(1, 50)),
)


def written(steps: list[tuple]) -> Book:
    book, at = Book(), to_millis(BEGUN)
    book.grant(at, 400, 0, 62)
    for what, minutes, *rest in steps:
        at = min(at + minutes * 60_000, to_millis(YEAR_END))
        book.turn(at)
        getattr(book, what)(at, *rest)
    book.turn(to_millis(YEAR_END) + 400 * 86_400_000)
    return book


def questions_of(book: Book, folder: str, connection: duckdb.DuckDBPyConnection) -> Local:
    connection.execute("SET threads = 1")  # small tables: threads would only wait for each other
    path = Path(folder, "rows.csv")
    path.write_bytes(to_csv(row for entry in book.entries for row in rows_of(entry)))
    connection.execute(f"CREATE TABLE entries AS SELECT * FROM {csv_source(path)}")
    return Local(connection, 0, Watch())


@settings(deadline=None)
@given(
    steps=st.lists(STEP, max_size=30),
    zone=st.sampled_from(ZONES),
    granularity=st.sampled_from(["total", "month", "week"]),
    start=st.integers(0, 300),
    days=st.integers(1, 366),
)
def test_every_line_is_what_the_account_book_says(
    steps: list[tuple], zone: str, granularity: str, start: int, days: int
) -> None:
    book = written(steps)
    begun = BEGUN + timedelta(days=start, hours=7)
    spec = ReportSpec("credit-statement", "org1", begun, begun + timedelta(days=days), zone, granularity)
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        questions = questions_of(book, folder, connection)
        calendar = Calendar.of(spec)
        lines = list(reckon(read(spec, calendar, questions), calendar.parts()))
        report = build(spec, questions)
    found = {(line.grant.grant_id, line.part.number): line for line in lines}
    for part in calendar.parts():
        for grant in book.balance:
            compare(book, found.get((grant, part.number)), grant, to_millis(part.start), to_millis(part.end))
    totals = report.tables[1].rows
    assert sum(row[-1] for row in totals[-1:]) == sum(book.before(to_millis(spec.end), g) for g in book.balance)


def compare(book: Book, line: Line | None, grant: str, low: int, high: int) -> None:
    booked: dict[str, int] = defaultdict(int)
    for at, name, what, units in book.noted:
        if name == grant and low <= at < high:
            booked[what] += units
    wanted = {name: booked[name] for name in COLUMNS}
    wanted |= {"opening": book.before(low, grant), "closing": book.before(high, grant)}
    got = {name: getattr(line, name) if line else 0 for name in wanted}
    assert got == wanted, f"{grant} in [{from_millis(low)}, {from_millis(high)})"
    assert line is None or wanted["closing"] >= 0


@settings(deadline=None)
@given(steps=st.lists(STEP, max_size=30))
def test_once_all_has_ended_the_ledger_tells_of_all_that_expired(steps: list[tuple]) -> None:
    """Over all time the statement's expiry is the ledger's, grant by grant, to the unit."""
    book = written(steps)
    end = YEAR_END + timedelta(days=500)
    spec = ReportSpec("credit-statement", "org1", BEGUN - timedelta(days=1), end, "UTC", "total")
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        report = build(spec, questions_of(book, folder, connection))
    (expiry,) = [table for table in report.tables if table.name == "expiry"]
    assert [row for row in expiry.rows if row[2] != row[3]] == []
    expired = sum(units for _, _, what, units in book.noted if what == "expired")
    assert sum(row[2] for row in expiry.rows) == expired
