"""How values are written: exactly for machines, readably for people, and never as a formula."""

from dataclasses import replace
from datetime import datetime

from cutlass.reporting.model import Column, Kind, Table, Value, grouped, number

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""What makes a spreadsheet take a text for a formula. Source: OWASP, "CSV Injection"."""


def machine(value: Value) -> str | int | None:
    """Write a value for machines: a time as RFC 3339 in UTC."""
    return (
        value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if isinstance(value, datetime) else value
    )


def person(column: Column, value: Value) -> str:
    """Write a value for people."""
    if value is None:
        return "\N{EN DASH}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return grouped(number(value)) if column.kind is Kind.NUMBER else str(value)


def shown(table: Table) -> Table:
    """Return a table as people get it: without columns that have nothing, and no more rows than it says."""
    rows = table.rows[: table.shown]
    kept = [place for place in range(len(table.columns)) if any(row[place] for row in table.rows)]
    columns = tuple(table.columns[place] for place in kept)
    return replace(table, columns=columns, rows=[tuple(row[place] for place in kept) for row in rows])


def said(table: Table) -> str:
    """Say how much of a table people get."""
    rows = f"{len(table.rows):,} rows" if len(table.rows) != 1 else "1 row"
    if len(table.rows) > table.shown:
        rows = f"The first {table.shown:,} of {rows}; JSON has all"
    left_out = [column.title for column in table.columns if column not in shown(table).columns]
    return rows + (f". Nothing in: {', '.join(left_out)}" if left_out else "")


def harmless(text: str) -> str:
    """Write text so that no spreadsheet runs it: behind an apostrophe where it could begin a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def heading(column: Column) -> str:
    """Write a column's title with its unit, unless that is said by a column beside it."""
    return f"{column.title} (UTC)" if column.kind is Kind.TIME else column.title
