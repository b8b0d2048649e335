"""Allotments: what one user holds in one region for one meter and period, ready to spend.

A decision is one conditional write to one allotment (`docs/exact-limits.md`, "consume"). This module has
the rules of that write as pure functions; `cutlass.storage.allotments` has the same rules as a DynamoDB
expression, and a contract test holds the two together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cutlass.domain.ids import RequestIdentity, mark_time
from cutlass.domain.pools import NEVER_MS, of_user

RING_TRIM_AT = 16
"""Marks in a ring before recorded ones are dropped: one write per so many decisions, not per decision."""

RING_KEEP = 8
"""Recorded marks left when a ring is trimmed, so that ids just behind the newest still need no look-up."""

RING_LIMIT = 96
"""Marks in a ring before even recorded ones that lie in the future are dropped."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Units drawn from one pool by one refill, spent after all drawn before them.

    `upto` is the allotment's `drawn` after the draw: the chunk is spent when that many units were used.
    """

    pool: str
    upto: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class LastDecision:
    """The newest decision an allotment took, or refund it got, whole: what the ledger gets to know of it.

    `reason` is None for an allowed decision. Of a refund, `refund_id` is its own id, the rest is the charge's but
    for units, time and reason. `spent` says which pools paid, where the chunks held do not.
    """

    request_id: str
    feature: str
    units: int
    at_ms: int
    fingerprint: int
    reason: str | None = None
    refund_id: str | None = None
    spent: "Spent" = ()


Spent = tuple[tuple[str, int], ...]
"""Units by the key of the pool they came from, in the order of spending."""


@dataclass(frozen=True, slots=True)
class Allotment:
    """What one user may spend in one region, of one meter, in one period.

    Attributes
    ----------
    available : int
        Units that both the user's limit and a pool back: the only ones a decision may take.
    unbacked : int
        Units the user's limit still allows that no pool backs yet.
    used, total : int
        Units spent here; and here and elsewhere, as far as was known at the last refill.
    rights, extra : int
        Units of the user's limit minted here; and units of grants of the user's own, drawn so far.
    drawn, returned, expired : int
        Units ever drawn from pools; of these given back; of these lost to a grant's expiry.
    sent, accepted : Mapping[str, int]
        Rights of the user's limit moved to and from other regions, by region, as cumulative counts; each
        side writes only its own.
    released : int
        Of the units given back, those whose rights became unbacked again instead of ending with a period.
    reserved, refused : int
        Units set aside; decisions refused.
    refunded : int
        Of the units spent here, those given back to their pools since: they count as returned, not as used.
    handed : int
        Of a depot, units handed over to users' allotments (`cutlass.domain.depots`).
    served, births : int
        Hand-overs since a depot was filled last, and allotments born by them: hints for the pools.
    overdrawn : int
        Rights that were claimed by another region in advance and were not there any more.
    seq : int
        Rises with every decision, allowed or refused, and every movement of units.
    refills : int
        Rises with every change of what is held: the guard of those changes.
    refilled_ms, chunk, rate : int
        When units were last drawn; how many of them were not given back; how fast the user spends, in
        thousandths of a unit per second.
    until_ms : int
        The earliest expiry of anything held; nothing is spent past it.
    mark_ms, trims : int
        The watermark: ids not younger are looked up in the ledger first. How often marks were dropped.
    ring : frozenset[bytes]
        The marks of the requests decided since.
    held : tuple[Chunk, ...]
        The chunks not yet spent, in the order of spending.
    rev : int
        The organisation's revision this allotment knows; negative while it is fenced.
    stripes : int
        How many stripes the user's allotment has, as far as this one knows (`cutlass.domain.stripes`).
    """

    rev: int
    plan: str
    limit: int | None
    rights: int
    unbacked: int
    available: int = 0
    used: int = 0
    total: int = 0
    extra: int = 0
    drawn: int = 0
    returned: int = 0
    expired: int = 0
    released: int = 0
    reserved: int = 0
    refunded: int = 0
    handed: int = 0
    served: int = 0
    births: int = 0
    overdrawn: int = 0
    refused: int = 0
    seq: int = 0
    refills: int = 0
    refilled_ms: int = 0
    chunk: int = 0
    rate: int = 0
    until_ms: int = NEVER_MS
    mark_ms: int = 0
    trims: int = 0
    ring: frozenset[bytes] = frozenset()
    held: tuple[Chunk, ...] = ()
    last: LastDecision | None = None
    stripes: int = 1
    sent: Mapping[str, int] = field(default_factory=dict)
    accepted: Mapping[str, int] = field(default_factory=dict)

    @property
    def kept(self) -> int:
        """Units spent here and not refunded since."""
        return self.used - self.refunded

    @property
    def gone(self) -> int:
        """Units drawn and not available any more: spent for good, set aside, given back, expired, handed over."""
        return self.kept + self.reserved + self.returned + self.expired + self.handed


class Verdict(StrEnum):
    """What a consume write met: success, or the first rule that refused it."""

    TAKEN = "taken"
    REPEATED = "repeated"  # the ring knows the request: answer again
    LATE = "late"  # the ring may have forgotten the request: look it up, then come back fenced
    DIVIDED = "divided"  # the allotment and the caller know different numbers of stripes
    TERMS_CHANGED = "terms-changed"  # the allotment and the caller know different revisions
    EXPIRED = "expired"  # something held has expired: settle it
    SHORT = "short"  # refill


@dataclass(frozen=True, slots=True)
class Spend:
    """A request to take `units` of an allotment.

    `fence` is None for a fresh id, which the watermark alone admits. For any other id it is the allotment's
    `trims` seen before the ledger was looked up: no mark may have been dropped since.
    """

    identity: RequestIdentity
    feature: str
    units: int
    rev: int
    now_ms: int
    fence: int | None = None
    stripes: int = 1


def judge(allotment: Allotment, spend: Spend) -> Verdict:
    """Judge a consume write against the allotment it meets; the order of the rules is the order of answers."""
    known = (
        allotment.trims == spend.fence
        if spend.fence is not None
        else spend.identity.fresh(spend.now_ms) and allotment.mark_ms < spend.identity.time_ms
    )
    if spend.identity.mark in allotment.ring:
        return Verdict.REPEATED
    if not known:
        return Verdict.LATE
    if allotment.stripes != spend.stripes:
        return Verdict.DIVIDED
    return afford(allotment, spend.units, spend.rev, spend.now_ms)


def afford(allotment: Allotment, units: int, rev: int, now_ms: int) -> Verdict:
    """Judge whether units may be taken out of an allotment under the terms of a revision, whoever asks."""
    if allotment.rev != rev:
        return Verdict.TERMS_CHANGED
    if allotment.until_ms <= now_ms:
        return Verdict.EXPIRED
    return Verdict.TAKEN if allotment.available >= units else Verdict.SHORT


def consume(allotment: Allotment, spend: Spend) -> Allotment:
    """Take the units of a request that `judge` found to be `TAKEN`."""
    return replace(
        allotment,
        available=allotment.available - spend.units,
        used=allotment.used + spend.units,
        total=allotment.total + spend.units,
        seq=allotment.seq + 1,
        ring=allotment.ring | {spend.identity.mark},
        last=_last(spend, None),
    )


def refuse(allotment: Allotment, spend: Spend, reason: str) -> Allotment:
    """Record a refusal; it takes nothing and is not remembered, so the same request is decided anew."""
    return replace(allotment, refused=allotment.refused + 1, seq=allotment.seq + 1, last=_last(spend, reason))


def _last(spend: Spend, reason: str | None) -> LastDecision:
    identity = spend.identity
    return LastDecision(
        identity.request_id, spend.feature, spend.units, spend.now_ms, identity.fingerprint, reason
    )


def unspent(allotment: Allotment) -> list[tuple[Chunk, int]]:
    """What each held chunk has left, given that chunks are spent in order; chunks with nothing left fall out."""
    gone = allotment.gone
    left, start = [], gone
    for chunk in allotment.held:
        units = chunk.upto - max(start, gone)
        if units > 0:
            left.append((chunk, units))
            start = chunk.upto
    return left


def spent_of(allotment: Allotment, units: int) -> Spent:
    """Say from which pools the next `units` of an allotment are spent: those of the chunks drawn first."""
    return first_of(((chunk.pool, left) for chunk, left in unspent(allotment)), units)


def first_of(row: Iterable[tuple[str, int]], units: int) -> Spent:
    """Take the first `units` of a row of units by pool; what follows each other of one pool is one part."""
    taken: list[tuple[str, int]] = []
    for pool, there in row:
        part = max(0, min(there, units))
        units -= part
        if part and taken and taken[-1][0] == pool:
            taken[-1] = (pool, taken[-1][1] + part)
        elif part:
            taken.append((pool, part))
    return tuple(taken)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a settling takes out of an allotment: units to give back, by pool, and units that expired."""

    returns: dict[str, int]
    expired: int
    allotment: Allotment


