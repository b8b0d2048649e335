"""Refunds: units of a charge given back to the pools they were spent from, never more than the charge.

A refund commutes with everything else that happens to the allotment: what is `gone` stays as it is, so which
chunks are spent does not change. What makes it happen once is the charge's account of its refunds, which changes
in the same transaction.
"""

from dataclasses import dataclass, replace

from cutlass.domain.allotments import Allotment, LastDecision, Spent, first_of
from cutlass.domain.pools import of_user

COMPENSATION = "#compensation"
"""The refund id of a charge that another region had made before: there is one, and no caller's id is like it."""

CHARGED_TWICE = "charged_in_two_regions"
"""Its reason in the ledger."""

MAX_REFUNDS = 100
"""Parts a caller may refund of one charge, so that its account stays small."""


@dataclass(frozen=True, slots=True)
class RefundPart:
    """One refund of a charge; `fingerprint` tells it from another one with the same id."""

    refund_id: str
    units: int
    at_ms: int
    reason: str | None
    fingerprint: int


@dataclass(frozen=True, slots=True)
class RefundAccount:
    """What was refunded of one charge so far, in order."""

    charged: int
    parts: tuple[RefundPart, ...] = ()

    @property
    def refunded(self) -> int:
        """Units refunded altogether."""
        return sum(part.units for part in self.parts)

    @property
    def left(self) -> int:
        """Units that may still be refunded."""
        return self.charged - self.refunded

    def part(self, refund_id: str) -> RefundPart | None:
        """The refund of an id, if it was made."""
        return next((part for part in self.parts if part.refund_id == refund_id), None)

    def before(self, refund_id: str) -> int:
        """Units refunded before the refund of an id."""
        ids = [part.refund_id for part in self.parts]
        return sum(part.units for part in self.parts[: ids.index(refund_id)])

    def with_part(self, part: RefundPart) -> "RefundAccount":
        """Enter one more refund."""
        return replace(self, parts=(*self.parts, part))


def given_back(spent: Spent, refunded: int, units: int) -> Spent:
    """Say to which pools the next `units` of a charge go back, after `refunded`: spent last, back first."""
    row = []
    for pool, there in reversed(spent):
        before = min(there, refunded)
        refunded -= before
        row.append((pool, there - before))
    return first_of(row, units)


def refund(allotment: Allotment, last: LastDecision) -> Allotment:
    """Give units of a charge back: `last` is the refund, and says to which pools.

    Rights of the user's limit that backed them become unbacked again; units of the user's own grants take
    theirs along into their pool.
    """
    freed = sum(units for pool, units in last.spent if not of_user(pool))
    return replace(
        allotment,
        refunded=allotment.refunded + last.units,
        returned=allotment.returned + last.units,
        unbacked=allotment.unbacked + freed,
        released=allotment.released + freed,
        total=allotment.total - last.units,
        seq=allotment.seq + 1,
        last=last,
    )
