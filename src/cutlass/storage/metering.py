"""The stream's consumer: what happened into the ledger and the usage, then recorded marks out of the rings."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from cutlass.domain.allotments import Allotment, trim
from cutlass.domain.ledger import EntryKind, LedgerEntry, reservation_entry
from cutlass.domain.metering import AllotmentKey, Event, ending_of, event_of
from cutlass.domain.periods import from_millis, to_millis
from cutlass.domain.stripes import divided, unstriped
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments, allotment_of
from cutlass.storage.codec import Item, decode_item
from cutlass.storage.items import allotment_from_item, pool_from_item, reservation_from_item
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
    divisions: int = 0


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
        others: list[LedgerEntry] = []
        newest: dict[keys.Key, Allotment] = {}
        for record in records:
            image = _image(record, self._allotments.region)
            if image is None:
                continue
            if beside := _reservation(image) or _ending(image):
                others.append(beside)
            change = _change(image)
            if change is None:
                continue
            key, owner, old, new = change
            if event := event_of(owner, old, new, image.at):
                events.append(event)
                newest[key] = new
        entries = [event.entry for event in events if event.entry]
        segments = self._ledger.record(entries + others)
        rollups = self._usage.record(events)
        kinds = Counter(entry.kind for entry in entries)
        decisions, refusals = kinds[EntryKind.DECISION], kinds[EntryKind.REFUSAL]
        trims = self._trim(newest)
        return Metered(decisions, refusals, segments, rollups, trims, self._divide(events, newest))

    def _trim(self, newest: dict[keys.Key, Allotment]) -> int:
        now_ms, trims = to_millis(self._clock()), 0
        for key, allotment in newest.items():
            chosen = trim(allotment.ring, allotment.mark_ms, now_ms)
            if chosen and self._allotments.trim(key, chosen, allotment.trims):
                trims += 1
        return trims

    def _divide(self, events: list[Event], newest: dict[keys.Key, Allotment]) -> int:
        """Give busy users more stripes: stripe 0 knows how many there are, the others learn it later."""
        times: dict[AllotmentKey, list[int]] = defaultdict(list)
        for event in events:
            if event.entry and event.entry.kind is EntryKind.DECISION:
                times[event.key].append(to_millis(event.at))
        told: dict[keys.Key, int] = {}
        for of, taken in times.items():
            period, stripe = unstriped(of.period)
            first = self._allotments.key(of.org_id, of.user_id, of.meter, period)
            known = newest[self._allotments.key(of.org_id, of.user_id, of.meter, period, stripe)].stripes
            if stripes := divided(known, len(taken), max(taken) - min(taken)):
                told[first] = max(stripes, told.get(first, 0))
        for key, stripes in told.items():
            self._allotments.divide(key, stripes)
        return len(told)


@dataclass(frozen=True, slots=True)
class _Image:
    """One of this region's items as a stream record tells it: before, None at its birth, and after."""

    key: keys.Key
    old: Item | None
    new: Item
    at: datetime


def _reservation(image: _Image) -> LedgerEntry | None:
    """Read what a reservation did; None for other items."""
    if keys.parse_reservation(*image.key) is None:
        return None
    return reservation_entry(reservation_from_item(image.new))


def _image(record: dict[str, object], region: str) -> _Image | None:
    """Read a stream record; None for other regions' items and deletions."""
    image = record["dynamodb"]
    if not isinstance(image, dict) or "NewImage" not in image:
        return None
    key = image["Keys"]["pk"]["S"], image["Keys"]["sk"]["S"]
    if key[0].partition("#")[0] != region:
        return None
    old = image.get("OldImage")
    at = from_millis(int(float(image["ApproximateCreationDateTime"]) * 1000))
    return _Image(key, decode_item(old) if old else None, decode_item(image["NewImage"]), at)


def _change(image: _Image) -> tuple[keys.Key, AllotmentKey, Allotment | None, Allotment] | None:
    """Read an allotment's change; None for other items."""
    parsed = keys.parse_allotment(*image.key)
    if parsed is None:
        return None
    return image.key, AllotmentKey(*parsed), allotment_of(image.old), allotment_from_item(image.new)


def _ending(image: _Image) -> LedgerEntry | None:
    """Read what ended in a pool; None for other items, and where nothing did."""
    parsed = keys.parse_pool(image.key[0])
    if parsed is None:
        return None
    old = pool_from_item(image.old) if image.old else None
    return ending_of(*parsed, old, pool_from_item(image.new), image.at)
