"""Fencing a region and readmitting it: what an operator decides, written where it holds.

The state says that the region is out of service; what makes it exact is the walk. Every pool is told to hand
out nothing, then every allotment to take no decision. A pool born meanwhile is born fenced, and an allotment
born meanwhile finds no pool that gives it anything, so that after the walk no unit can be spent there.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from cutlass.domain import regions as rules
from cutlass.domain.errors import ConflictError, UnavailableError
from cutlass.domain.periods import to_millis
from cutlass.domain.regions import RegionState, prevailing
from cutlass.storage.dynamo import ConditionFailedError, Dynamo, expression
from cutlass.storage.estates import Estates, Progress
from cutlass.storage.keys import Key
from cutlass.storage.peers import Peers
from cutlass.storage.regions import RegionStates


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a region: by itself (None if it does not answer), by the survivors that answer."""

    own: RegionState | None
    reachable: bool
    kept: Mapping[str, RegionState | None] = field(default_factory=dict)
    away: list[str] = field(default_factory=list)

    def state(self, region: str) -> RegionState:
        """What holds of the region, as far as is known."""
        return prevailing(region, [s for s in (self.own, *self.kept.values()) if s])


@dataclass(frozen=True, slots=True)
class Fenced:
    """What a fence has done.

    Attributes
    ----------
    exact : bool
        Whether nothing can be spent in the region any more.
    pools, allotments : int
        How many were fenced by this walk.
    away : list[str]
        Survivors that do not know of the fence because they do not answer.
    unseen : list[str]
        Organisations whose grants could not be read, so that pools of theirs may stay open.
    """

    state: RegionState
    exact: bool
    pools: int = 0
    allotments: int = 0
    away: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)


