"""JSON: all tables, with their columns' types and units."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from cutlass.reporting.formats.values import machine
from cutlass.reporting.model import Report, Table


def write(report: Report, path: Path) -> None:
    """Write the report, a line for each row."""
    about = {
        "title": report.title,
        "headline": report.headline,
        "org_id": report.spec.org_id,
        "request": report.spec.body(),
        "until": machine(report.until),
        "notes": list(report.notes),
    }
    cell = cache(lambda value: _json(machine(value)))  # few values are in a report only once
    with path.open("w", encoding="utf-8") as stream:
        stream.write(_json(about)[:-1] + ', "tables": [\n')
        for number, table in enumerate(report.tables):
            stream.write((",\n" if number else "") + _json(_heading(table))[:-1] + ', "rows": [')
            line = "{" + ", ".join(f"{_json(column.name)}: %s" for column in table.columns) + "}"
            lines = (line % tuple(map(cell, row)) for row in table.rows)
            stream.writelines((",\n" if place else "\n") + line for place, line in enumerate(lines))
            stream.write("]}")
        stream.write("]}\n")


def _heading(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "title": table.title,
        "columns": [
            {"name": column.name, "title": column.title, "type": str(column.kind), "unit": column.unit}
            for column in table.columns
        ],
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
