"""Every format of a report says the same numbers, and none of them runs what a name in it says."""

import csv
import json
import re
import zipfile
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import duckdb
import pytest

from cutlass.contracts import load_reports
from cutlass.reporting.formats import FORMATS
from cutlass.reporting.formats.values import harmless
from cutlass.reporting.reports import KINDS
from tests.unit.reporting.samples import NOON, PAID, PLAN, archived, entry, granted, made

EVIL = "@cmd"
"""A name that an id may have and a spreadsheet would take for a formula."""

TYPES = list(load_reports().types)


@pytest.fixture
def archive(tmp_path: Path):
    users = ["ann", EVIL, "-1", "bob"]
    entries = [granted(PAID, 5_000, NOON), granted(PLAN, 10_000, NOON - timedelta(days=19), reason="plan")]
    entries += [entry(n, user_id=users[n % 4], units=n + 1, spent=((PLAN, n + 1),)) for n in range(1, 40)]
    entries += [entry(50 + n, "refund", user_id="ann", units=2, spent=((PLAN, 2),)) for n in range(3)]
    entries += [entry(70 + n, "refusal", user_id=EVIL, reason="user_limit_reached") for n in range(4)]
    entries += [entry(90, "reserve", units=7, spent=((PAID, 7),))]
    return archived(tmp_path / "archive", entries)


def table_of(path: Path, sort: str) -> list[list[str]]:
    """A file's main table as text, without its heading."""
    if sort == "json":
        return [[plain(v) for v in row.values()] for row in json.loads(path.read_text())["tables"][0]["rows"]]
    if sort == "csv":
        with path.open(newline="") as stream:
            return [[cell.removeprefix("'") for cell in row] for row in csv.reader(stream)][1:]
    if sort == "parquet":
        with duckdb.connect() as connection:
            # As UTC and without a zone: for times with one DuckDB wants a library that is no part of this.
            connection.execute("SET TimeZone = 'UTC'")
            times = connection.execute(
                f"SELECT name FROM parquet_schema('{path}') WHERE converted_type LIKE 'TIMESTAMP%'"
            ).fetchall()
            casts = "".join(f", CAST({name} AS TIMESTAMP) AS {name}" for (name,) in times).removeprefix(", ")
            rows = connection.execute(f"SELECT * {f'REPLACE ({casts})' if casts else ''} FROM '{path}'").fetchall()
        return [[plain(v) if isinstance(v, str | int) or v is None else moment(v) for v in row] for row in rows]
    return sheet(path)[1:]


def plain(value: object) -> str:
    return "" if value is None else str(value)


def moment(value) -> str:
    return value.isoformat(timespec="milliseconds") + "Z"


