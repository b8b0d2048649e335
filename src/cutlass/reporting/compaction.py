"""Compaction: many small files of a day become one, those of an ended month one, and old months their sums.

A new generation appears by one write, which only the first of two compactors makes; what it was made of is deleted
after that. So whatever is cut short, a reader finds every row, once or in two files.
"""

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from cutlass.domain.reports import EVERYONE
from cutlass.reporting.archive import BEGINNING, Archive, Opened, fetch
from cutlass.reporting.layout import File, Place, choose
from cutlass.reporting.query import Limits
from cutlass.reporting.rows import COLUMNS, NAMES
from cutlass.reporting.tables import attach, write
from cutlass.storage.objects import Objects

_LATE = timedelta(hours=1)
"""How long after a day's end most of what is of it has come."""

_MONTH_LATE = timedelta(days=2)
_MANY = 32
"""Files of a day that is not over yet that are worth one."""

_SETTLED = timedelta(days=60)
"""Before that nothing is taken for a month's last word, whatever a plan says."""

_QUARTER_MS = 900_000  # every zone's days begin at a quarter of an hour
_SUMMED = ("decision", "refund", "refusal")
_ENDED = ("reserve", "release")
"""Kinds that say who did what, and kinds that say nothing any more once what they are of has ended."""

_MEMORY_MB = 1000


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a run came to: files written, files deleted, months reduced to sums, and whether all was looked at."""

    written: int = 0
    deleted: int = 0
    summed: int = 0
    whole: bool = True


class Compactor:
    """Compacts one region's archive.

    Parameters
    ----------
    days : Callable
        For how many days the plan of an organisation keeps single entries; None for good.
    expired : Callable
        Whether the run's time is over.
    """

    def __init__(
        self,
        objects: Objects,
        clock: Callable[[], datetime],
        days: Callable[[str], int | None],
        expired: Callable[[], bool] = lambda: False,
    ) -> None:
        self._objects = objects
        self._clock = clock
        self._days = days
        self._expired = expired

    def run(self) -> Compacted:
        """Look at every month of every organisation once, as far as the time goes; any number may run at once."""
        months: dict[Place, list[File]] = defaultdict(list)
        for file in Archive([self._objects]).files(
            EVERYONE, BEGINNING, datetime.max.replace(tzinfo=BEGINNING.tzinfo)
        ):
            months[file.place.whole].append(file)
        done = Compacted()
        for whole, files in sorted(months.items()):
            if self._expired():
                return replace(done, whole=False)
            done = self._month(done, whole, files)
        return done

    def _month(self, done: Compacted, whole: Place, files: list[File]) -> Compacted:
        now, end = self._clock(), whole.span[1]
        if now >= end + _MONTH_LATE:
            if len(files) > 1 or files[0].place != whole or files[0].generation is None:
                return self._merge(done, whole, files, files)
            return self._reduce(done, whole, files[0], now - end)
        days: dict[Place, list[File]] = defaultdict(list)
        for file in files:
            days[file.place].append(file)
        for place, found in days.items():
            over = now >= place.span[1] + _LATE
            if len(found) > (1 if over else _MANY) or (over and found[0].generation is None):
                done = self._merge(done, place, found, files)
        return done

    def _merge(self, done: Compacted, place: Place, files: list[File], month: Iterable[File]) -> Compacted:
        """Write the next generation of a place from its files, then delete those."""
        generation = 1 + max(file.generation or 0 for file in month)
        if not self._write(place.base(generation), files, "entries"):
            return done
        for file in files:
            self._objects.delete(file.key)
        return replace(done, written=done.written + 1, deleted=done.deleted + len(files))

    def _reduce(self, done: Compacted, whole: Place, file: File, age: timedelta) -> Compacted:
        """Leave of a month that a plan keeps no longer only sums, which no user is named in."""
        days = self._days(whole.org_id)
        if file.sums or days is None or age < max(timedelta(days=days), _SETTLED):
            return done
        generation = 1 + (file.generation or 0)
        if not self._write(whole.base(generation, sums=True), [file], f"({sums_of('entries')})"):
            return done
        self._objects.delete(file.key)
        return replace(done, written=done.written + 1, deleted=done.deleted + 1, summed=done.summed + 1)

    def _write(self, key: str, files: list[File], source: str) -> bool:
        """Write a file of what others hold; False where another compactor was first."""
        choice = choose(files)
        with tempfile.TemporaryDirectory(prefix="cutlass-compactor-") as folder, duckdb.connect() as connection:
            memory = Limits.from_environment(otherwise=_MEMORY_MB).memory_mb
            connection.execute(f"SET memory_limit = '{memory}MB'; SET temp_directory = '{folder}/spill'")
            paths = fetch(choice.files, Path(folder))
            chosen = (tuple(paths[f.key] for f in part) for part in (choice.clean, choice.dirty, choice.beside))
            attach(connection, Opened(choice, *chosen))
            target = Path(folder, "whole.parquet")
            write(connection, source, target)
            return self._objects.put(key, target.read_bytes(), only_new=True)


def sums_of(relation: str) -> str:
    """Return the SQL of a month's sums by quarters of an hour; grants and what became of them stay as they are."""
    quarter = f"at_ms - at_ms % {_QUARTER_MS}"
    by = ("meter", "feature", "grant_id", "reason", "plan")
    name = " || ':' || ".join(["'sum'", f"CAST({quarter} AS VARCHAR)", *(f"COALESCE({part}, '')" for part in by)])
    summed = {
        "at_ms": quarter,
        "entry_id": name,
        "part": "0",
        "units": "CAST(SUM(units) AS BIGINT)",
        "entries": "CAST(SUM(entries) AS BIGINT)",
        "grant_priority": "MAX(grant_priority)",
        "grant_ends_ms": "MAX(grant_ends_ms)",
        "grant_own": "BOOL_OR(grant_own)",
    }
    same = {"org_id", "region", "kind", *by}
    columns = ", ".join(
        column.name if column.name in same else f"{summed.get(column.name, 'NULL')} AS {column.name}"
        for column in COLUMNS
    )
    kinds, ended = (", ".join(f"'{kind}'" for kind in found) for found in (_SUMMED, _ENDED))
    grouped = ", ".join(["org_id", "region", "kind", quarter, *by])
    return (
        f"SELECT {columns} FROM {relation} WHERE kind IN ({kinds}) GROUP BY {grouped} "
        f"UNION ALL SELECT {NAMES} FROM {relation} WHERE kind NOT IN ({kinds}, {ended})"
    )
