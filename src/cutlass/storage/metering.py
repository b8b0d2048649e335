"""The stream's consumer: decisions and reservations into the ledger, usage, then recorded marks out of rings."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from cutlass.domain.allotments import Allotment, trim
from cutlass.domain.ledger import LedgerEntry, reservation_entry
from cutlass.domain.metering import AllotmentKey, Event, event_of
from cutlass.domain.periods import from_millis, to_millis
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments
from cutlass.storage.codec import decode_item
from cutlass.storage.items import allotment_from_item, reservation_from_item
from cutlass.storage.ledger import Ledger
from cutlass.storage.usage import Usage


@dataclass(frozen=True, slots=True)
class Metered:
    """What one batch of stream records came to.

    `decisions` were allowed, `refusals` were not; the others count writes.
    """

    decisions: int
    refusals: int
    segments: int
    rollups: int
    trims: int


class Meter:
    """Meters one region's allotments."""

    def __init__(
        self, allotments: Allotments, ledger: Ledger, usage: Usage, clock: Callable[[], datetime]
    ) -> None:
        self._allotments = allotments
        self._ledger = ledger
        self._usage = usage
        self._clock = clock

    def record(self, records: Iterable[dict[str, object]]) -> Metered:
        """Record a batch of DynamoDB stream records of the limits table; telling it again changes nothing.

        The order matters: a mark may leave a ring only when its decision is found in the ledger.
        """
        events: list[Event] = []
        newest: dict[keys.Key, Allotment] = {}
        aside: list[LedgerEntry] = []
        for record in records:
            if entry := _reservation(record, self._allotments.region):
                aside.append(entry)
            change = _change(record, self._allotments.region)
            if change is None:
                continue
            key, owner, old, new, at = change
            if event := event_of(owner, old, new, at):
                events.append(event)
                newest[key] = new
        entries = [event.entry for event in events if event.entry]
        segments = self._ledger.record(entries + aside)
        rollups = self._usage.record(events)
        refusals = sum(entry.reason is not None for entry in entries)
        return Metered(len(entries) - refusals, refusals, segments, rollups, self._trim(newest))

    def _trim(self, newest: dict[keys.Key, Allotment]) -> int:
        now_ms, trims = to_millis(self._clock()), 0
        for key, allotment in newest.items():
            chosen = trim(allotment.ring, allotment.mark_ms, now_ms)
            if chosen and self._allotments.trim(key, chosen, allotment.trims):
                trims += 1
        return trims


def _reservation(record: dict[str, object], region: str) -> LedgerEntry | None:
    """Read what a reservation did off a stream record; None for other items, other regions' and deletions."""
    image = record["dynamodb"]
    if not isinstance(image, dict) or "NewImage" not in image:
        return None
    if keys.parse_reservation(image["Keys"]["pk"]["S"], image["Keys"]["sk"]["S"]) != region:
        return None
    return reservation_entry(reservation_from_item(decode_item(image["NewImage"])))


def _change(
    record: dict[str, object], region: str
) -> tuple[keys.Key, AllotmentKey, Allotment | None, Allotment, datetime] | None:
    """Read an allotment's change off a stream record; None for other items, other regions' and deletions."""
    image = record["dynamodb"]
    if not isinstance(image, dict) or "NewImage" not in image:
        return None
    key = image["Keys"]["pk"]["S"], image["Keys"]["sk"]["S"]
    parsed = keys.parse_allotment(*key)
    if parsed is None or parsed[0] != region:
        return None
    old, new = image.get("OldImage"), image["NewImage"]
    return (
        key,
        AllotmentKey(*parsed),
        allotment_from_item(decode_item(old)) if old else None,
        allotment_from_item(decode_item(new)),
        from_millis(int(float(image["ApproximateCreationDateTime"]) * 1000)),
    )