def sheet(path: Path, number: int = 1) -> list[list[str]]:
    """A sheet's cells as text, read off its XML."""
    space = {"s": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
    with zipfile.ZipFile(path) as book:
        root = ET.fromstring(book.read(f"xl/worksheets/sheet{number}.xml"))
        strings = []
        if "xl/sharedStrings.xml" in book.namelist():
            strings = ["".join(i.itertext()) for i in ET.fromstring(book.read("xl/sharedStrings.xml"))]
    rows = []
    for row in root.iterfind(".//s:row", space):
        cells: dict[int, str] = {}
        for cell in row:
            text = "".join(cell.itertext())
            place = ord(cell.attrib["r"][0]) - ord("A")  # no table here has more columns than letters
            cells[place] = strings[int(text)] if cell.get("t") == "s" else text
        rows.append([cells.get(place, "") for place in range(max(cells, default=-1) + 1)])
    return rows


@pytest.mark.parametrize("kind", TYPES)
def test_files_for_machines_have_the_same_rows(archive, tmp_path: Path, kind: str) -> None:
    asked = {"group_by": ["user"]} if kind == "usage" else {}
    found = {
        sort: table_of(made(archive, tmp_path, type=kind, format=sort, **asked).path, sort)
        for sort in FORMATS
        if sort not in {"html", "pdf", "xlsx"}
    }
    assert found["json"]
    assert found["csv"] == found["json"]
    assert found["parquet"] == found["json"]
    cells = sheet(made(archive, tmp_path, type=kind, format="xlsx", **asked).path)[1:]
    columns = json.loads(made(archive, tmp_path, type=kind, **asked).path.read_text())["tables"][0]["columns"]
    kept = [
        place for place, column in enumerate(columns) if column["type"] != "time"
    ]  # times are serial numbers there
    for row, wanted in zip(cells, found["json"], strict=True):
        assert [row[place] if place < len(row) else "" for place in kept] == [wanted[place] for place in kept]


@pytest.mark.parametrize("kind", TYPES)
def test_people_read_the_numbers_that_machines_do(archive, tmp_path: Path, kind: str) -> None:
    body = json.loads(made(archive, tmp_path, type=kind, format="json").path.read_text())
    text = re.sub(r"<[^>]+>", " ", made(archive, tmp_path, type=kind, format="html").path.read_text())
    pdf = made(archive, tmp_path, type=kind, format="pdf").path.read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert body["headline"] in text.replace("&#x27;", "'")
    for table in body["tables"]:
        for row in table["rows"]:
            numbers = [value for value in row.values() if isinstance(value, int) and value]
            assert all(f" {value:,} " in text for value in numbers), f"{table['name']}: {row}"


def test_no_cell_is_a_formula(archive, tmp_path: Path) -> None:
    found = made(archive, tmp_path, format="csv", group_by=["user"]).path.read_text()
    cells = [cell for row in csv.reader(found.splitlines()) for cell in row]
    assert f"'{EVIL}" in cells
    assert "'-1" in cells
    assert [
        cell for cell in cells if cell.startswith(("=", "+", "-", "@")) and not cell.lstrip("-").isdigit()
    ] == []
    with zipfile.ZipFile(made(archive, tmp_path, format="xlsx", group_by=["user"]).path) as book:
        sheets = [book.read(name) for name in book.namelist() if "worksheets/" in name]
    assert sheets
    assert all(b"<f>" not in text and b"hyperlink" not in text for text in sheets)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "|calc", "%0A=1"])
def test_what_could_begin_a_formula_stands_behind_an_apostrophe(text: str) -> None:
    assert harmless(text) == "'" + text
    assert harmless("user:1@a-b") == "user:1@a-b"


class Outside(HTMLParser):
    """Notes what a page would fetch or run, and what its parts are called."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.unnamed = 0

    def handle_starttag(self, tag: str, attrs: list) -> None:
        names = dict(attrs)
        self.tags.append(tag)
        self.fetched += [
            f"{tag} {name}" for name in names if name in {"src", "href", "srcset"} or name[:2] == "on"
        ]
        self.unnamed += tag == "svg" and not names.get("aria-labelledby")
        self.unnamed += tag == "th" and not names.get("scope")


@pytest.mark.parametrize("kind", TYPES)
def test_a_page_needs_nothing_from_elsewhere_and_names_its_parts(archive, tmp_path: Path, kind: str) -> None:
    page = Outside()
    page.feed(made(archive, tmp_path, type=kind, format="html").path.read_text())
    assert page.fetched == []
    assert page.unnamed == 0
    assert "script" not in page.tags
    assert {"main", "h1", "caption", "table"} <= set(page.tags)
    assert page.tags.count("h1") == 1


def test_the_same_question_of_the_same_archive_gives_the_same_file(archive, tmp_path: Path) -> None:
    for sort in ("json", "csv", "html", "parquet", "pdf"):
        one = made(archive, tmp_path / "one", format=sort).path.read_bytes()
        two = made(archive, tmp_path / "two", format=sort).path.read_bytes()
        assert one == two, sort


def test_parquet_has_types_and_units(archive, tmp_path: Path) -> None:
    path = made(archive, tmp_path, format="parquet", type="credit-statement").path
    with duckdb.connect() as connection:
        types = dict(connection.execute(f"SELECT name, type FROM parquet_schema('{path}')").fetchall())
        about = dict(connection.execute(f"SELECT key, value FROM parquet_kv_metadata('{path}')").fetchall())
    assert (types["closing"], types["grant"]) == ("INT64", "BYTE_ARRAY")
    assert json.loads(about[b"units"])["closing"] == "units of the meter"
    assert json.loads(about[b"cutlass"])["request"]["type"] == "credit-statement"


def test_every_type_and_format_of_the_contract_is_there() -> None:
    assert set(KINDS) == set(load_reports().types)
    assert set(FORMATS) == set(load_reports().formats)
