"""Regions that are gone: the fence, the claim of what a fenced region held, and its settlement on return.

Two regions have no quorum, so an operator decides. A fenced region hands nothing out; what it held is moved
exactly where its DynamoDB answers. Where it does not, a survivor may accept in advance: a claim of `k` units
says that it has accepted, altogether, `k` more than the region is known to have sent. On return the region
raises what it sent to that number. Raising twice, or after units that were really sent, changes nothing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cutlass.domain.allotments import Allotment
from cutlass.domain.errors import ConflictError
from cutlass.domain.pools import FIRST_EPOCH, Pool

MARGIN_FACTOR = 2
"""How much faster than on average a region may have handed out units while nothing was heard of it."""


class Standing(StrEnum):
    """What a region may do. Only a serving one decides."""

    SERVING = "serving"
    FENCED = "fenced"
    CLAIMED = "claimed"  # fenced, and a survivor accepted units in advance
    SETTLING = "settling"  # on its way back: claims are settled, new ones refused


@dataclass(frozen=True, slots=True)
class RegionState:
    """What is decided of a region; it is kept by the region itself and, of a fence, by every survivor.

    Attributes
    ----------
    epoch : int
        Rises with each fence and each readmission.
    by, why, at_ms : str, str, int
        Who decided so, the reason in their words, and when.
    claimant, denied : str
        The survivor that claims in advance, and how the operator says the region's writes are denied.
    """

    region: str
    standing: Standing = Standing.SERVING
    epoch: int = FIRST_EPOCH
    by: str = ""
    why: str = ""
    at_ms: int = 0
    claimant: str = ""
    denied: str = ""

    @property
    def serves(self) -> bool:
        """Whether the region decides."""
        return self.standing is Standing.SERVING


def prevailing(region: str, known: Iterable[RegionState]) -> RegionState:
    """Find what holds of a region among what it and the survivors know: what was decided last."""
    return max(known, key=lambda s: (s.epoch, bool(s.claimant)), default=RegionState(region))


def fence(state: RegionState, *, by: str, why: str, at_ms: int) -> RegionState:
    """Fence a serving region; one that stands stays whose it is, one being lifted stands again."""
    if state.serves:
        return RegionState(state.region, Standing.FENCED, state.epoch + 1, by, why, at_ms)
    return replace(state, standing=Standing.CLAIMED if state.claimant else Standing.FENCED)


def claim_by(state: RegionState, survivor: str, denied: str) -> RegionState:
    """Let one survivor claim in advance; raises `ConflictError` for a second one, and without a fence."""
    if state.serves:
        raise ConflictError(
            f"{state.region} is not fenced: what it holds it may spend",
            hint=f"fence it first: cutlass region fence {state.region}",
        )
    if state.standing is Standing.SETTLING:
        raise ConflictError(
            f"{state.region} is being readmitted: nothing of it is claimed any more",
            hint=f"finish `cutlass region readmit {state.region}`, or fence it again",
        )
    if state.claimant not in {"", survivor}:
        raise ConflictError(
            f"{state.claimant} claims what {state.region} held: a second survivor would claim it twice",
            hint=f"claim for {state.claimant}; from there others are supplied as usual",
        )
    return replace(state, standing=Standing.CLAIMED, claimant=survivor, denied=state.denied or denied)


def settle_first(state: RegionState) -> RegionState:
    """Begin a return: from here on nothing more is claimed. Raises `ConflictError` for a serving region."""
    if state.serves:
        raise ConflictError(f"{state.region} serves: there is nothing to readmit")
    return replace(state, standing=Standing.SETTLING)


def readmit(state: RegionState, unsettled: int, *, by: str, why: str, at_ms: int) -> RegionState:
    """End a return; raises `ConflictError` while claims are not settled."""
    if state.standing is not Standing.SETTLING:
        raise ConflictError(f"{state.region} is {state.standing}, not being readmitted")
    if unsettled:
        raise ConflictError(
            f"{unsettled} claims against {state.region} are not settled: serving now would sell them twice",
            hint="run the command again",
        )
    return RegionState(state.region, Standing.SERVING, state.epoch + 1, by, why, at_ms)


def fence_pool(pool: Pool, epoch: int) -> Pool:
    """Let a pool hand out nothing before an epoch later than `epoch`."""
    return replace(pool, fence=max(pool.fence, epoch))


def fence_allotment(allotment: Allotment, epoch: int) -> Allotment:
    """Let an allotment take no decision: it knows a revision that no organisation has.

    Every change under way fails too, because what is held counts as changed. The next decision brings the
    allotment up to the organisation's revision, if the region then serves in a later epoch.
    """
    if allotment.rev <= -epoch:
        return allotment
    return replace(allotment, rev=-epoch, refills=allotment.refills + 1)


def fenced_in(allotment: Allotment) -> int:
    """The epoch an allotment was fenced in, 0 if it is not."""
    return max(0, -allotment.rev)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a survivor accepted in advance of one pool, or of one user's rights, in one epoch.

    Attributes
    ----------
    origin, survivor : str
        The fenced region, and the one that claims.
    item : str
        The pool's key, or the period of an allotment.
    user_id : str
        Whose grant or allotment it is; empty for the organisation's pools.
    grant_id : str
        The pool's grant; empty for an allotment's rights.
    cumulative, units : int
        What the survivor has accepted of the origin altogether, and how much of it in advance.
    """

    origin: str
    survivor: str
    epoch: int
    org_id: str
    meter: str
    item: str
    user_id: str
    grant_id: str
    cumulative: int
    units: int
    at_ms: int
    settled: bool = False

    @property
    def of_rights(self) -> bool:
        """Whether it claims rights of a user's limit."""
        return not self.grant_id


