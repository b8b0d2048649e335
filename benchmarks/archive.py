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

import duckdb

from benchmarks.machine import ROOT, describe
from cutlass.domain.periods import to_millis
from cutlass.reporting.layout import Place
from cutlass.reporting.rows import COLUMNS
from cutlass.reporting.tables import write

DECISIONS = 100_000_000
ORGANISATIONS, YEAR = 40, 2025
_LARGEST_SHARE = 5  # the first organisation has a fifth of all decisions
_REGIONS = {"london": 70, "sydney": 30}
_PANDAS = ROOT / "build" / "pandas" / "bin" / "python"
RESULTS = ROOT / "benchmarks" / "results"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--decisions", type=int, default=DECISIONS)
    options.add_argument("--keep", action="store_true", help="leave the archive where it is")
    options.add_argument("--folder", type=Path, default=ROOT / "build" / "archive")
    chosen = options.parse_args()
    folder = chosen.folder
    made = generate(folder, chosen.decisions)
    found = {
        "machine": describe("python -m benchmarks.archive"),
        "archive": made,
        "questions": {name: run(name, folder) for name in ("month", "month-by-user", "statement", "year")},
        "pandas": {name: run(name, folder, _PANDAS) for name in ("month", "year")} if _PANDAS.exists() else {},
        "ingest": run("ingest", folder),
        "ledger": run("ledger", folder),
    }
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"archive-{datetime.now(UTC):%Y-%m-%d}.json"
    target.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"written to {target.relative_to(ROOT)}")
    if not chosen.keep:
        shutil.rmtree(folder)


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


def generate(folder: Path, decisions: int) -> dict[str, float]:
    """Make an archive as the compaction leaves it: a file per organisation, month and region."""
    shutil.rmtree(folder, ignore_errors=True)
    size = files = rows = 0
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"SET temp_directory = '{spill}'; SET memory_limit = '2GB'")
        for place, count in _places(decisions):
            target = folder / place.base(1)
            target.parent.mkdir(parents=True)
            write(connection, f"({_rows(place, count)})", target, ordered=True)
            size, files, rows = size + target.stat().st_size, files + 1, rows + count
    return {"decisions": rows, "files": files, "megabytes": round(size / 1e6), "organisations": ORGANISATIONS}


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
