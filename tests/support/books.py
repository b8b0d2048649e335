"""What a region's items and its ledger must agree in, pool by pool."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from cutlass.domain.allotments import unspent
from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.metering import EXPIRED_IN_HAND
from cutlass.domain.periods import to_millis
from cutlass.domain.reservations import State
from cutlass.storage import keys
from cutlass.storage.ledger import entries_of
from tests.support.holdings import Holdings, scan

if TYPE_CHECKING:
    from tests.support.world import World


def unlike_the_ledger(world: "World", region: str, meter: str, held: Holdings) -> list[str]:
    """Where a region's pools and its ledger do not agree in what is out of them."""
    out: Counter[str] = Counter()
    for entry in recorded(world, region):
        for pool, units in entry.spent if entry.meter == meter else ():
            out[pool] += units * _out(entry, pool)
    for allotment in held.allotments(meter).values():
        for chunk, units in unspent(allotment):
            out[chunk.pool] += units
    for one in held.reservations:
        for part in one.parts if one.state is State.HELD and one.meter == meter else ():
            out[part.pool] += part.units
    return [
        f"{region}: {pool.allotted - pool.returned} units are out of {pool.key}, by the ledger {out[pool.key]}"
        for pool in held.pools(meter)
        if pool.allotted - pool.returned != out[pool.key]
    ]


def recorded(world: "World", region: str) -> Iterator[LedgerEntry]:
    """All entries that a region wrote into its ledger."""
    request: dict[str, object] = {
        "TableName": world.stores[region].settings.table(keys.LEDGER),
        "FilterExpression": "begins_with(pk, :prefix)",
        "ExpressionAttributeValues": {":prefix": {"S": f"{region}#{world.org}#"}},
    }
    return chain.from_iterable(map(entries_of, scan(world, region, request)))


def _out(entry: LedgerEntry, pool: str) -> int:
    """How an entry counts in what is out of a pool: 1 for units that left, -1 for those that came back."""
    if entry.kind is EntryKind.RELEASE:  # what was set aside went back, unless its grant had ended
        return int(to_millis(entry.at) >= int(pool.split("#")[1]))
    signs = {EntryKind.DECISION: 1, EntryKind.REFUND: -1}
    return signs.get(entry.kind, int(entry.reason == EXPIRED_IN_HAND))
