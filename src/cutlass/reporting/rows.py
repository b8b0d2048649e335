"""Rows of the archive: a ledger entry is a row per pool that it touched, and rows are never changed.

An entry's rows follow from the entry alone, and its name is its own. So the archive is a set: writing an entry
again, anywhere, adds nothing once it is read as a set.
"""

import csv
import io
from collections.abc import Iterable, Iterator

from cutlass.contracts import load_archive
from cutlass.domain.ledger import LedgerEntry
from cutlass.domain.periods import to_millis
from cutlass.domain.pools import NEVER_MS

COLUMNS = load_archive().columns
"""The archive's columns, in order."""

NAMES = ", ".join(column.name for column in COLUMNS)
KEY = ("region", "kind", "entry_id", "part")
"""What tells one row of an organisation from every other."""

Row = tuple[str | int | bool | None, ...]


def rows_of(entry: LedgerEntry) -> Iterator[Row]:
    """Give the rows of an entry; what its pools do not account for is in a last one without a grant."""
    parts: list[tuple[str | None, int]] = [*entry.spent]
    rest = entry.units - sum(units for _, units in entry.spent)
    if rest or not parts:
        parts.append((None, rest))
    for number, (pool, units) in enumerate(parts):
        yield (
            entry.org_id,
            entry.region,
            to_millis(entry.at),
            str(entry.kind),
            entry.entry_id,
            number,
            int(number == 0),
            entry.user_id,
            entry.feature,
            entry.meter,
            units,
            *_pool(pool),
            None if entry.effective_at is None else to_millis(entry.effective_at),
            entry.after,
            entry.reason,
            entry.plan,
            entry.limit,
            entry.request_id,
        )


def _pool(key: str | None) -> Row:
    """Grant, priority, end and whether it is a user's own, read off a pool's key."""
    if key is None:
        return (None, None, None, None)
    priority, ends, grant, *own = key.split("#")
    return (grant, int(priority), None if int(ends) == NEVER_MS else int(ends), bool(own))


def to_csv(rows: Iterable[Row]) -> bytes:
    """Write rows as DuckDB's `read_csv` takes them fastest; nothing is NULL."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
