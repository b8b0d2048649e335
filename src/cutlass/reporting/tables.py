"""The archive's files as one table `entries`, for DuckDB: each row once, however often it was written."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import duckdb

from cutlass.domain.periods import to_millis
from cutlass.reporting.archive import Opened
from cutlass.reporting.layout import Choice
from cutlass.reporting.rows import COLUMNS, KEY, NAMES

_ORDER = "org_id, meter, at_ms, region, kind, entry_id, part"
_ROW_GROUP = 122_880


def once(relation: str) -> str:
    """Return the SQL of a relation's rows, one of each key: standard SQL, which Athena takes as DuckDB does."""
    key = ", ".join(("org_id", *KEY))
    numbered = f"SELECT {NAMES}, row_number() OVER (PARTITION BY {key} ORDER BY at_ms) AS nth FROM {relation}"
    return f"SELECT {NAMES} FROM ({numbered}) AS numbered WHERE nth = 1"


def parquet(paths: Sequence[Path]) -> str:
    """Return the SQL of files as a relation, of no files as one without rows."""
    if not paths:
        return nothing()
    listed = ", ".join(quoted(str(path)) for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def nothing() -> str:
    """Return the SQL of a relation without rows."""
    columns = ", ".join(f"CAST(NULL AS {column.type}) AS {column.name}" for column in COLUMNS)
    return f"(SELECT {columns} WHERE FALSE)"


def attach(connection: duckdb.DuckDBPyConnection, opened: Opened) -> None:
    """Make the view `entries` of the files: what may be there twice is compared with what is beside it."""
    view = f"SELECT {NAMES} FROM {parquet(opened.clean)}"
    if opened.dirty:
        rows = fresh(opened.choice, parquet(opened.dirty), parquet(opened.beside))
        connection.execute(f"CREATE OR REPLACE TEMP TABLE fresh AS {rows}")
        view += f" UNION ALL SELECT {NAMES} FROM fresh"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW entries AS {view}")


def fresh(choice: Choice, dirty: str, beside: str) -> str:
    """Return the SQL of the rows of one relation, each once, that are not in another beside it: for any engine."""
    rows = once(dirty)
    if not choice.beside:
        return rows
    spans = [file.place.span for file in choice.dirty]
    low, high = min(start for start, _ in spans), max(end for _, end in spans)
    same = " AND ".join(f"known.{name} = d.{name}" for name in ("at_ms", "org_id", *KEY))
    within = f"known.at_ms BETWEEN {to_millis(low)} AND {to_millis(high)}"
    return (
        f"SELECT {NAMES} FROM ({rows}) AS d WHERE NOT EXISTS "
        f"(SELECT 1 FROM {beside} AS known WHERE {within} AND {same})"
    )


def write(connection: duckdb.DuckDBPyConnection, source: str, target: Path, *, ordered: bool = False) -> None:
    """Write a relation as one file of the archive, in an order that makes it small and lets readers skip.

    `ordered` says that it is in that order already.
    """
    order = "" if ordered else f" ORDER BY {_ORDER}"
    about = ", ".join(f"{column.name}: {quoted(column.about)}" for column in COLUMNS)
    connection.execute(
        f"COPY (SELECT {NAMES} FROM {source}{order}) TO {quoted(str(target))} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP}, KV_METADATA {{{about}}})"
    )


def csv_source(path: Path) -> str:
    """Return the SQL of a file of rows as `rows.to_csv` writes them."""
    columns = ", ".join(f"{quoted(column.name)}: {quoted(column.type)}" for column in COLUMNS)
    return f"read_csv({quoted(str(path))}, header = false, auto_detect = false, columns = {{{columns}}})"


def quoted(text: str) -> str:
    """Return text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def moments(low: datetime, high: datetime) -> str:
    """Return the condition that a row is of `[low, high)`."""
    return f"at_ms >= {to_millis(low)} AND at_ms < {to_millis(high)}"


def listed(values: Iterable[str]) -> str:
    """Return values as the right side of IN."""
    return "(" + ", ".join(quoted(value) for value in values) + ")"
