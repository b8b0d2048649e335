"""The ledger: segments of decisions, written by the stream's consumer and found again by request id.

A segment holds the decisions of one user, meter and region in two seconds, each under its request id, so
writing one again changes nothing. A decision whose id carries no time near its own is also entered in an
index, under the id alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any

from cutlass.domain.ledger import EntryKind, LedgerEntry, segment_start, segments_of, was_fresh
from cutlass.domain.periods import from_millis, to_millis
from cutlass.storage import keys, segments
from cutlass.storage.codec import Item
from cutlass.storage.dynamo import Dynamo, expression
from cutlass.storage.paging import Page

_PER_UPDATE = 50
"""Entries put into a segment by one update, so that its expression stays under DynamoDB's 4 KB."""


class Ledger:
    """The ledger of one region, and this region's copies of the others'.

    Parameters
    ----------
    table : str
        The full name of the ledger table.
    regions : Iterable[str]
        Every region's name, for reading.
    """

    def __init__(self, dynamo: Dynamo, table: str, region: str, regions: Iterable[str]) -> None:
        self._dynamo = dynamo
        self._table = table
        self.region = region
        self._regions = list(regions)

    def record(self, entries: Iterable[LedgerEntry]) -> int:
        """Write entries of this region, again if need be; returns the number of writes it took."""
        chosen: dict[keys.Key, dict[str, LedgerEntry]] = defaultdict(dict)
        writes = 0
        for entry in entries:
            if entry.user_id is None or not segments.in_segments(entry):
                self._record_single(entry)
                writes += 1
                continue
            at_ms = to_millis(entry.at)
            if entry.kind is EntryKind.DECISION and not was_fresh(entry.request_id or "", at_ms):
                self._index(entry)
                writes += 1
            start = segment_start(at_ms)
            segment = keys.segment(self.region, entry.org_id, entry.user_id, entry.meter, start)
            # Named twice in one update, an entry would be refused with its whole batch, for ever.
            chosen[segment].setdefault(segments.name(entry), entry)
        for key, members in chosen.items():
            for part in _parts(list(members.values())):
                self._append(key, part)
                writes += 1
        return writes

    def _append(self, key: keys.Key, entries: list[LedgerEntry]) -> None:
        """Put entries into a segment, which begins with the first: each is an attribute under its own name."""
        first = entries[0]
        values: Item = {"org": first.org_id, "user": first.user_id, "meter": first.meter}
        values |= segments.attributes(entries)
        placed = {f"v{number}": name for number, name in enumerate(values)}
        wire = expression(
            "SET " + ", ".join(f"#{place} = :{place}" for place in placed),
            **dict(zip(placed, values.values(), strict=True)),
        )
        wire["ExpressionAttributeNames"] = {f"#{place}": name for place, name in placed.items()}
        self._dynamo.update(self._table, *key, wire, returns="NONE")

    def _index(self, entry: LedgerEntry) -> None:
        key = keys.request_index(
            self.region, entry.org_id, entry.user_id or "", entry.meter, entry.request_id or ""
        )
        item = segments.attributes([entry])
        item = {name: value for name, value in item.items() if name[0] != segments.CHARGE}
        item |= {"pk": key[0], "sk": key[1], "entry": segments.wire(entry), "id": entry.request_id}
        item |= {"org": entry.org_id, "user": entry.user_id, "meter": entry.meter}
        self._dynamo.put_if_absent(self._table, item)

    def _record_single(self, entry: LedgerEntry) -> None:
        self._dynamo.put_if_absent(self._table, record_to_item(entry))

    def find(self, org_id: str, user_id: str, meter: str, request_id: str) -> LedgerEntry | None:
        """Find the allowed decision on a request, of any region as far as this one knows, in one read.

        Of two charges on one request (a retry that went to another region before it could know) the first
        is the answer.
        """
        wanted = [key for region in self._regions for key in places(region, org_id, user_id, meter, request_id)]
        items = self._dynamo.batch_get({self._table: wanted}).values()
        found = [entry for item in items if (entry := segments.charge(item, request_id))]
        return min(found, key=lambda e: (e.at, e.region), default=None)

    def page(
        self,
        org_id: str,
        start: datetime,
        end: datetime,
        *,
        limit: int,
        after: dict[str, Any] | None = None,
        user_id: str | None = None,
    ) -> Page[LedgerEntry]:
        """Read entries of `[start, end)` of every region, in the order of time.

        `after` is the position a page ended at. An entry recorded late into a time already read is not in
        the pages that follow.
        """
        first = max(start, from_millis(after["at"])) if after else start
        behind = (after["at"], after["region"], after["id"]) if after else None
        entries = (
            entry
            for entry in self.between(org_id, first, end, user_id=user_id)
            if behind is None or _position(entry) > behind
        )
        found = list(islice(entries, limit + 1))
        if len(found) <= limit:
            return Page(found)
        at_ms, region, entry_id = _position(found[limit - 1])
        return Page(found[:limit], {"at": at_ms, "region": region, "id": entry_id})

    def between(
        self, org_id: str, start: datetime, end: datetime, *, user_id: str | None = None
    ) -> Iterator[LedgerEntry]:
        """Read every entry of `[start, end)`, of one user or all, day by day as they are taken."""
        for day in _days(start, end):
            yield from (entry for entry in self._day(org_id, day, user_id) if start <= entry.at < end)

    def _day(self, org_id: str, day: datetime, user_id: str | None) -> Iterator[LedgerEntry]:
        """Entries of one day in order: segments come by their start, and those of ten seconds are sorted."""
        partitions = [
            self._dynamo.query(self._table, keys.ledger(region, org_id, f"{day:%Y%m%d}", shard))
            for region in self._regions
            for shard in range(keys.LEDGER_SHARDS)
        ]
        window: list[LedgerEntry] = []
        at = ""
        for item in merge(*partitions, key=lambda item: str(item["sk"])):
            start = item["sk"][:5]  # hour, minute and tens of seconds
            if start != at:
                yield from sorted(window, key=_position)
                window, at = [], start
            window += [e for e in entries_of(item) if user_id is None or e.user_id == user_id]
        yield from sorted(window, key=_position)


