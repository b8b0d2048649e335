"""Units that allotments give back: one transaction for some allotments and the pools their units came from."""

from collections import Counter
from collections.abc import Sequence
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
        return Counter(
            {
                (keys.pools(region, self.org_id, self.meter, self.user_id if of_user(pool) else None), pool): units
                for pool, units in self.settled.returns.items()
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
    writes += [_into_pool(table, key, back) for key, back in units.items()]
    try:
        dynamo.transact(writes)
    except TransactionFailedError as failed:
        return failed.failed or frozenset(range(len(returns)))
    return frozenset()


def _into_pool(table: str, key: keys.Key, units: int) -> Wire:
    return update_of(
        table,
        *key,
        expression(
            "SET available = available + :units, returned = returned + :back",
            "attribute_exists(pk)",
            units=units,
            back=units,
        ),
    )
