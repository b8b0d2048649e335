"""Metering: from the changes of allotments to ledger entries and to usage by hour and day.

A change of an allotment arrives at least once, as a rule in order, and carries the allotment before and after.
Every decision and every movement of units raises `seq` by one, so what was counted before is known by it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cutlass.domain.allotments import Allotment, first_of, spent_of, unspent
from cutlass.domain.ledger import EntryKind, LedgerEntry, ending_id, refusal_id
from cutlass.domain.pools import Pool

EXPIRED_IN_HAND = "expired_in_hand"
"""The reason in the ledger of units that expired after a user's allotment had drawn them."""


@dataclass(frozen=True, slots=True)
class AllotmentKey:
    """Whose allotment it is."""

    region: str
    org_id: str
    user_id: str
    meter: str
    period: str


@dataclass(frozen=True, slots=True)
class Event:
    """What one change of an allotment came to.

    Attributes
    ----------
    seq : int
        Its number within the allotment.
    at : datetime
        When: of a decision the decision's time, else the change's.
    entry : LedgerEntry or None
        The decision, refund or expiry, if it was one.
    moved : int
        Units that came into the user's hands; negative for units that went back or expired.
    reserved : int
        Units set aside; negative for a reservation's end.
    spent : int
        Units the allotment has spent altogether, with this event.
    """

    key: AllotmentKey
    seq: int
    at: datetime
    entry: LedgerEntry | None
    moved: int
    reserved: int = 0
    spent: int = 0


def event_of(key: AllotmentKey, old: Allotment | None, new: Allotment, at: datetime) -> Event | None:
    """Read the event off a change of an allotment; None for a change that counts nothing, as a trim.

    `at` is the change's own time, the same however often the change is told.
    """
    if new.seq == (old.seq if old else 0):
        return None
    moved = _in_hand(new) - (_in_hand(old) if old else 0)
    reserved = new.reserved - (old.reserved if old else 0)
    if old is None or new.last is None or not _decided(old, new):
        ended = _expiry(key, old, new, at) if old and not reserved else None
        return Event(key, new.seq, at, ended, moved, reserved, new.kept)
    entry = LedgerEntry.of_last(
        new.last,
        region=key.region,
        org_id=key.org_id,
        user_id=key.user_id,
        meter=key.meter,
        after=new.total,
        plan=new.plan,
        limit=new.limit,
        refusal=refusal_id(key.org_id, key.user_id, key.meter, new.seq, key.period, key.region),
        # A commit's own units were set aside before; what it cost above them left the front now.
        spent=(*new.last.spent, *spent_of(old, new.gone - old.gone)),
    )
    return Event(key, new.seq, entry.at, entry, moved, reserved, new.kept)


def _decided(old: Allotment, new: Allotment) -> bool:
    return (new.used, new.refused, new.refunded) != (old.used, old.refused, old.refunded)


def _expiry(key: AllotmentKey, old: Allotment, new: Allotment, at: datetime) -> LedgerEntry | None:
    """The entry of units that expired in a user's hands: of all that left, those with the earliest expiry."""
    units = new.expired - old.expired
    if not units:
        return None
    left = sorted(unspent(old), key=lambda part: part[0].expires_ms)
    return LedgerEntry(
        kind=EntryKind.EXPIRY,
        entry_id=refusal_id(key.org_id, key.user_id, key.meter, new.seq, key.period, key.region),
        at=at,
        region=key.region,
        org_id=key.org_id,
        meter=key.meter,
        units=units,
        before=old.available,
        after=new.available,
        user_id=key.user_id,
        reason=EXPIRED_IN_HAND,
        spent=first_of(((chunk.pool, there) for chunk, there in left), units),
    )


def ending_of(
    region: str, org_id: str, meter: str, old: Pool | None, new: Pool, at: datetime
) -> LedgerEntry | None:
    """Read off a change of a pool what ended in it, by expiry or void; None where nothing did."""
    expired = new.expired - (old.expired if old else 0)
    burned = new.burned - (old.burned if old else 0)
    voiding = new.voided and not (old and old.voided)
    if not expired and not burned and not voiding:
        return None
    return LedgerEntry(
        kind=EntryKind.VOID if voiding else EntryKind.EXPIRY,
        entry_id=new.grant_id if voiding else ending_id(region, org_id, new.key, new.expired + new.burned),
        at=at,
        region=region,
        org_id=org_id,
        meter=meter,
        units=expired + burned,
        before=new.available + expired + burned,
        after=new.available,
        user_id=new.user_id,
        reason="expired" if expired else "voided",
        spent=((new.key, expired + burned),),
    )


def _in_hand(allotment: Allotment) -> int:
    return allotment.drawn - allotment.returned - allotment.expired - allotment.handed


Spans = tuple[tuple[int, int], ...]
"""Numbers of events as spans, both ends included: one span, unless some events came out of order."""


def spans_with(spans: Spans, number: int) -> Spans:
    """Add a number to spans, joining those that touch; returns `spans` itself if it has the number."""
    if any(low <= number <= high for low, high in spans):
        return spans
    below = [span for span in spans if span[1] < number - 1]
    above = [span for span in spans if span[0] > number + 1]
    joined = [number, *(end for span in spans if span not in below and span not in above for end in span)]
    return (*below, (min(joined), max(joined)), *above)


def newest(spans: Spans) -> int:
    """The highest number in spans; 0 where there is none."""
    return spans[-1][1] if spans else 0


@dataclass(slots=True)
class Tally:
    """Units and refusals by hour of day (UTC) and feature, units moved and set aside, and all events counted.

    `spent` is what the allotment had spent altogether at the last of them; None if that was known before.
    """

    units: Counter[tuple[int, str]] = field(default_factory=Counter)
    refusals: Counter[tuple[int, str]] = field(default_factory=Counter)
    moved: int = 0
    reserved: int = 0
    counted: Spans = ()
    spent: int | None = None

    def add(self, event: Event) -> None:
        """Count one event, unless it was counted."""
        counted = spans_with(self.counted, event.seq)
        if counted is self.counted:
            return
        if newest(counted) > newest(self.counted):
            self.spent = event.spent
        self.counted = counted
        self.moved += event.moved
        self.reserved += event.reserved
        entry = event.entry
        if entry is None:
            return
        slot = entry.at.hour, entry.feature or "default"
        match entry.kind:
            case EntryKind.DECISION:
                self.units[slot] += entry.units
            case EntryKind.REFUND:
                self.units[slot] -= entry.units
            case EntryKind.REFUSAL:
                self.refusals[slot] += 1

    def include(self, other: "Tally") -> None:
        """Add another tally's counts."""
        self.units.update(other.units)
        self.refusals.update(other.refusals)
        self.moved += other.moved
        self.reserved += other.reserved


DayKey = tuple[AllotmentKey, str]
"""An allotment and a day (YYYYMMDD, UTC)."""


def day_of(event: Event) -> DayKey:
    """The allotment and day an event is counted in."""
    return event.key, f"{event.at:%Y%m%d}"


def by_day(events: Iterable[Event], counted: Mapping[DayKey, Spans]) -> dict[DayKey, Tally]:
    """Tally events per allotment and day, without those already counted there.

    Parameters
    ----------
    counted : Mapping
        The numbers of the events counted before, by allotment and day.
    """
    tallies: dict[DayKey, Tally] = {}
    for event in events:
        day = day_of(event)
        tallies.setdefault(day, Tally(counted=counted.get(day, ()))).add(event)
    return {day: tally for day, tally in tallies.items() if tally.counted != counted.get(day, ())}
