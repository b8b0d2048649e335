"""CSV (RFC 4180, UTF-8): the main table, safe to open in a spreadsheet."""

import csv
from pathlib import Path

from cutlass.reporting.formats.values import harmless, machine
from cutlass.reporting.model import Report, Value


def write(report: Report, path: Path) -> None:
    """Write the report's main table."""
    table = report.tables[0]
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow([column.name for column in table.columns])
        rows.writerows([_cell(value) for value in row] for row in table.rows)


def _cell(value: Value) -> str | int | None:
    written = machine(value)
    return harmless(written) if isinstance(written, str) else written
