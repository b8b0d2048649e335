"""What one region sees of some grants: its own pools as they are, others' as its copies show them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cutlass.domain.grants import Grant
from cutlass.domain.pools import Pool
from cutlass.domain.rebalancing import Stock, stock


@dataclass(frozen=True, slots=True)
class Sight:
    """Pools by grant id, as one region sees them; `grants` are in the order of spending."""

    region: str
    grants: Mapping[str, Grant]
    own: Mapping[str, Pool]
    others: Mapping[str, Mapping[str, Pool]]

    def of_user(self, user_id: str) -> "Sight":
        """Only the grants of a user's own."""
        grants = {grant_id: grant for grant_id, grant in self.grants.items() if grant.user_id == user_id}
        own = {grant_id: pool for grant_id, pool in self.own.items() if grant_id in grants}
        return replace(self, grants=grants, own=own)

    def available(self) -> int:
        """Units this region's pools have."""
        return sum(pool.available for pool in self.own.values())

    def rate_at(self, now_ms: int) -> int:
        """How fast this region hands units out, in thousandths of a unit per second."""
        return sum(pool.rate_at(now_ms) for pool in self.own.values())

    def stocks(self, grant_id: str, now_ms: int) -> dict[str, Stock]:
        """What the other regions have of a grant; of a pool this region does not see, its share."""
        found = {}
        for region, pools in self.others.items():
            pool = pools.get(grant_id)
            share = self.grants[grant_id].split.get(region, 0)
            found[region] = stock(pool, now_ms) if pool else Stock(share, 0)
        return found

    def sent_here(self, grant_id: str) -> dict[str, int]:
        """What other regions have ever sent here of a grant, where not all of it is accepted."""
        mine = self.own.get(grant_id)
        found = {}
        for region, pools in self.others.items():
            pool = pools.get(grant_id)
            sent = pool.sent.get(self.region, 0) if pool else 0
            if mine and sent > mine.accepted.get(region, 0):
                found[region] = sent
        return found

    def units(self) -> int:
        """Units left in all regions' pools and on their way here; a pool not seen has what nobody accepted."""
        total = self.available()
        for region, pools in self.others.items():
            for grant_id, grant in self.grants.items():
                pool, mine = pools.get(grant_id), self.own.get(grant_id)
                accepted = mine.accepted.get(region, 0) if mine else 0
                if pool is None:
                    total += grant.split.get(region, 0) - accepted
                else:
                    total += pool.available + (pool.sent.get(self.region, 0) - accepted if mine else 0)
        return total
