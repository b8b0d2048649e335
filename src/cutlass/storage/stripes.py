"""The stripes of busy users' allotments in one region: how one is born, and how rights move between them.

The rules are in `cutlass.domain.stripes`. All stripes of an allotment belong to one region, so rights move
between two of them in one transaction.
"""

from collections.abc import Iterable
from dataclasses import replace

from cutlass.domain.allotments import Allotment, release
from cutlass.domain.stripes import ancestors, holder_name, move_rights
from cutlass.storage.allotments import Allotments, Holder, change_of
from cutlass.storage.codec import Wire
from cutlass.storage.dynamo import Dynamo, TransactionFailedError, check_of, expression, update_of
from cutlass.storage.items import accepted_from, sent_to
from cutlass.storage.returns import Return, give_back


class Stripes:
    """The stripes of one region's allotments.

    Parameters
    ----------
    dynamo : Dynamo
        A client of that region's own DynamoDB.
    table : str
        The full name of the limits table.
    """

    def __init__(self, dynamo: Dynamo, table: str, region: str) -> None:
        self._dynamo = dynamo
        self._allotments = Allotments(dynamo, table, region)
        self._table = table
        self._region = region

    def before(self, holder: Holder, stripe: int, stripes: int) -> list[Allotment]:
        """Those that decided a stripe's requests before it is born, each told that it does so no more.

        They are told before they are read: what their rings then remember is all they will ever have decided.
        """
        elders = ancestors(stripe)
        for number in elders:
            self._allotments.divide(holder.key(self._region, number), stripes)
        return list(self.read(holder, elders).values())

    def birth_check(self, holder: Holder, stripe: int, stripes: int) -> list[Wire]:
        """The condition a stripe is born under: that there are as many as its birth takes for granted."""
        if not stripe:
            return []
        return [check_of(self._table, *holder.key(self._region), "stripes = :stripes", stripes=stripes)]

    def siblings(self, holder: Holder, stripe: int, stripes: int) -> dict[int, Allotment]:
        """Read the other stripes, as they are now."""
        return self.read(holder, [n for n in range(stripes) if n != stripe]) if stripes > 1 else {}

    def gather(self, holder: Holder, stripe: int, stripes: int, need: int) -> int:
        """Bring rights of the user's limit from the other stripes to one until `need` came; returns how many did.

        First half of what no pool backs, then, of units the others hold, all: these go back to their pools.
        What loses a race comes with the next look.
        """
        siblings = self.siblings(holder, stripe, stripes)
        came = 0
        for number, met in siblings.items():
            if came < need and met.unbacked:
                units = max(min(met.unbacked, need - came), met.unbacked // 2)
                came += self._move(holder, number, met, stripe, units)
        for number in siblings:
            if came < need:
                came += self._empty(holder, number, stripe)
        return came

    def _empty(self, holder: Holder, giver: int, taker: int) -> int:
        """Let a stripe give back what it holds, and take all its rights."""
        met = self.read(holder, [giver])[giver]
        if met.available:
            freed = Return(
                holder.key(self._region, giver), holder.org_id, holder.user_id, holder.meter, met, release(met)
            )
            give_back(self._dynamo, self._table, self._region, [freed])  # a decision meanwhile prevents it
            met = self.read(holder, [giver])[giver]
        return self._move(holder, giver, met, taker, met.unbacked)

    def _move(self, holder: Holder, giver: int, met: Allotment, taker: int, units: int) -> int:
        """Move rights from one stripe to another; 0 where another change came first."""
        there = self.read(holder, [taker]).get(taker)
        if there is None or not units:
            return 0
        names = holder_name(self._region, giver), holder_name(self._region, taker)
        gave, took = move_rights(met, there, units, giver=names[0], taker=names[1])
        writes = [
            update_of(
                self._table, *holder.key(self._region, giver), _counted(met, gave, sent_to(names[1]), units)
            ),
            update_of(
                self._table,
                *holder.key(self._region, taker),
                _counted(there, took, accepted_from(names[0]), units),
            ),
        ]
        try:
            self._dynamo.transact(writes)
        except TransactionFailedError:
            return 0
        return units

    def read(self, holder: Holder, numbers: Iterable[int]) -> dict[int, Allotment]:
        """Read those of some stripes that were born, as they are now."""
        return self._allotments.stripes(holder, numbers)


def together(base: Allotment, siblings: dict[int, Allotment]) -> Allotment:
    """A stripe as if it had what the others have too: what could be gathered."""
    return replace(
        base,
        available=base.available + sum(other.available for other in siblings.values()),
        unbacked=base.unbacked + sum(other.unbacked for other in siblings.values()),
    )


def _counted(old: Allotment, new: Allotment, attribute: str, units: int) -> Wire:
    """The change of an allotment with the cumulative count of rights moved, which `change_of` leaves out."""
    change = change_of(old, new)
    more = expression("#counter = if_not_exists(#counter, :none) + :moved", none=0, moved=units)
    return change | {
        "UpdateExpression": change["UpdateExpression"].replace("SET ", f"SET {more['UpdateExpression']}, ", 1),
        "ExpressionAttributeNames": change["ExpressionAttributeNames"] | {"#counter": attribute},
        "ExpressionAttributeValues": change["ExpressionAttributeValues"] | more["ExpressionAttributeValues"],
    }
