"""A small report, and reports of small archives."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cutlass.contracts import load_reports
from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.pools import NEVER_MS
from cutlass.domain.reports import ReportSpec
from cutlass.reporting import Archive, Made, make
from cutlass.reporting.archiver import Archiver
from cutlass.storage.objects import Folder

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PAID = f"050#{NEVER_MS:013d}#requests:paid"
PLAN = "010#1796083200000#requests:plan-20261101T0000"  # until 2026-12-01
BODY = {"type": "usage", "from": "2026-11-01", "to": "2026-12-01"}


def entry(number: int, kind: str = "decision", **more: Any) -> LedgerEntry:
    """An entry of ann's: a decision of 3 units, unless it is said otherwise."""
    fields: dict[str, Any] = {
        "entry_id": f"e{number}",
        "at": NOON + timedelta(minutes=number),
        "region": "london",
        "org_id": "org1",
        "meter": "requests",
        "units": 3,
        "before": 0,
        "after": 3,
        "user_id": "ann",
        "feature": "default",
        "request_id": f"r{number}",
    }
    return LedgerEntry(kind=EntryKind(kind), **{**fields, **more})


def granted(pool: str, amount: int, at: datetime, **more: Any) -> LedgerEntry:
    """The entry of a grant, named by its pool."""
    name = pool.split("#")[2]
    fields = {"entry_id": name, "at": at, "units": amount, "after": amount, "user_id": None, "reason": "paid"}
    return entry(0, "grant", **{**fields, "spent": ((pool, amount),), "effective_at": at, **more})


def archived(folder: Path, entries: Iterable[LedgerEntry]) -> Archive:
    """An archive of some entries."""
    Archiver(Folder(folder), "london").write(entries)
    return Archive.of_folder(folder)


def made(
    archive: Archive,
    out: Path,
    *,
    progress: Callable[[float], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    **body: Any,
) -> Made:
    """A report of org1, in November unless it is said otherwise."""
    spec = ReportSpec.of("org1", {**BODY, **body}, load_reports())
    return make(spec, archive, out, progress=progress, cancelled=cancelled)
