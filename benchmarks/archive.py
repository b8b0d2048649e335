"""Reports over a large archive: time and memory, beside pandas and a walk through the ledger in DynamoDB.

`python -m benchmarks.archive` makes 100 million decisions under `build/`, asks them, and takes them away again.
Each question runs in a process of its own, which tells its time and the most memory it ever held.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.machine import ROOT, describe, in_words
from cutlass.domain.periods import to_millis
from cutlass.reporting.layout import Place
from cutlass.reporting.rows import COLUMNS
from cutlass.reporting.tables import write

DECISIONS = 100_000_000
ORGANISATIONS, YEAR = 40, 2025
_LARGEST_SHARE = 5  # the first organisation has a fifth of all decisions
_REGIONS = {"london": 70, "sydney": 30}
_BEGIN, _END = "<!-- archive -->", "<!-- /archive -->"
_TITLES = {
    "month": "a month of the largest organisation by day",
    "month-by-user": "the same by day, user and feature",
    "statement": "its credit statement of a month, from the beginning",
    "year": "a year over all organisations by month",
}
_PANDAS_TITLES = {"month": "a month of the largest organisation by day", "year": "the year, a file at a time"}
PAGE = ROOT / "docs" / "reports.md"
_PANDAS = ROOT / "build" / "pandas" / "bin" / "python"
RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--decisions", type=int, default=DECISIONS)
    options.add_argument("--there", action="store_true", help="ask the archive that was kept before")
    options.add_argument("--keep", action="store_true", help="leave the archive where it is")
    options.add_argument("--folder", type=Path, default=ROOT / "build" / "archive")
    chosen = options.parse_args()
    folder = chosen.folder
    if not chosen.there:
        generate(folder, chosen.decisions)
    found = {
        "machine": describe("python -m benchmarks.archive"),
        "archive": facts(folder),
        "cutlass": {name: run(name, folder) for name in ("month", "month-by-user", "statement", "year", "ingest")},
        "ledger": run("ledger", folder),
        "pandas": {name: run(name, folder, _PANDAS) for name in ("month", "year")} if _PANDAS.exists() else {},
    }
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"archive-{datetime.now(UTC):%Y-%m-%d}.json"
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), found), encoding="utf-8")
    print(f"written to {target.relative_to(ROOT)}, and into {PAGE.relative_to(ROOT)}")
    if not chosen.keep:
        shutil.rmtree(folder)


def facts(folder: Path) -> dict[str, int]:
    """Return what there is in an archive: decisions, files and their size."""
    files = list(folder.rglob("*.parquet"))
    with duckdb.connect() as connection:
        listed = f"parquet_file_metadata('{folder}/**/*.parquet')"
        ((rows,),) = connection.execute(f"SELECT CAST(SUM(num_rows) AS BIGINT) FROM {listed}").fetchall()
    megabytes = sum(file.stat().st_size for file in files) // 10**6
    return {"rows": rows, "files": len(files), "megabytes": megabytes, "organisations": ORGANISATIONS}


def newest() -> dict[str, Any]:
    """Return the newest results."""
    found: dict[str, Any] = json.loads(max(RESULTS.glob("archive-*.json")).read_text(encoding="utf-8"))
    return found


def with_table(page: str, found: dict[str, Any]) -> str:
    """Return a page with the results between its marks."""
    before, _, rest = page.partition(_BEGIN)
    return f"{before}{_BEGIN}\n{table(found)}\n{_END}{rest.partition(_END)[2]}"


def table(found: dict[str, Any]) -> str:
    """Return the results as a table, with where they were measured."""
    ours, pandas, archive, walk = found["cutlass"], found["pandas"], found["archive"], found["ledger"]
    size = f"{archive['rows']:,} rows, {archive['files']} files, {archive['megabytes']:,} MB"
    where = f"{size}, of {archive['organisations']} organisations and a year. On: {in_words(found['machine'])}."
    lines = [where, "", "| what | seconds | of CPU | most memory, MB | |", "| --- | --- | --- | --- | --- |"]

    def line(title: str, one: dict[str, Any], more: str) -> None:
        lines.append(f"| {title} | {one['seconds']} | {one['cpu_seconds']} | {one['megabytes']} | {more} |")

    for name, title in _TITLES.items():
        line(title, ours[name], f"{ours[name]['rows']:,} rows")
    for name, one in pandas.items():
        line(f"pandas: {_PANDAS_TITLES[name]}", one, "")
    rate = f"{walk['entries_per_second']:,} entries/s"
    # Its process also wrote the ledger, so neither its CPU time nor its memory is the walk's.
    title = f"walking through the ledger in DynamoDB, {walk['entries']:,} entries"
    lines.append(f"| {title} | {walk['seconds']} | | | {rate} |")
    rate = f"{ours['ingest']['entries_per_second']:,} entries/s"
    line(f"archiving {ours['ingest']['entries']:,} entries, 5,000 in a batch", ours["ingest"], rate)
    return "\n".join(lines)


def run(name: str, folder: Path, python: Path | None = None) -> dict[str, float]:
    """Run one question in a process of its own; returns what it says of itself."""
    module = "benchmarks.archive_pandas" if python else "benchmarks.archive_questions"
    told = subprocess.run(
        [str(python or sys.executable), "-m", module, name, str(folder)],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    print("pandas" if python else "cutlass", name, found, flush=True)
    return found


def generate(folder: Path, decisions: int) -> None:
    """Make an archive as the compaction leaves it: a file per organisation, month and region."""
    shutil.rmtree(folder, ignore_errors=True)
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET temp_directory = '{spill}'; SET memory_limit = '2GB'")
        for place, count in _places(decisions):
            target = folder / place.base(1)
            target.parent.mkdir(parents=True)
            write(connection, f"({_rows(place, count)})", target, ordered=True)


def _places(decisions: int) -> Iterator[tuple[Place, int]]:
    for number in range(ORGANISATIONS):
        largest = decisions // _LARGEST_SHARE
        own = largest if number == 0 else (decisions - largest) // (ORGANISATIONS - 1)
        for month in range(1, 13):
            for region, percent in _REGIONS.items():
                at = datetime(YEAR, month, 1, tzinfo=UTC)
                yield Place.of(f"org{number}", region, at).whole, own * percent // 1200


def _rows(place: Place, count: int) -> str:
    """Rows that look like decisions: ids that do not compress, users of whom few are busy, a grant a month."""
    start, end = place.span
    span, grant = to_millis(end) - to_millis(start), f"requests:plan-{start:%Y%m%dT%H%M}"
    seed = f"'{place.org_id}{place.region}{place.month}'"
    chance = f"(hash(i, {seed}) % 1000000)"
    values = {
        "org_id": f"'{place.org_id}'",
        "region": f"'{place.region}'",
        "at_ms": f"CAST({to_millis(start)} + i * {span / count} AS BIGINT)",
        "kind": f"CASE WHEN {chance} < 20000 THEN 'refusal' WHEN {chance} < 25000 THEN 'refund' "
        "ELSE 'decision' END",
        "entry_id": f"printf('%016x%016x', hash(i, {seed}), hash({seed}, i))",
        "part": "0",
        "entries": "1",
        "user_id": f"'user' || CAST(floor(pow({chance} / 1e6, 3) * 2000) AS INTEGER)",
        "feature": f"CASE WHEN {chance} % 5 = 0 THEN 'data.query' ELSE 'default' END",
        "meter": "'requests'",
        "units": f"1 + {chance} % 3",
        "grant_id": f"'{grant}'",
        "grant_priority": "10",
        "grant_ends_ms": str(to_millis(end)),
        "grant_own": "FALSE",
        "after_units": "i",
        "plan": "'enterprise'",
        "request_id": f"'{place.month}-{place.region}-' || i",
    }
    decisions = f"SELECT {_columns(values)} FROM range({count}) AS numbers(i)"
    granted = values | {
        "kind": "'grant'",
        "at_ms": str(to_millis(start)),
        "entry_id": f"'{grant}'",
        "reason": "'plan'",
    }
    granted |= {
        "units": str(10**9),
        "user_id": "NULL",
        "effective_ms": str(to_millis(start)),
        "request_id": "NULL",
    }
    return (
        decisions
        if place.region != "london"
        else f"{decisions} UNION ALL SELECT {_columns(granted)} FROM range(1) AS numbers(i)"
    )


def _columns(values: dict[str, str]) -> str:
    return ", ".join(f"CAST({values.get(c.name, 'NULL')} AS {c.type}) AS {c.name}" for c in COLUMNS)


if __name__ == "__main__":
    main()
