"""Takes back what allotments hold when a pool runs dry, at the DynamoDB of the region that owns them.

Rights are in the allotment until the transaction that moves them to their pools; a decision or refill that
comes between makes that allotment drop out of the sweep.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from cutlass.domain.allotments import release
from cutlass.domain.depots import SPAN, of_depot
from cutlass.domain.periods import to_millis
from cutlass.domain.rebalancing import IDLE_SWEEP_MS, SWEEP_MS, worth_sweeping
from cutlass.domain.stripes import unstriped
from cutlass.storage import keys
from cutlass.storage.codec import Item
from cutlass.storage.dynamo import ConditionFailedError, Dynamo, expression
from cutlass.storage.items import allotment_from_item
from cutlass.storage.returns import MOST_WRITES, Return, give_back

LOOKED_AT, PAGES = 500, 5
"""Allotments read together, and how many times as many a region's own sweep looks at."""

TOGETHER = 25
"""Allotments emptied in one transaction: more would lose more to one decision that comes between."""

_CURSORS = 10_000


@dataclass(frozen=True, slots=True)
class Swept:
    """Whose allotments a sweep is about: those of an organisation, of one meter and period."""

    org_id: str
    meter: str
    period: str


class Sweeps:
    """Sweeps the allotments of any region.

    Parameters
    ----------
    table : str
        The full name of the limits table.
    """

    def __init__(self, table: str, clock: Callable[[], datetime]) -> None:
        self._table = table
        self._clock = clock
        self._cursors: dict[tuple[str, Swept], str] = {}

    def claim(self, dynamo: Dynamo, region: str, swept: Swept, pool_key: str, *, only_idle: bool) -> bool:
        """Have a sweep to oneself: one write to a pool's item, refused if the last sweep began a moment ago."""
        now_ms = to_millis(self._clock())
        attribute, pause = ("idle_swept_ms", IDLE_SWEEP_MS) if only_idle else ("swept_ms", SWEEP_MS)
        claim = expression(
            f"SET {attribute} = :now",
            f"attribute_exists(pk) AND (attribute_not_exists({attribute}) OR {attribute} <= :before)",
            now=now_ms,
            before=now_ms - pause,
        )
        pk = keys.pools(region, swept.org_id, swept.meter)
        try:
            dynamo.update(self._table, pk, pool_key, claim, returns="NONE")
        except ConditionFailedError:
            return False
        return True

    def sweep(
        self, dynamo: Dynamo, region: str, swept: Swept, enough: int, *, only_idle: bool, pages: int = 1
    ) -> int:
        """Empty allotments until `enough` units are back in their pools; returns how many are.

        Depots first, whose units nobody has asked for yet; then idle ones, then those that hold most, of each
        `LOOKED_AT` that are read together. It ends after so many `pages` of them, or with the region's last.
        """
        came = 0
        for page in range(pages):
            found = self._look(dynamo, region, swept, depots=page == 0)
            came += self._empty(dynamo, region, swept, found, enough - came, only_idle=only_idle)
            if came >= enough or (region, swept) not in self._cursors:
                break
        return came

    def _empty(
        self, dynamo: Dynamo, region: str, swept: Swept, found: dict[str, Item], enough: int, *, only_idle: bool
    ) -> int:
        """Empty the allotments found, until `enough` came; returns the units."""
        came, now_ms = 0, to_millis(self._clock())
        held = {name: allotment_from_item(item) for name, item in found.items()}
        chosen = worth_sweeping(held.items(), now_ms, only_idle=only_idle)
        chosen.sort(key=lambda name: not of_depot(name))
        returns = [
            Return(
                keys.rostered(region, swept.org_id, name, swept.meter, swept.period),
                swept.org_id,
                unstriped(name)[0],
                swept.meter,
                held[name],
                release(held[name]),
            )
            for name in chosen
        ]
        for batch in _batches(returns, region):
            came += self._give_back(dynamo, region, batch)
            if came >= enough:
                break
        return came

    def _look(self, dynamo: Dynamo, region: str, swept: Swept, *, depots: bool) -> dict[str, Item]:
        """Read the next allotments on the roster, and with `depots` all of these, by their names there."""
        roster = keys.roster(region, swept.org_id, swept.meter, swept.period)
        after = self._cursors.pop((region, swept), None)
        lines = list(islice(dynamo.query(self._table, roster, after=after, limit=LOOKED_AT), LOOKED_AT))
        if after is not None and not lines:
            lines = list(islice(dynamo.query(self._table, roster, limit=LOOKED_AT), LOOKED_AT))
        names = [line["sk"] for line in lines]
        if len(names) == LOOKED_AT:
            if len(self._cursors) >= _CURSORS:
                self._cursors.clear()
            self._cursors[region, swept] = names[-1]
        if depots:
            names += [line["sk"] for line in dynamo.query(self._table, roster, between=SPAN)]
        wanted = {name: keys.rostered(region, swept.org_id, name, swept.meter, swept.period) for name in names}
        items = dynamo.batch_get({self._table: list(wanted.values())})
        return {name: items[self._table, *key] for name, key in wanted.items() if (self._table, *key) in items}

    def _give_back(self, dynamo: Dynamo, region: str, batch: list[Return]) -> int:
        """Make a batch of returns, without those that came too late; returns the units."""
        for _ in range(2):
            failed = give_back(dynamo, self._table, region, batch)
            if not failed:
                return sum(one.units for one in batch)
            batch = [one for place, one in enumerate(batch) if place not in failed]
            if not batch:
                break
        return 0


def _batches(returns: list[Return], region: str) -> Iterator[list[Return]]:
    """Divide returns into transactions that DynamoDB takes."""
    batch: list[Return] = []
    pools: set[keys.Key] = set()
    for one in returns:
        more = set(one.pools(region)) - pools
        if batch and (len(batch) == TOGETHER or len(batch) + 1 + len(pools | more) > MOST_WRITES):
            yield batch
            batch, pools, more = [], set(), set(one.pools(region))
        batch.append(one)
        pools |= more
    if batch:
        yield batch
