"""Printing: JSON for programs, tables for people, errors in one line."""

import json
import sys
from typing import Any


def print_json(value: object) -> None:
    """Print one JSON value on one line."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")  # at once: threads print side by side
    sys.stdout.flush()


def print_line(text: str) -> None:
    """Print a line as it is."""
    print(text)  # noqa: T201


def print_error(message: str, hint: str | None = None) -> None:
    """Say on stderr, in one line, what is wrong and what to do."""
    text = " ".join(message.split()) + (f"; {' '.join(hint.split())}" if hint else "")
    print(f"cutlass: {text}", file=sys.stderr)  # noqa: T201


def print_table(title: str, columns: list[str], rows: list[list[Any]], *, lines: bool = True) -> None:
    """Print a table; numbers are set to the right. Without lines it takes less room."""
    from rich.console import Console  # noqa: PLC0415 (a tenth of a second that most commands can do without)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(title=title or None, title_justify="left")
    if not lines:
        table.box, table.pad_edge = None, False
    for place, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[place], int | float | None) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    Console().print(table)


def shown(value: object) -> str:
    """Return a value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return str(value)
