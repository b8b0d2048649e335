"""The questions of `benchmarks.archive`, by pandas: all at once, or file by file where that is too much.

Runs in an environment of its own, of `requirements/pandas.txt`.
"""

import json
import resource
import sys
import time
from pathlib import Path

import pandas as pd

COLUMNS = ["org_id", "at_ms", "kind", "feature", "meter", "units", "entries"]


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    started = time.perf_counter()
    rows = {"month": month, "year": year}[name](folder)
    told = {"rows": rows, "seconds": round(time.perf_counter() - started, 2)}
    spent = resource.getrusage(resource.RUSAGE_SELF)
    told["cpu_seconds"] = round(spent.ru_utime + spent.ru_stime, 2)
    told["megabytes"] = spent.ru_maxrss // 1024
    print(json.dumps(told))


def month(folder: Path) -> int:
    """Units and decisions of one organisation by day, of June in London."""
    files = folder.glob("decisions/org=org0/month=2025-0[567]/**/*.parquet")
    table = pd.concat([pd.read_parquet(file, columns=COLUMNS) for file in sorted(files)])
    table["at"] = pd.to_datetime(table["at_ms"], unit="ms", utc=True).dt.tz_convert("Europe/London")
    table = table[(table["at"] >= "2025-06-01") & (table["at"] < "2025-07-01")]
    table = table[table["kind"].isin(["decision", "refund"])]
    found = table.groupby([table["at"].dt.date, "meter", "kind"])[["units", "entries"]].sum()
    return len(found.unstack("kind"))


def year(folder: Path) -> int:
    """Units and decisions of all organisations by month: a file at a time, for all at once is too much."""
    parts = []
    for file in sorted(folder.glob("decisions/**/*.parquet")):
        table = pd.read_parquet(file, columns=COLUMNS)
        table = table[table["kind"].isin(["decision", "refund"])]
        months = pd.to_datetime(table["at_ms"], unit="ms", utc=True).dt.strftime("%Y-%m")
        parts.append(table.groupby([months, "org_id", "meter", "kind"])[["units", "entries"]].sum())
    return len(pd.concat(parts).groupby(level=[0, 1, 2, 3]).sum().unstack("kind"))


if __name__ == "__main__":
    main()
