"""What the model's regions hold: items, changes under way, messages, and a stream of what was written."""

from collections import defaultdict
from dataclasses import dataclass, field, fields, replace

from cutlass.domain import metering
from cutlass.domain.allotments import Allotment
from cutlass.domain.ledger import EntryKind, LedgerEntry, segment_start, segments_of, was_fresh
from cutlass.domain.metering import AllotmentKey
from cutlass.domain.organisations import Organisation, User
from cutlass.domain.periods import to_millis
from cutlass.domain.pools import Pool
from cutlass.domain.refunds import RefundAccount
from cutlass.domain.reservations import Reservation, State

_SET_WHOLE = {"until_ms", "refilled_ms", "chunk", "rate", "rev", "plan", "limit", "held", "last"}


class RuleBrokenError(AssertionError):
    """The rules did what they must never do."""


@dataclass(frozen=True)
class Transaction:
    """A change of an allotment, with the pools it moves units from (positive) or back to (negative).

    It makes or ends a `reservation`, or none. `on_terms`, it holds only while the terms are as it was planned on;
    of what it takes units from, `slack` may be spent meanwhile. A depot's change, the `giver`, is written with it.
    """

    key: AllotmentKey
    old: Allotment | None
    new: Allotment
    moves: dict[str, int]
    reservation: Reservation | None = None
    on_terms: bool = False
    slack: int = 0
    giver: "Transaction | None" = None


@dataclass(frozen=True)
class Message:
    """What one region has sent another altogether, of a pool or of a user's rights."""

    origin: str
    to: str
    item: str | AllotmentKey
    cumulative: int


@dataclass
class Region:
    """What one region owns, and what it has heard of the organisation."""

    name: str
    organisation: Organisation
    users: dict[str, User]
    pools: dict[str, Pool] = field(default_factory=dict)
    allotments: dict[AllotmentKey, Allotment] = field(default_factory=dict)
    stream: list[tuple[AllotmentKey, Allotment | None, Allotment, int]] = field(default_factory=list)
    read: int = 0
    ledger: set[tuple[int | None, str]] = field(default_factory=set)
    recorded: dict[str, LedgerEntry] = field(default_factory=dict)
    accounts: dict[str, RefundAccount] = field(default_factory=dict)
    counted: dict[metering.DayKey, metering.Spans] = field(default_factory=dict)
    tallies: dict[AllotmentKey, metering.Tally] = field(default_factory=lambda: defaultdict(metering.Tally))
    underway: list[Transaction] = field(default_factory=list)
    voided: set[str] = field(default_factory=set)
    reservations: dict[str, Reservation] = field(default_factory=dict)

    def write(self, key: AllotmentKey, new: Allotment, now_ms: int) -> None:
        self.stream.append((key, self.allotments.get(key), new, now_ms))
        self.allotments[key] = new

    def record(self, entry: LedgerEntry) -> None:
        self.recorded[entry.entry_id] = entry
        if entry.kind is EntryKind.DECISION:
            at_ms, request_id = to_millis(entry.at), entry.request_id or ""
            self.ledger.add((segment_start(at_ms), request_id))
            if not was_fresh(request_id, at_ms):
                self.ledger.add((None, request_id))

    def free_for(self, reservation: Reservation) -> bool:
        """Whether a reservation may be written: a new one over none, an ended one over one that is held."""
        met = self.reservations.get(reservation.name)
        return met is None if reservation.state is State.HELD else met is not None and met.state is State.HELD

    def in_ledger(self, request_id: str) -> bool:
        return any((place, request_id) in self.ledger for place in (None, *segments_of(request_id)))


def merged(transaction: Transaction, now: Allotment) -> Allotment | None:
    """Apply a change beside decisions made since it was planned, as `cutlass.storage.allotments.change_of`."""
    old, new = transaction.old or now, transaction.new
    if now.refills != old.refills or (transaction.on_terms and now.rev != old.rev):
        return None
    if new.available < old.available and not old.available - transaction.slack <= now.available <= old.available:
        return None
    if now.unbacked < old.unbacked - new.unbacked:
        return None
    values = {}
    for name in (f.name for f in fields(Allotment)):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            values[name] = after if name in _SET_WHOLE else getattr(now, name) + after - before
    return replace(now, **values)
