"""How values are written: exactly for machines, readably for people, and never as a formula."""

from datetime import datetime

from cutlass.reporting.model import Column, Kind, Value, grouped, number

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


def harmless(text: str) -> str:
    """Write text so that no spreadsheet runs it: behind an apostrophe where it could begin a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def heading(column: Column) -> str:
    """Write a column's title with its unit, unless that is said by a column beside it."""
    return f"{column.title} (UTC)" if column.kind is Kind.TIME else column.title
