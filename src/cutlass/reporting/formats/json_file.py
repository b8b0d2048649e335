"""JSON: all tables, with their columns' types and units."""

import json
from pathlib import Path
from typing import Any

from cutlass.reporting.formats.values import machine
from cutlass.reporting.model import Report, Table


def write(report: Report, path: Path) -> None:
    """Write the report."""
    body = {
        "title": report.title,
        "headline": report.headline,
        "org_id": report.spec.org_id,
        "request": report.spec.body(),
        "until": machine(report.until),
        "notes": list(report.notes),
        "tables": [_table(table) for table in report.tables],
    }
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _table(table: Table) -> dict[str, Any]:
    names = [column.name for column in table.columns]
    return {
        "name": table.name,
        "title": table.title,
        "columns": [
            {"name": column.name, "title": column.title, "type": str(column.kind), "unit": column.unit}
            for column in table.columns
        ],
        "rows": [dict(zip(names, map(machine, row), strict=True)) for row in table.rows],
    }
