"""Writes the archive: what is new in the ledger's segments, from its stream, as files of the day it is of.

A file is named by what is in it, so a batch told again writes the same file again. A batch that overlaps another
writes rows again, under the same keys; readers and the compaction take one of each.
"""

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from cutlass.domain.ledger import LedgerEntry
from cutlass.reporting.layout import Place
from cutlass.reporting.rows import Row, rows_of, to_csv
from cutlass.reporting.tables import csv_source, write
from cutlass.storage.codec import decode_item
from cutlass.storage.ledger import entries_of
from cutlass.storage.objects import Objects

_OF_ALL = {"pk", "sk", "org", "user", "meter"}
"""Attributes of a segment that every entry in it needs, besides the pools it names."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What a batch of stream records came to."""

    entries: int
    files: int
    bytes: int


class Archiver:
    """Archives the entries that one region wrote.

    Parameters
    ----------
    objects : Objects
        The region's own archive.
    """

    def __init__(self, objects: Objects, region: str) -> None:
        self._objects = objects
        self._region = region

    def archive(self, records: Iterable[dict[str, object]]) -> Archived:
        """Archive a batch of stream records of the ledger; telling it again changes nothing."""
        return self.write(entry for record in records for entry in new_entries(record, self._region))

    def write(self, entries: Iterable[LedgerEntry], *, months: bool = False) -> Archived:
        """Write entries, each into a file of its organisation, day and region; or of its month, for many."""
        places: dict[Place, set[Row]] = defaultdict(set)
        count = 0
        for entry in entries:
            place = Place.of(entry.org_id, entry.region, entry.at)
            places[place.whole if months else place].update(rows_of(entry))
            count += 1
        size = 0
        with tempfile.TemporaryDirectory(prefix="cutlass-archiver-") as folder, duckdb.connect() as connection:
            for place, rows in places.items():
                text = to_csv(sorted(rows, key=lambda row: tuple(map(str, row))))
                source, target = Path(folder, "rows.csv"), Path(folder, "rows.parquet")
                source.write_bytes(text)
                write(connection, csv_source(source), target)
                data = target.read_bytes()
                self._objects.put(place.delta(hashlib.sha256(text).hexdigest()[:24]), data)
                size += len(data)
        return Archived(count, len(places), size)


def new_entries(record: dict[str, object], region: str) -> Iterator[LedgerEntry]:
    """Give the entries that a stream record has added to the ledger of a region."""
    image = record["dynamodb"]
    if not isinstance(image, dict) or "NewImage" not in image:
        return
    if image["Keys"]["pk"]["S"].partition("#")[0] != region:
        return
    before = image.get("OldImage") or {}
    fresh = {
        name: value
        for name, value in image["NewImage"].items()
        if name not in before or name in _OF_ALL or name.startswith("+")
    }
    yield from entries_of(decode_item(fresh))