def places(region: str, org_id: str, user_id: str, meter: str, request_id: str) -> list[keys.Key]:
    """Where a region's charge on a request may be found: in segments around its time, or in the index."""
    around = [keys.segment(region, org_id, user_id, meter, start) for start in segments_of(request_id)]
    return [keys.request_index(region, org_id, user_id, meter, request_id), *around]


def _parts(entries: list[LedgerEntry]) -> Iterator[list[LedgerEntry]]:
    for first in range(0, len(entries), _PER_UPDATE):
        yield entries[first : first + _PER_UPDATE]


def _days(start: datetime, end: datetime) -> Iterator[datetime]:
    end = min(end, datetime.max.replace(tzinfo=UTC) - timedelta(days=1))
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        yield day
        day += timedelta(days=1)


def _position(entry: LedgerEntry) -> tuple[int, str, str]:
    return to_millis(entry.at), entry.region, entry.entry_id


def record_to_item(entry: LedgerEntry) -> Item:
    """An entry that is no decision as an item of its own."""
    at_ms = to_millis(entry.at)
    pk, sk = keys.ledger_record(entry.region, entry.org_id, at_ms, str(entry.kind), entry.entry_id)
    record = {
        "kind": str(entry.kind),
        "id": entry.entry_id,
        "at": at_ms,
        "org": entry.org_id,
        "meter": entry.meter,
        "units": entry.units,
        "before": entry.before,
        "after": entry.after,
        "user": entry.user_id,
        "reason": entry.reason,
        "spent": [list(part) for part in entry.spent] or None,
        "feature": entry.feature,
        "request": entry.request_id,
        "effective": None if entry.effective_at is None else to_millis(entry.effective_at),
    }
    return {"pk": pk, "sk": sk, "record": record}


def entries_of(item: Item) -> Iterator[LedgerEntry]:
    """Read every entry off an item of the ledger: a segment's, or the one of a record."""
    record = item.get("record")
    if record is None:
        yield from segments.entries(item)
        return
    yield LedgerEntry(
        kind=EntryKind(record["kind"]),
        entry_id=record["id"],
        at=from_millis(record["at"]),
        region=item["pk"].partition("#")[0],
        org_id=record["org"],
        meter=record["meter"],
        units=record["units"],
        before=record["before"],
        after=record["after"],
        user_id=record.get("user"),
        reason=record.get("reason"),
        feature=record.get("feature"),
        request_id=record.get("request"),
        spent=tuple((pool, units) for pool, units in record.get("spent") or []),
        effective_at=from_millis(record["effective"]) if record.get("effective") is not None else None,
    )
