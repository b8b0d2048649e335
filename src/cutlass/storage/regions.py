"""What is decided of regions, as items; and the gate of one region: whether it may decide.

A region keeps its own state, and every survivor a record of another's fence, so that the fence is known
where the fenced region cannot be reached. All writes hold only on the state that was seen.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict

from cutlass.domain.errors import RegionFencedError, UnavailableError
from cutlass.domain.pools import FIRST_EPOCH
from cutlass.domain.regions import RegionState, Standing, prevailing
from cutlass.storage import keys
from cutlass.storage.codec import Item, Wire
from cutlass.storage.dynamo import ConditionFailedError, Dynamo, DynamoError, check_of, expression
from cutlass.storage.peers import Peers

_LOOK_SECONDS = 2.0
"""How old the state may be by which a region answers that it is fenced, where no fence is met."""


class RegionStates:
    """The region states in the organisations tables of all regions.

    Parameters
    ----------
    table : str
        The full name of the organisations table.
    """

    def __init__(self, peers: Peers, table: str) -> None:
        self._peers = peers
        self.table = table

    def read(self, keeper: str, of: str) -> RegionState | None:
        """Read what a region keeps of itself or of another, at its own DynamoDB; raises `UnavailableError`."""
        with self._peers.reach(keeper) as there:
            return _state(there.get(self.table, *keys.region_state(keeper, of)))

    def write(self, keeper: str, new: RegionState, seen: RegionState | None) -> bool:
        """Replace what a region keeps of one, if it still is what was seen; False if it is not."""
        values = {"state": str(new.standing)} | {n: v for n, v in asdict(new).items() if n != "standing"}
        sets = ", ".join(f"#{name} = :{name}" for name in values)
        guard = "attribute_not_exists(pk)"
        if seen is not None:
            guard = "#epoch = :seen_epoch AND #state = :seen_state AND #claimant = :seen_claimant"
            values |= {
                "seen_epoch": seen.epoch,
                "seen_state": str(seen.standing),
                "seen_claimant": seen.claimant,
            }
        key = keys.region_state(keeper, new.region)
        try:
            with self._peers.reach(keeper) as there:
                there.update(self.table, *key, expression(f"SET {sets}", guard, **values), returns="NONE")
        except ConditionFailedError as failed:
            return _state(failed.item) == new  # a retried write that had succeeded meets itself
        return True

    def guard(self, keeper: str, state: RegionState) -> Wire:
        """Make the check that a region's record of another is as it was seen, for a transaction of its own."""
        key = keys.region_state(keeper, state.region)
        condition = "#epoch = :epoch AND #state = :state"
        return check_of(self.table, *key, condition, epoch=state.epoch, state=str(state.standing))


def _state(item: Item | None) -> RegionState | None:
    if item is None:
        return None
    values = {name: item[name] for name in ("region", "epoch", "by", "why", "at_ms", "claimant", "denied")}
    return RegionState(standing=Standing(item["state"]), **values)


class Gate:
    """Whether one region may decide.

    The fence itself stands on pools and allotments; this tells what a fence that is met means, and says
    early, from a look at most two seconds old, that a region is out of service.
    """

    def __init__(self, peers: Peers, table: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._peers = peers
        self._table = table
        self._monotonic = monotonic
        self._looked = float("-inf")
        self._fenced = False
        self.epoch = FIRST_EPOCH
        """The epoch this region is known to serve in: pools and allotments fenced in an earlier one are open."""

    def admit(self, marks: Iterable[int] = ()) -> None:
        """Go on, or raise `RegionFencedError`.

        Parameters
        ----------
        marks : Iterable[int]
            Epochs of the fences that were met. One of an epoch not known to be over is looked up.
        """
        met = max(marks, default=0)
        if met >= self.epoch or self._monotonic() - self._looked >= _LOOK_SECONDS:
            self._look(self._peers.here)
        if self._fenced or met >= self.epoch:
            raise RegionFencedError(
                f"{self._peers.region} is out of service", hint="send the request to another region"
            )

    def fenced(self, client: Dynamo) -> bool:
        """Whether the region is out of service, for health checks; without an answer as it was last seen.

        Parameters
        ----------
        client : Dynamo
            Whom to ask: one that does not wait long.
        """
        if self._monotonic() - self._looked >= _LOOK_SECONDS:
            try:
                self._look(client)
            except (UnavailableError, DynamoError):
                self._looked = self._monotonic()
        return self._fenced

    def _look(self, client: Dynamo) -> None:
        """Read this region's own state, and its copies of what survivors decided of it while it was away."""
        here = self._peers.region
        wanted = [keys.region_state(keeper, here) for keeper in (here, *self._peers.others)]
        states = [s for item in client.batch_get({self._table: wanted}).values() if (s := _state(item))]
        state = prevailing(here, states)
        self._fenced = not state.serves
        if state.serves:
            self.epoch = state.epoch
        self._looked = self._monotonic()


def read_state(there: Dynamo, table: str, region: str) -> tuple[RegionState, Wire]:
    """Read a region's own state at its DynamoDB, with the check that it is still of that epoch."""
    key = keys.region_state(region)
    state = _state(there.get(table, *key))
    if state is None:
        return RegionState(region), check_of(table, *key, "attribute_not_exists(pk)")
    return state, check_of(table, *key, "#epoch = :epoch", epoch=state.epoch)


def known_states(there: Dynamo, table: str, regions: Iterable[str]) -> dict[str, RegionState]:
    """Read what one region knows to hold of every region, by its own items and its copies of the others'."""
    names = list(regions)
    wanted = [keys.region_state(keeper, of) for keeper in names for of in names]
    states = [s for item in there.batch_get({table: wanted}).values() if (s := _state(item))]
    return {name: prevailing(name, [state for state in states if state.region == name]) for name in names}
