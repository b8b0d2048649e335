"""The formats of a report: each writes the same numbers into a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cutlass.reporting.formats import csv_file, html_page, json_file, parquet_file, pdf_document, xlsx_workbook
from cutlass.reporting.model import Report


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its media type, and what writes a report into a file of it."""

    content_type: str
    write: Callable[[Report, Path], None]


FORMATS: Mapping[str, Format] = {
    "json": Format("application/json", json_file.write),
    "csv": Format("text/csv; charset=utf-8", csv_file.write),
    "parquet": Format("application/vnd.apache.parquet", parquet_file.write),
    "xlsx": Format("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", xlsx_workbook.write),
    "html": Format("text/html; charset=utf-8", html_page.write),
    "pdf": Format("application/pdf", pdf_document.write),
}
"""Every format of `contracts/reports.yaml`."""
