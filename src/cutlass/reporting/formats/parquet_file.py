"""Parquet: the main table with its types; the units of its columns are in the file's metadata."""

import csv
import json
import tempfile
from pathlib import Path

import duckdb

from cutlass.reporting.formats.values import machine
from cutlass.reporting.model import Kind, Report
from cutlass.reporting.tables import quoted

_TYPES = {Kind.TEXT: "VARCHAR", Kind.NUMBER: "BIGINT", Kind.TIME: "TIMESTAMPTZ"}


def write(report: Report, path: Path) -> None:
    """Write the report's main table; `cutlass` in the metadata says what was asked for, `units` in what unit."""
    table = report.tables[0]
    types = ", ".join(f"{quoted(column.name)}: {quoted(_TYPES[column.kind])}" for column in table.columns)
    units = json.dumps({column.name: column.unit for column in table.columns if column.unit})
    about = json.dumps({"title": report.title, "org_id": report.spec.org_id, "request": report.spec.body()})
    with tempfile.TemporaryDirectory(prefix="cutlass-parquet-") as folder, duckdb.connect() as connection:
        rows = Path(folder, "rows.csv")
        with rows.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([machine(value) for value in row] for row in table.rows)
        connection.execute("SET TimeZone = 'UTC'")
        source = f"read_csv({quoted(str(rows))}, header = false, auto_detect = false, columns = {{{types}}})"
        connection.execute(
            f"COPY (SELECT * FROM {source}) TO {quoted(str(path))} (FORMAT parquet, COMPRESSION zstd, "
            f"KV_METADATA {{units: {quoted(units)}, cutlass: {quoted(about)}}})"
        )