@dataclass(frozen=True, slots=True)
class Sight:
    """What is known of units that a region held: its copy, and what the others accepted from it.

    Attributes
    ----------
    free : int
        Units the copy shows as free.
    sent, accepted : Mapping[str, int]
        What the copy says was sent to each region, and what each region says it has accepted.
    """

    free: int
    sent: Mapping[str, int]
    accepted: Mapping[str, int]

    def proven(self, survivor: str) -> int:
        """Units on their way to the survivor: sent and not accepted yet. They are its own already."""
        return max(0, self.sent.get(survivor, 0) - self.accepted.get(survivor, 0))

    def left(self) -> int:
        """Units that are free in the copy, without those that left since as far as anyone knows."""
        return max(0, self.free - sum(max(0, n - self.sent.get(r, 0)) for r, n in self.accepted.items()))


def margin(handed_out: int, over_ms: int, silent_ms: int) -> int:
    """Units a region may have handed out unseen: its rate over `over_ms`, times the silence, times the factor."""
    return -(-handed_out * silent_ms * MARGIN_FACTOR // max(1, over_ms)) if handed_out > 0 else 0


def advance(sight: Sight, survivor: str, kept_back: int) -> tuple[int, int]:
    """Choose what a survivor claims: the cumulative number, and how many units of it are not proven."""
    base = max(sight.sent.get(survivor, 0), sight.accepted.get(survivor, 0))
    units = max(0, sight.left() - kept_back)
    return base + units, units


def settle_units(pool: Pool, survivor: str, cumulative: int) -> Pool:
    """Raise what a pool has sent to what was claimed of it; what it does not have is overdrawn.

    Units that expired or were burned unspent while the survivor had them are as good as free ones: the survivor
    ends its own.
    """
    owed = max(0, cumulative - pool.sent.get(survivor, 0))
    free = min(owed, pool.available)
    expired = min(owed - free, pool.expired)
    burned = min(owed - free - expired, pool.burned)
    return replace(
        pool,
        available=pool.available - free,
        expired=pool.expired - expired,
        burned=pool.burned - burned,
        overdrawn=pool.overdrawn + owed - free - expired - burned,
        sent=_raised(pool.sent, survivor, cumulative),
    )


def settle_rights(allotment: Allotment, survivor: str, cumulative: int) -> Allotment:
    """Raise the rights an allotment has sent to what was claimed of it; what it does not have is overdrawn."""
    owed = max(0, cumulative - allotment.sent.get(survivor, 0))
    free = min(owed, allotment.unbacked)
    return replace(
        allotment,
        unbacked=allotment.unbacked - free,
        overdrawn=allotment.overdrawn + owed - free,
        sent=_raised(allotment.sent, survivor, cumulative),
    )


def _raised(sent: Mapping[str, int], survivor: str, cumulative: int) -> Mapping[str, int]:
    return {**sent, survivor: cumulative} if cumulative > sent.get(survivor, 0) else sent