def settle(allotment: Allotment, now_ms: int, *, everything: bool = False) -> Settlement:
    """Take expired units out of an allotment; with `everything` (its period ended) give back the rest too.

    Rights of the user's limit that backed expired units become unbacked again.

    The chunks that stay are renumbered, because `upto` counts units that left in order.
    """
    returns: dict[str, int] = {}
    expired, freed, kept = 0, 0, []
    for chunk, units in unspent(allotment):
        if chunk.expires_ms <= now_ms:
            expired += units
            freed += 0 if of_user(chunk.pool) else units
        elif everything:
            returns[chunk.pool] = returns.get(chunk.pool, 0) + units
        else:
            kept.append((chunk, units))
    back = sum(returns.values())
    position = allotment.gone + expired + back
    held = []
    for chunk, units in kept:
        position += units
        held.append(replace(chunk, upto=position))
    settled = replace(
        allotment,
        available=allotment.available - expired - back,
        returned=allotment.returned + back,
        expired=allotment.expired + expired,
        unbacked=allotment.unbacked + freed,
        released=allotment.released + freed,
        refills=allotment.refills + 1,
        seq=allotment.seq + 1,
        held=tuple(held),
        until_ms=earliest(held),
        chunk=max(0, allotment.chunk - back),
    )
    return Settlement(returns, expired, settled)


