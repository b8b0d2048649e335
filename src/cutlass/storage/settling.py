"""Units that leave an allotment unspent: out of it and into their pools, all or nothing."""

from cutlass.domain.allotments import Allotment, Settlement
from cutlass.domain.metering import AllotmentKey
from cutlass.storage import keys
from cutlass.storage.allotments import change_of
from cutlass.storage.dynamo import Dynamo, TransactionFailedError, update_of
from cutlass.storage.pools import return_writes


def give_back(dynamo: Dynamo, table: str, owner: AllotmentKey, met: Allotment, settled: Settlement) -> bool:
    """Write a settlement of an allotment at its region's DynamoDB; False if the allotment changed meanwhile."""
    key = keys.allotment(owner.region, owner.org_id, owner.user_id, owner.meter, owner.period)
    writes = return_writes(table, owner.region, owner.org_id, owner.meter, owner.user_id, settled.returns)
    writes.append(update_of(table, *key, change_of(met, settled.allotment)))
    try:
        dynamo.transact(writes)
    except TransactionFailedError:
        return False
    return True
