"""What one region stores, written as DynamoDB writes: each write atomic, under the conditions of `storage`."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace

from cutlass.domain import pools
from cutlass.domain.allotments import Allotment, Settlement
from cutlass.domain.grants import Grant
from cutlass.domain.pools import Pool
from cutlass.domain.refills import Draw
from cutlass.simulation.copies import Item
from cutlass.simulation.network import Network

_SET_WHOLE = {"until_ms", "refilled_ms", "chunk", "rate", "rev", "plan", "limit", "held", "last"}
_FIELDS = tuple(field.name for field in fields(Allotment))

ITEM_UNITS, TRANSACTED_UNITS = 1, 2
"""Write units of an item under 1 KB, alone and in a transaction."""


def merged(old: Allotment, new: Allotment, now: Allotment) -> Allotment | None:
    """Apply a change beside what happened since it was planned; None where its condition fails.

    The condition and the arithmetic are those of `cutlass.storage.allotments.change_of`.
    """
    if now is old:
        return new
    if now.refills != old.refills:
        return None
    if new.available < old.available and (now.used, now.available) != (old.used, old.available):
        return None
    if now.unbacked < old.unbacked - new.unbacked:
        return None
    values = {}
    for name in _FIELDS:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            values[name] = after if name in _SET_WHOLE else getattr(now, name) + after - before
    return replace(now, **values)


class Store:
    """The pools and allotments that one region owns, and what writing them has cost."""

    def __init__(self, number: int, name: str, network: Network) -> None:
        self.number = number
        self.name = name
        self.network = network
        self.pools: dict[str, Item[Pool]] = {}
        self.allotments: dict[int, Item[Allotment]] = {}
        self.roster: list[int] = []
        self.write_units = 0
        self.on_units: Callable[[], None] = lambda: None

    def allotment(self, user: int) -> Allotment | None:
        """Read a user's allotment as it is now."""
        item = self.allotments.get(user)
        return None if item is None else item.value

    def live_pools(self, grants: Iterable[Grant], now_ms: int) -> list[Pool]:
        """Read the pools of some grants that are there and may be drawn from."""
        found = [self.pools[grant.grant_id].value for grant in grants if grant.grant_id in self.pools]
        return [pool for pool in found if pool.live(now_ms)]

    def bear_pool(self, grant: Grant, number: int, now: float) -> Pool:
        """Bring the pool of a grant to life, once; returns it as it is."""
        met = self.pools.get(grant.grant_id)
        if met is None:
            self.write_units += ITEM_UNITS
            # Pools and allotments are numbered apart, so that their copies are delayed independently.
            met = self.pools[grant.grant_id] = Item(-1 - number, self.number, pools.mint(grant, self.name), now)
        return met.value

    def bear_allotment(self, user: int, allotment: Allotment, now: float) -> bool:
        """Bring an allotment to life; False if there is one."""
        if user in self.allotments:
            return False
        self.allotments[user] = Item(user, self.number, allotment, now)
        self.roster.append(user)
        return True

    def write_pool(self, pool: Pool, now: float) -> None:
        """Replace a pool in a write of its own."""
        self.write_units += ITEM_UNITS
        item = self.pools[pool.grant_id]
        more = pool.available > item.value.available
        item.write(pool, now, self.network)
        if more:
            self.on_units()

    def write(self, user: int, allotment: Allotment, now: float) -> None:
        """Replace an allotment in a write of its own."""
        self.write_units += ITEM_UNITS
        self.allotments[user].write(allotment, now, self.network)

    def change(self, user: int, old: Allotment, new: Allotment, now: float) -> bool:
        """Change what an allotment holds; False if another change came first."""
        self.write_units += ITEM_UNITS
        item = self.allotments[user]
        changed = merged(old, new, item.value)
        if changed is not None:
            item.write(changed, now, self.network)
        return changed is not None

    def draw(self, user: int, met: Allotment | None, filled: Allotment, draws: Sequence[Draw], now: float) -> bool:
        """Move units from pools into an allotment, or into a new one, all or nothing."""
        # A birth writes the roster's line too.
        self.write_units += TRANSACTED_UNITS * (len(draws) + (2 if met is None else 1))
        targets = [(self.pools[draw.pool.grant_id], draw.units) for draw in draws]
        if any(item.value.available < units or item.value.voided for item, units in targets):
            return False
        if met is None:
            if not self.bear_allotment(user, filled, now):
                return False
        else:
            item = self.allotments[user]
            changed = merged(met, filled, item.value)
            if changed is None:
                return False
            item.write(changed, now, self.network)
        for (target, units), draw in zip(targets, draws, strict=True):
            pool, hint = target.value, pools.measure(draw.pool, units, filled.refilled_ms)
            drawn = replace(
                pool,
                rate=hint.rate,
                rated_units=hint.rated_units,
                rated_ms=hint.rated_ms,
                available=pool.available - units,
                allotted=pool.allotted + units,
                members=pool.members + (met is None),
            )
            target.write(drawn, now, self.network)
        return True

    def give_back(self, freed: Mapping[int, tuple[Allotment, Settlement]], now: float) -> set[int]:
        """Move units that users' allotments give back into the pools they came from, all or nothing.

        Returns the users whose allotments changed meanwhile: if there are any, nothing has moved.
        """
        returns = Counter[str]()
        for _, settlement in freed.values():
            returns.update(settlement.returns)
        self.write_units += TRANSACTED_UNITS * (len(returns) + len(freed))
        changes = {
            user: merged(met, settlement.allotment, self.allotments[user].value)
            for user, (met, settlement) in freed.items()
        }
        failed = {user for user, changed in changes.items() if changed is None}
        if failed:
            return failed
        for user, changed in changes.items():
            if changed is not None:
                self.allotments[user].write(changed, now, self.network)
        by_key = {pool.value.key: pool for pool in self.pools.values()}
        for key, units in returns.items():
            pool = by_key[key].value
            back = replace(pool, available=pool.available + units, returned=pool.returned + units)
            by_key[key].write(back, now, self.network)
        self.on_units()
        return set()