def earliest(chunks: Sequence[Chunk]) -> int:
    """The earliest expiry among chunks, in milliseconds since 1970."""
    return min((chunk.expires_ms for chunk in chunks), default=NEVER_MS)


def release(allotment: Allotment) -> Settlement:
    """Give back everything an idle allotment holds, so that its rights and its units can serve elsewhere.

    Units of the user's own grants take their rights along into their pool.
    """
    settlement = settle(allotment, 0, everything=True)
    back = sum(units for pool, units in settlement.returns.items() if not of_user(pool))
    freed = replace(
        settlement.allotment,
        unbacked=settlement.allotment.unbacked + back,
        released=settlement.allotment.released + back,
    )
    return replace(settlement, allotment=freed)


@dataclass(frozen=True, slots=True)
class Trim:
    """Marks to drop from a ring, and the watermark that then covers them."""

    marks: frozenset[bytes]
    mark_ms: int


def trim(ring: frozenset[bytes], mark_ms: int, now_ms: int) -> Trim | None:
    """Choose the marks to drop from a ring whose decisions are all in the ledger; None when it is short.

    Oldest first, so that the watermark covers what is dropped with the least movement. A mark that lies in
    the future stays until its time has come, because behind the watermark it would make every id late.
    """
    if len(ring) <= RING_TRIM_AT:
        return None
    ordered = sorted(ring)
    dropped = [m for m in ordered[: len(ordered) - RING_KEEP] if mark_time(m) <= now_ms]
    if len(ring) > RING_LIMIT:
        dropped = ordered[: len(ordered) - RING_KEEP]
    if not dropped:
        return None
    return Trim(frozenset(dropped), max(mark_ms, mark_time(dropped[-1])))
