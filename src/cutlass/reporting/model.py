"""A report as data: tables, charts and words, before it becomes a file of some format.

Values are whole numbers, text and times, so that every format can give exactly the same ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from cutlass.domain.reports import ReportSpec

Value = str | int | datetime | None


class Kind(StrEnum):
    """What a column's values are."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name in files, its title for people, what its values are, and their unit."""

    name: str
    title: str
    kind: Kind = Kind.TEXT
    unit: str | None = None


def text(name: str, title: str) -> Column:
    """Make a column of text."""
    return Column(name, title)


def units(name: str, title: str) -> Column:
    """Make a column of units of the meter that the row names."""
    return Column(name, title, Kind.NUMBER, "units of the meter")


def count(name: str, title: str, of: str) -> Column:
    """Make a column that counts something."""
    return Column(name, title, Kind.NUMBER, of)


def time(name: str, title: str) -> Column:
    """Make a column of times."""
    return Column(name, title, Kind.TIME, "UTC")


@dataclass(frozen=True, slots=True)
class Table:
    """A table; `shown` is how many rows people get to see, while files for machines have all."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[tuple[Value, ...]]
    shown: int = 400


@dataclass(frozen=True, slots=True)
class Series:
    """Values along a chart's labels, None where there is none."""

    name: str
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: `line` along time or `bar` by name; `about` says in words what it shows."""

    title: str
    sort: str
    labels: tuple[str, ...]
    series: tuple[Series, ...]
    unit: str
    about: str


@dataclass(frozen=True, slots=True)
class Report:
    """A report. The first table is its main one, which formats with room for one table hold.

    Attributes
    ----------
    headline : str
        What it says, in a sentence.
    figures : tuple of tuple of str
        The few numbers that matter most, each with its name.
    notes : tuple of str
        How its numbers came about and what they leave out.
    until : datetime or None
        The time of the newest entry it knows of.
    """

    spec: ReportSpec
    title: str
    headline: str
    figures: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...]
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()
    until: datetime | None = None
    facts: tuple[tuple[str, str], ...] = field(default=())


def number(value: object) -> int:
    """Return the value of a column of numbers; a database may give a wider type than int."""
    return int(value) if isinstance(value, int) else int(str(value))


def grouped(amount: int) -> str:
    """Write a number for people, in groups of three digits."""
    return f"{amount:,}"
