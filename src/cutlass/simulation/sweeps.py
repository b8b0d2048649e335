"""Taking back what users hold, as `cutlass.storage.sweeps` does it: here, or idle users' in another region."""

from collections.abc import Iterator

from cutlass.domain import allotments, rebalancing
from cutlass.domain.allotments import Allotment
from cutlass.domain.grants import Grant
from cutlass.simulation.store import ITEM_UNITS, Store

LOOKED_AT, PAGES = 500, 5
"""Allotments read at once, and how many times as many one sweep looks at."""

READ_TOGETHER = 100
"""Allotments read in one batch."""

TOGETHER = 25
"""Allotments emptied in one transaction."""

Found = list[tuple[int, Allotment]]


class Sweep:
    """One sweep of a region's allotments; each method is one call to that region's store."""

    def __init__(self, store: Store, cursor: int) -> None:
        self._store = store
        self.cursor = cursor

    def claim(self, grants: list[Grant], now_ms: int, now: float, *, only_idle: bool) -> bool:
        """Have this sweep to oneself: a conditional write to the pool of one of the grants."""
        item = next((self._store.pools[g.grant_id] for g in grants if g.grant_id in self._store.pools), None)
        if item is None:
            return False
        self._store.write_units += ITEM_UNITS
        claimed = rebalancing.claim_sweep(item.value, now_ms, only_idle=only_idle)
        if claimed is not None:
            item.write(claimed, now, self._store.network)
        return claimed is not None

    def look(self) -> Found:
        """Read the next allotments on the roster; the next sweep goes on behind them."""
        roster = self._store.roster
        start = self.cursor if self.cursor < len(roster) else 0
        looked = roster[start : start + LOOKED_AT]
        self.cursor = start + LOOKED_AT if len(looked) == LOOKED_AT else 0
        return [(user, self._store.allotments[user].value) for user in looked]

    def take(self, found: Found, now: float) -> int:
        """Empty some allotments in one transaction, or those of them that did not change; returns the units."""
        freed = {user: (met, allotments.release(met)) for user, met in found}
        for _ in range(2):
            failed = self._store.give_back(freed, now)
            if not failed:
                return sum(sum(settlement.returns.values()) for _, settlement in freed.values())
            freed = {user: pair for user, pair in freed.items() if user not in failed}
            if not freed:
                break
        return 0


def batches(found: Found, now_ms: int, *, only_idle: bool) -> Iterator[Found]:
    """Those worth emptying, in the order of the rules, by transaction."""
    held = {str(user): (user, met) for user, met in found}
    chosen = rebalancing.worth_sweeping(
        ((name, met) for name, (_, met) in held.items()), now_ms, only_idle=only_idle
    )
    for start in range(0, len(chosen), TOGETHER):
        yield [held[name] for name in chosen[start : start + TOGETHER]]
