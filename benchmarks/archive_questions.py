"""One question of `benchmarks.archive`, in this process; prints what it took as JSON."""

import json
import resource
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.credentials import Credentials

from cutlass.contracts import load_catalogue, load_reports, load_topology
from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.reports import EVERYONE, ReportSpec
from cutlass.reporting import Archive, make
from cutlass.reporting.archiver import Archiver
from cutlass.reporting.query import Limits
from cutlass.storage import Store
from cutlass.storage.objects import Folder
from cutlass.storage.settings import Settings
from tests.support import engines

if TYPE_CHECKING:
    from collections.abc import Callable

_MONTH = {"from": "2025-06-01", "to": "2025-07-01", "time_zone": "Europe/London"}
QUESTIONS = {
    "month": ("org0", {"type": "usage", **_MONTH}, 400),
    "month-by-user": ("org0", {"type": "usage", **_MONTH, "group_by": ["user", "feature"]}, 400),
    "statement": ("org0", {"type": "credit-statement", "from": "2025-06-01", "to": "2025-07-01"}, 400),
    "year": (EVERYONE, {"type": "usage", "from": "2025-01-01", "to": "2026-01-01", "granularity": "month"}, 1500),
}
_BATCHES, _BATCH = 20, 5_000
_LEDGER = 20_000


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    started = time.perf_counter()
    asked: dict[str, Callable[[], dict[str, float]]] = {"ingest": ingest, "ledger": ledger}
    found = asked[name]() if name in asked else report(name, folder)
    found.setdefault("seconds", round(time.perf_counter() - started, 2))
    spent = resource.getrusage(resource.RUSAGE_SELF)
    found["cpu_seconds"] = round(spent.ru_utime + spent.ru_stime, 2)
    found["megabytes"] = spent.ru_maxrss // 1024
    print(json.dumps(found))


def report(name: str, folder: Path) -> dict[str, float]:
    """Make a report, as a worker does."""
    org_id, body, memory_mb = QUESTIONS[name]
    spec = ReportSpec.of(org_id, body, load_reports())
    with tempfile.TemporaryDirectory() as out:
        made = make(
            spec,
            Archive.of_folder(folder),
            Path(out),
            progress=lambda _: None,
            cancelled=lambda: False,
            limits=Limits(memory_mb),
        )
        return {"rows": made.rows, "scanned_megabytes": made.scanned_bytes // 10**6}


def ingest() -> dict[str, float]:
    """Archive batches of entries of one organisation, as the stream's consumer does once they are read."""
    start = datetime(2025, 6, 1, 12, tzinfo=UTC)
    batches = [_entries(start, number * _BATCH, _BATCH) for number in range(_BATCHES)]
    with tempfile.TemporaryDirectory() as folder:
        archiver = Archiver(Folder(Path(folder)), "london")
        started = time.perf_counter()
        for batch in batches:
            archiver.write(batch)
        seconds = time.perf_counter() - started
    count = _BATCHES * _BATCH
    return {"entries": count, "seconds": round(seconds, 2), "entries_per_second": round(count / seconds)}


def ledger() -> dict[str, float]:
    """Walk through a ledger in DynamoDB, which the emulator stands for, and sum up a month by day."""
    at = datetime(2025, 6, 1, 12, tzinfo=UTC)
    with tempfile.TemporaryDirectory() as folder:
        engine = engines.start("ministack", Path(folder))
        engine.make_tables()
        settings = Settings("dev", "london", engine.endpoints["london"], {}, 30.0)
        store = Store(
            settings, load_catalogue(), load_topology(), credentials=Credentials("111111111111", "local")
        )
        spread = [
            replace(one, at=at + timedelta(seconds=number)) for number, one in enumerate(_entries(at, 0, _LEDGER))
        ]
        store.ledger.record(spread)
        started = time.perf_counter()
        days: dict[str, int] = defaultdict(int)
        for one in store.ledger.between("org0", at, at + timedelta(days=1)):
            days[f"{one.at:%Y-%m-%d}"] += one.units
        seconds = time.perf_counter() - started
        engine.stop()
    assert sum(days.values()) == 2 * _LEDGER
    return {"entries": _LEDGER, "seconds": round(seconds, 2), "entries_per_second": round(_LEDGER / seconds)}


def _entries(start: datetime, first: int, count: int) -> list[LedgerEntry]:
    pool = "010#1751328000000#requests:plan-20250601T0000"
    return [
        LedgerEntry(
            kind=EntryKind.DECISION,
            entry_id=f"{number:032x}",
            at=start,
            region="london",
            org_id="org0",
            meter="requests",
            units=2,
            before=number,
            after=number + 2,
            user_id=f"user{number % 500}",
            feature="default",
            request_id=f"01970000-0000-7000-8000-{number:012x}",
            plan="enterprise",
            spent=((pool, 2),),
        )
        for number in range(first, first + count)
    ]


if __name__ == "__main__":
    main()