class Fences:
    """Fences and readmits regions, from the region this process stands in.

    Parameters
    ----------
    table : str
        The full name of the limits table.
    """

    def __init__(
        self, peers: Peers, states: RegionStates, estates: Estates, table: str, clock: Callable[[], datetime]
    ) -> None:
        self._peers = peers
        self._states = states
        self._estates = estates
        self._table = table
        self._clock = clock

    def known(self, region: str) -> Known:
        """Ask a region, and every other one, what is decided of it; who does not answer is `away`."""
        own, reachable = None, False
        kept: dict[str, RegionState | None] = {}
        away = []
        with suppress(UnavailableError):
            own, reachable = self._states.read(region, region), True
        for survivor in self.survivors(region):
            try:
                kept[survivor] = self._states.read(survivor, region)
            except UnavailableError:
                away.append(survivor)
        return Known(own, reachable, kept, away)

    def fence(self, region: str, *, by: str, why: str, progress: Progress) -> Fenced:
        """Fence a region, exactly where its DynamoDB answers; again, to finish a fence that was cut short.

        Raises `ConflictError` when another operator decided something meanwhile, and `UnavailableError` when
        not even a survivor answers.
        """
        known = self.known(region)
        if not known.reachable and not known.kept:
            raise UnavailableError("no region answers: nothing was written")
        state = rules.fence(known.state(region), by=by, why=why, at_ms=to_millis(self._clock()))
        self._decide(region, state, known)
        if not known.reachable:
            return Fenced(state, exact=False, away=known.away)
        pools, allotments, unseen = self._walk(region, state.epoch, progress)
        return Fenced(state, not unseen, pools, allotments, known.away, unseen)

    def _decide(self, region: str, new: RegionState, known: Known) -> None:
        """Write a decision everywhere it is known: a return last at the region, all else first there."""
        own = [(region, known.own)] if known.reachable else []
        kept = list(known.kept.items())
        for keeper, seen in [*kept, *own] if new.serves else [*own, *kept]:
            if seen == new or self._states.write(keeper, new, seen):
                continue
            now = self._states.read(keeper, region)
            said = f"{now.by} made it {now.standing}: {now.why}" if now else "it is not what it was"
            raise ConflictError(
                f"another operator decided on {region} meanwhile ({said})",
                hint="look at `cutlass region status`, then run the command again if it still should be",
            )

    def _walk(self, region: str, epoch: int, progress: Progress) -> tuple[int, int, list[str]]:
        there = self._peers.at(region)
        organisations = self._estates.organisations()
        pools = allotments = 0
        unseen = []
        for done, organisation in enumerate(organisations):
            progress(done, len(organisations))
            try:
                grants = self._estates.grants(organisation, ended=True)
            except UnavailableError:
                unseen.append(organisation.org_id)
                grants = self._estates.grants(organisation, copies=True, ended=True)
            users = {grant.user_id for grant, _ in grants if grant.user_id}
            for held in self._estates.pools(region, organisation, users, at=region):
                pools += _close_pool(there, self._table, held.key, epoch)
            for one in self._estates.allotments(region, organisation, at=region):
                allotments += _close_allotment(there, self._table, one.key, epoch)
        progress(len(organisations), len(organisations))
        return pools, allotments, unseen

    def begin_return(self, region: str) -> RegionState:
        """Stop claims against a fenced region, at every survivor; returns what holds from then on.

        Raises
        ------
        UnavailableError
            The region, or a survivor that may have claimed, does not answer.
        ConflictError
            The region serves, or its fence is only known to the survivors and not walked.
        """
        known = self.known(region)
        state = known.state(region)
        if not known.reachable:
            raise UnavailableError(f"{region}'s DynamoDB does not answer", hint="readmit it when it does")
        if known.away:
            raise UnavailableError(
                f"{', '.join(known.away)} may have claimed what {region} held, and does not answer",
                hint="readmit when every region answers",
            )
        if (known.own is None or known.own.serves) and not state.serves:
            raise ConflictError(
                f"{region} does not know that it is fenced, and may be spending what was claimed",
                hint=f"finish the fence first: cutlass region fence {region}",
            )
        if state.serves and known.own is not None and not known.own.serves:
            state = replace(known.own, epoch=state.epoch)  # a return that was cut short before its last write
        settling = rules.settle_first(state)
        self._decide(region, settling, known)
        return settling

    def end_return(self, region: str, settling: RegionState, unsettled: int, *, by: str, why: str) -> RegionState:
        """Let a region serve again, once nothing is left to settle; the region itself learns it last.

        Raises `ConflictError` while something is, or when another operator decided something meanwhile.
        """
        serving = rules.readmit(settling, unsettled, by=by, why=why, at_ms=to_millis(self._clock()))
        kept = dict.fromkeys(self.survivors(region), settling)
        self._decide(region, serving, Known(settling, reachable=True, kept=kept))
        return serving

    def claimant(self, region: str, survivor: str, denied: str) -> RegionState:
        """Make one survivor the only one to claim in advance; every other survivor has to agree.

        Raises `UnavailableError` when one does not answer, and `ConflictError` when it may not be.
        """
        known = self.known(region)
        if known.away:
            raise UnavailableError(f"{', '.join(known.away)} does not answer, and might claim the same units")
        state = rules.claim_by(known.state(region), survivor, denied)
        self._decide(region, state, Known(None, reachable=False, kept=known.kept))
        return state

    def survivors(self, region: str) -> list[str]:
        """Every other region, in the order of the topology as seen from here."""
        return [name for name in (self._peers.region, *self._peers.others) if name != region]


def _close_pool(there: Dynamo, table: str, key: Key, epoch: int) -> bool:
    wire = expression(
        "SET fence = :epoch",
        "attribute_exists(pk) AND (attribute_not_exists(fence) OR fence < :epoch)",
        epoch=epoch,
    )
    return _written(there, table, key, wire)


def _close_allotment(there: Dynamo, table: str, key: Key, epoch: int) -> bool:
    wire = expression("SET rev = :mark, refills = refills + :one", "rev > :mark", mark=-epoch, one=1)
    return _written(there, table, key, wire)


def _written(there: Dynamo, table: str, key: Key, wire: dict[str, object]) -> bool:
    try:
        there.update(table, *key, wire, returns="NONE")
    except ConditionFailedError:
        return False
    return True
