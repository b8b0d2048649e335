"""Units that allotments give back: one transaction for some allotments and the pools their units came from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cutlass.domain.allotments import Allotment, Settlement
from cutlass.domain.pools import of_user
from cutlass.storage import keys
from cutlass.storage.allotments import change_of
from cutlass.storage.codec import Wire
from cutlass.storage.dynamo import Dynamo, TransactionFailedError, expression, update_of

MOST_WRITES = 100
"""Items DynamoDB takes in one transaction."""


@dataclass(frozen=True, slots=True)
class Return:
    """What one allotment gives back: its key, its owner, how it was met, and how it is settled."""

    key: keys.Key
    org_id: str
    user_id: str
    meter: str
    met: Allotment
    settled: Settlement

    @property
    def units(self) -> int:
        """Units that go back to pools."""
        return sum(self.settled.returns.values())

    def pools(self, region: str) -> Counter[keys.Key]:
        """Units that go back, by the pool's key."""
        return by_pool(region, self.org_id, self.meter, self.user_id, self.settled.returns)


def by_pool(region: str, org_id: str, meter: str, user_id: str, returns: Mapping[str, int]) -> Counter[keys.Key]:
    """Units that a user's allotment gives back by the pool's sort key, as units by the pool's whole key."""
    return Counter(
        {
            (keys.pools(region, org_id, meter, user_id if of_user(pool) else None), pool): units
            for pool, units in returns.items()
        }
    )


def give_back(dynamo: Dynamo, table: str, region: str, returns: Sequence[Return]) -> frozenset[int]:
    """Make some returns at once, all or none; gives the indexes of those that a decision or change came before.

    Where there are any, nothing was written.
    """
    units = Counter[keys.Key]()
    for one in returns:
        units.update(one.pools(region))
    writes = [update_of(table, *one.key, change_of(one.met, one.settled.allotment)) for one in returns]
    writes += return_writes(table, units)
    try:
        dynamo.transact(writes)
    except TransactionFailedError as failed:
        return failed.failed or frozenset(range(len(returns)))
    return frozenset()


def return_writes(table: str, units: Mapping[keys.Key, int]) -> list[Wire]:
    """Make the writes that put units back into the pools they came from, by the pool's key."""
    return [
        update_of(
            table,
            *key,
            expression(
                "SET available = available + :units, returned = returned + :back",
                "attribute_exists(pk)",
                units=back,
                back=back,
            ),
        )
        for key, back in units.items()
    ]
