"""Which region decides on an organisation's alerts: its home, or while that is fenced the next one that serves."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from cutlass.domain.organisations import Organisation
from cutlass.domain.plans import Topology
from cutlass.domain.pools import FIRST_EPOCH
from cutlass.domain.regions import RegionState
from cutlass.storage import keys
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.regions import known_states

_LOOK_SECONDS = 2.0
"""How old what is known of the regions may be: as old as a region may decide by."""

_UNSURE_MS = 3_600_000
"""How long before a region was last heard of its alerts may not have been handed over: they are told again."""


@dataclass(frozen=True, slots=True)
class Watched:
    """How a region looks at an organisation.

    Attributes
    ----------
    others : tuple of str
        Regions that have watched it too, now or before: what they told counts.
    taken_over : bool
        Whether its home is fenced, and this region stands in.
    since_ms : int
        Where it stands in: what the home told after that time is told again.
    """

    others: tuple[str, ...] = ()
    taken_over: bool = False
    since_ms: int = 0


class AlertHomes:
    """The regions' part in alerts, as one region knows it.

    Parameters
    ----------
    states, usage : str
        The full names of the tables with the regions' states and with their heartbeats.
    """

    def __init__(
        self,
        dynamo: Dynamo,
        topology: Topology,
        region: str,
        states: str,
        usage: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dynamo = dynamo
        self._regions = list(topology.regions)
        self._states_table = states
        self._usage_table = usage
        self._monotonic = monotonic
        self._looked = float("-inf")
        self._states: dict[str, RegionState] = {}
        self._since: dict[str, int] = {}
        self.region = region

    def states(self) -> dict[str, RegionState]:
        """What is known here to hold of every region, at most two seconds old."""
        if self._monotonic() - self._looked >= _LOOK_SECONDS:
            self._states = known_states(self._dynamo, self._states_table, self._regions)
            self._since = {
                name: self._unsure_since(state) for name, state in self._states.items() if not state.serves
            }
            self._looked = self._monotonic()
        return self._states

    def of(self, home: str) -> str:
        """The region that watches the organisations at home in one."""
        states = self.states()
        if home in states and states[home].serves:
            return home
        return next((name for name in self._regions if states[name].serves), home)

    def watched(self, organisation: Organisation) -> Watched | None:
        """How this region looks at an organisation; None if another one does."""
        home = organisation.home_region
        if self.of(home) != self.region:
            return None
        ever = self._states[home].epoch > FIRST_EPOCH
        others = tuple(name for name in self._regions if name != self.region) if ever else ()
        return Watched(others, home != self.region, self._since.get(home, 0))

    def _unsure_since(self, state: RegionState) -> int:
        heartbeat = self._dynamo.get(self._usage_table, *keys.heartbeat(state.region))
        heard_ms = heartbeat["at"] if heartbeat else state.at_ms
        return min(state.at_ms, heard_ms) - _UNSURE_MS
