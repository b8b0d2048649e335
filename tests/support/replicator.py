"""What a global table does between regions, worse than it usually does it: late, out of order, twice, not at all.

Every item travels by itself, also those of one transaction. Of two versions of an item the later written wins,
whichever arrives last. What happens by chance follows from a seed.
"""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cutlass.contracts import load_tables
from cutlass.functions.terms import apply_item
from cutlass.platform.streams import Record
from cutlass.storage.codec import decode_item

if TYPE_CHECKING:
    from tests.support.world import World


@dataclass(frozen=True)
class _Copy:
    """One version of one item on its way to one region."""

    source: str
    target: str
    table: str
    record: Record
    place: int

    @property
    def item(self) -> tuple[str, str, str, str]:
        keys = self.record["dynamodb"]["Keys"]
        return self.target, self.table, keys["pk"]["S"], keys["sk"]["S"]


class Replicator:
    """Carries what each region of a world writes to all others; only one thread may use it."""

    def __init__(self, world: "World", seed: int | None = None) -> None:
        self._world = world
        self._rng = random.Random(seed)
        self._travelling: list[_Copy] = []
        self._newest: dict[tuple[str, str, str, str], int] = {}
        self._places = 0
        self._terms: dict[str, list[Record]] = {region: [] for region in world.topology.regions}

    def collect(self) -> None:
        """Take up what was written since, towards every other region."""
        for source in self._world.topology.regions:
            for table in load_tables():
                for record in self._world.records(source, table, "replicator"):
                    self._places += 1
                    owner = record["dynamodb"]["Keys"]["pk"]["S"].partition("#")[0]
                    if owner == source and "NewImage" in record["dynamodb"]:
                        self._travelling += [
                            _Copy(source, target, table, record, self._places)
                            for target in self._world.topology.regions
                            if target != source
                        ]

    def arrive_by_chance(self) -> None:
        """Let some of what travels arrive, in any order, some of it twice, one way perhaps not at all."""
        self.collect()
        self._rng.shuffle(self._travelling)
        cut = self._rng.choice([None, *self._world.topology.regions])
        share = self._rng.random()
        stay = []
        for copy in self._travelling:
            if copy.source == cut or self._rng.random() > share:
                stay.append(copy)
                continue
            self._apply(copy)
            if self._rng.random() < 0.1:
                stay.append(copy)
        self._travelling = stay
        self._carry_terms()

    def arrive(self) -> None:
        """Let everything arrive, and the changed terms into the items of every region."""
        self.collect()
        for copy in self._travelling:
            self._apply(copy)
        self._travelling = []
        self._carry_terms()

    def _apply(self, copy: _Copy) -> None:
        if copy.place < self._newest.get(copy.item, 0):
            return
        self._newest[copy.item] = copy.place
        name = load_tables()[copy.table].resource("dev")
        put = {"TableName": name, "Item": copy.record["dynamodb"]["NewImage"]}
        self._world.engine.wire(copy.target).call("dynamodb", "PutItem", put)

    def _carry_terms(self) -> None:
        """Run the consumer of the organisations table in every region; what it failed on it is told again."""
        for region, waiting in self._terms.items():
            waiting.extend(self._world.records(region, "organisations", "terms"))
            while waiting:
                if image := waiting[0]["dynamodb"].get("NewImage"):
                    apply_item(self._world.stores[region], decode_item(image))
                waiting.pop(0)
