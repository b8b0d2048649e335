"""XLSX: a sheet per table, with numbers as numbers, times as times, and text never as a formula."""

from pathlib import Path
from typing import Any

import xlsxwriter

from cutlass.reporting.errors import ReportTooLargeError
from cutlass.reporting.formats.values import heading
from cutlass.reporting.model import Column, Kind, Report, Table, Value, number

_MAX_ROWS = 1_048_575  # beside the heading
_EXACT = 1 << 53  # a cell is a double: above this not every whole number is one
_OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "remove_timezone": True,
}


def write(report: Report, path: Path) -> None:
    """Write the report; raises `ReportTooLargeError` where a sheet would be too long."""
    if any(len(table.rows) > _MAX_ROWS for table in report.tables):
        raise ReportTooLargeError(f"a sheet has {_MAX_ROWS:,} rows at most", hint="ask for CSV or Parquet")
    with xlsxwriter.Workbook(str(path), _OPTIONS) as book:
        moment = (report.until or report.spec.end).replace(tzinfo=None)
        book.set_properties({"title": report.title, "subject": report.headline, "created": moment})
        formats = {
            Kind.TEXT: book.add_format({}),
            Kind.NUMBER: book.add_format({"num_format": "#,##0"}),
            Kind.TIME: book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"}),
        }
        bold = book.add_format({"bold": True, "bottom": 1})
        for table in report.tables:
            _sheet(book.add_worksheet(_name(table)), table, formats, bold)
        _about(book.add_worksheet("About"), report, bold)


def _sheet(sheet: Any, table: Table, formats: dict[Kind, Any], bold: Any) -> None:
    for place, column in enumerate(table.columns):
        sheet.set_column(place, place, 14 if column.kind is Kind.NUMBER else 22)
    for place, column in enumerate(table.columns):
        sheet.write_string(0, place, heading(column), bold)
    for line, row in enumerate(table.rows, 1):
        for place, (column, value) in enumerate(zip(table.columns, row, strict=True)):
            _cell(sheet, line, place, column, value, formats)
    sheet.freeze_panes(1, 0)
    if table.rows:
        sheet.autofilter(0, 0, len(table.rows), len(table.columns) - 1)


def _cell(sheet: Any, line: int, place: int, column: Column, value: Value, formats: dict[Kind, Any]) -> None:
    chosen = formats[column.kind]
    if value is None:
        return
    if column.kind is Kind.TIME:
        sheet.write_datetime(line, place, value, chosen)
    elif column.kind is Kind.NUMBER and abs(number(value)) <= _EXACT:
        sheet.write_number(line, place, number(value), chosen)
    else:
        sheet.write_string(line, place, str(value), formats[Kind.TEXT])


def _about(sheet: Any, report: Report, bold: Any) -> None:
    """Write what was asked for, in what units the numbers are, and what to know of them."""
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 100)
    lines = [("", report.title), ("", report.headline), *report.facts]
    lines += [
        (f"{table.title}: {column.title}", column.unit)
        for table in report.tables
        for column in table.columns
        if column.unit
    ]
    lines += [("Note", note) for note in report.notes]
    for line, (name, text) in enumerate(lines):
        sheet.write_string(line, 0, name, bold)
        sheet.write_string(line, 1, text)


def _name(table: Table) -> str:
    """A sheet's name: 31 characters, none of those Excel forbids."""
    return "".join(sign for sign in table.title if sign not in "[]:*?/\\'")[:31]
