"""Rights that move between the regions of the model, and back from allotments to pools."""

from abc import abstractmethod
from dataclasses import replace

from cutlass.domain import allotments, rebalancing, transfers
from cutlass.domain.metering import AllotmentKey
from cutlass.domain.periods import Period
from tests.property.places import Message, Region, RuleBrokenError, Transaction


class Movements:
    """The part of the model that moves rights."""

    now_ms: int
    regions: dict[str, Region]
    messages: list[Message]

    @abstractmethod
    def period(self, region: Region) -> Period:
        """The period a region is in."""

    def send(self, origin: Region, to: str, pool_key: str, units: int) -> None:
        """Move pool units towards another region, as far as there are any."""
        pool = origin.pools[pool_key]
        moved = min(units, pool.available)
        origin.pools[pool_key] = sent = transfers.send(pool, to, moved)
        self.messages.append(Message(origin.name, to, pool_key, sent.sent.get(to, 0)))

    def pull(self, origin: Region, to: Region, pool_key: str, need: int) -> None:
        """Have a region give another what makes its pool of a grant last as long."""
        there, here = (region.pools.get(pool_key) for region in (origin, to))
        given = rebalancing.to_give(
            rebalancing.stock(there, self.now_ms), rebalancing.stock(here, self.now_ms), need
        )
        self._move(origin, to.name, pool_key, given)

    def push(self, origin: Region, pool_key: str) -> None:
        """Have a region send what others need more, as far as it sees them."""
        others = {
            name: rebalancing.stock(region.pools.get(pool_key), self.now_ms)
            for name, region in self.regions.items()
            if region is not origin
        }
        here = rebalancing.stock(origin.pools[pool_key], self.now_ms)
        for to, given in rebalancing.to_push(here, others).items():
            self._move(origin, to, pool_key, given)

    def _move(self, origin: Region, to: str, pool_key: str, units: int) -> None:
        if not 0 <= units <= origin.pools[pool_key].available:
            raise RuleBrokenError(f"{origin.name} gives {units} of {origin.pools[pool_key].available}")
        self.send(origin, to, pool_key, units)

    def swept(self, region: Region, *, only_idle: bool) -> list[Transaction]:
        """Plan to take back what allotments of this period hold."""
        period = self.period(region).key
        held = {key.user_id: (key, met) for key, met in region.allotments.items() if key.period == period}
        chosen = rebalancing.worth_sweeping(
            ((user, met) for user, (_, met) in held.items()), self.now_ms, only_idle=only_idle
        )
        return [self.release(region, held[user][0]) for user in chosen]

    def send_rights(self, origin: Region, to: str, key: AllotmentKey, units: int) -> None:
        """Move rights of a user's limit towards another region, as far as they are not backed."""
        met = origin.allotments[key]
        sent = transfers.send_rights(met, to, min(units, met.unbacked))
        origin.write(key, sent, self.now_ms)
        self.messages.append(Message(origin.name, to, replace(key, region=to), sent.sent.get(to, 0)))

    def deliver(self, message: Message) -> None:
        """Hand a message to the region it is for; messages come in any order, and again."""
        region, item = self.regions[message.to], message.item
        if isinstance(item, str) and item in region.pools:
            region.pools[item] = transfers.accept(region.pools[item], message.origin, message.cumulative)
        elif isinstance(item, AllotmentKey) and item in region.allotments:
            met = region.allotments[item]
            region.write(item, transfers.accept_rights(met, message.origin, message.cumulative), self.now_ms)

    def release(self, region: Region, key: AllotmentKey) -> Transaction:
        """Plan to give back what an idle allotment holds."""
        met = region.allotments[key]
        released = allotments.release(met)
        returns = {pool: -units for pool, units in released.returns.items()}
        return Transaction(key, met, released.allotment, returns)
