"""The ledger: what is written of every decision and grant, and where a request id is found again."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cutlass.domain.allotments import LastDecision, Spent
from cutlass.domain.ids import FRESH_MS, decision_id, digest, request_time
from cutlass.domain.periods import from_millis
from cutlass.domain.reservations import Reservation, State, behind

SEGMENT_MS = 2_000
"""The span of one segment: the decisions of one allotment in so much time share an item.

An item takes 1,000 writes a second, so a segment gets 2,000 decisions at most, of under 200 bytes each: it
stays within the 400 KB of an item. A longer one would also cost more for each second's addition to it.
"""


class EntryKind(StrEnum):
    """What a ledger entry records."""

    DECISION = "decision"
    REFUSAL = "refusal"
    GRANT = "grant"
    VOID = "void"
    RESERVE = "reserve"
    RELEASE = "release"
    REFUND = "refund"
    EXPIRY = "expiry"
    OVERDRAFT = "overdraft"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One line of an organisation's ledger.

    Attributes
    ----------
    entry_id : str
        The decision id, the grant id, the reservation id, or an id of its own.
    units : int
        Units spent by a decision, refused by a refusal, added by a grant, ended by a void or an expiry, set aside
        by a reservation, given back at its end or by a refund; of an overdraft those another region was given in
        advance and this one had spent.
    before, after : int
        For a decision or a refund the user's usage in the period over all regions, as far as the region knew;
        for a grant the units granted; for a void or an expiry the units left there to hand out or to spend;
        for a reservation the units it holds.
    spent : tuple
        The pools that paid, got back or lost the units, or gave those set aside, in the order of spending; of a
        grant the pool it fills.
    effective_at : datetime or None
        Of a grant, from when it may be spent.
    fingerprint : int
        The 24 bits of the request's body that tell a replay from another request with the same id.
    """

    kind: EntryKind
    entry_id: str
    at: datetime
    region: str
    org_id: str
    meter: str
    units: int
    before: int
    after: int
    user_id: str | None = None
    feature: str | None = None
    request_id: str | None = None
    reason: str | None = None
    plan: str | None = None
    limit: int | None = None
    fingerprint: int = 0
    spent: Spent = ()
    effective_at: datetime | None = None

    @classmethod
    def of_last(
        cls,
        last: LastDecision,
        *,
        region: str,
        org_id: str,
        user_id: str,
        meter: str,
        after: int,
        plan: str,
        limit: int | None,
        refusal: str = "",
        spent: Spent = (),
    ) -> "LedgerEntry":
        """Make the entry of the newest decision, or refund, of an allotment.

        `after` is the allotment's `total` after it; `refusal` names a refused one, see `refusal_id`.
        """
        if last.refund_id is not None:
            kind, before = EntryKind.REFUND, after + last.units
            entry_id = refund_entry_id(org_id, user_id, meter, last.request_id, last.refund_id)
        elif last.reason is None:
            kind, before = EntryKind.DECISION, after - last.units
            entry_id = decision_id(org_id, user_id, meter, last.request_id)
        else:
            kind, before, entry_id = EntryKind.REFUSAL, after, refusal
        return cls(
            kind=kind,
            entry_id=entry_id,
            at=from_millis(last.at_ms),
            region=region,
            org_id=org_id,
            meter=meter,
            units=last.units,
            before=before,
            after=after,
            user_id=user_id,
            feature=last.feature,
            request_id=last.request_id,
            reason=last.reason,
            plan=plan,
            limit=limit,
            fingerprint=last.fingerprint,
            spent=spent or last.spent,
        )


def reservation_entry(reservation: Reservation) -> LedgerEntry | None:
    """Make the entry of what a reservation did last: it set units aside, or gave back what was not spent of them.

    The reason of what is given back is how it came to be: `released`, `expired`, or `committed` with less. What is
    spent is a decision's entry. None where nothing was given back.
    """
    held = reservation.state is State.HELD
    parts = reservation.parts if held else behind(reservation.parts, reservation.spent)
    units = reservation.units if held else reservation.back
    if not units:
        return None
    return LedgerEntry(
        kind=EntryKind.RESERVE if held else EntryKind.RELEASE,
        entry_id=reservation.reservation_id,
        at=from_millis(reservation.created_ms if held else reservation.ended_ms),
        region=reservation.region,
        org_id=reservation.org_id,
        meter=reservation.meter,
        units=units,
        before=0 if held else units,
        after=units if held else 0,
        user_id=reservation.user_id,
        feature=reservation.feature,
        request_id=reservation.request_id,
        reason=None if held else str(reservation.state),
        spent=tuple((part.pool, part.units) for part in parts),
    )


def segment_start(at_ms: int) -> int:
    """Start of the segment a decision at `at_ms` is written to, in milliseconds since 1970."""
    return at_ms - at_ms % SEGMENT_MS


def segments_of(request_id: str) -> list[int]:
    """Starts of the segments that may hold the decision on a request id that was fresh; none for opaque ids."""
    time_ms = request_time(request_id)
    if not time_ms:
        return []
    return list(range(segment_start(time_ms - FRESH_MS), time_ms + FRESH_MS + 1, SEGMENT_MS))


def was_fresh(request_id: str, at_ms: int) -> bool:
    """Whether a decision at `at_ms` is found by its id's time; if not, an index entry must lead to it."""
    return abs(at_ms - request_time(request_id)) <= FRESH_MS


def refusal_id(org_id: str, user_id: str, meter: str, seq: int, period: str, region: str) -> str:
    """Name a recorded refusal: refusals are decided anew, so the request alone does not name one."""
    return decision_id(org_id, user_id, meter, f"{region}#{period}#{seq}")


def refund_entry_id(org_id: str, user_id: str, meter: str, request_id: str, refund_id: str) -> str:
    """Name the entry of a refund, which its charge and its own id name."""
    return decision_id(org_id, user_id, meter, f"{request_id}#{refund_id}")


def ending_id(region: str, org_id: str, pool_key: str, ended: int) -> str:
    """Name the entry of units that ended in a pool; `ended` is what has ended there altogether."""
    return digest("ending", region, org_id, pool_key, str(ended))[:16].hex()
