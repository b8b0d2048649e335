"""Reservations: units set aside for work whose cost is known only at its end.

Units set aside leave an allotment from the front, as spent ones do. The reservation keeps which pools they came
from, so that it can end however the allotment has changed since: a part is spent, the rest goes back.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from cutlass.domain.allotments import Allotment, LastDecision, first_of, unspent
from cutlass.domain.decisions import Decision, Reason
from cutlass.domain.ids import RequestIdentity, decision_id, digest
from cutlass.domain.periods import from_millis
from cutlass.domain.plans import PeriodKind
from cutlass.domain.pools import of_user

DEFAULT_SECONDS, LONGEST_SECONDS = 300, 86_400
"""How long a reservation is held unless the caller says, and at most."""

CHARGE = "reservation:"
"""What the request id begins with under which the ledger has a reservation's commit; its id follows."""

_COMMIT = re.compile(CHARGE + "[a-z0-9-]*-([0-9a-f]{32})")  # callers may begin their own ids as they like

MAX_PARTS = 90
"""Pools one reservation may draw on: its end writes them all, in a transaction of at most 100 writes."""


REPORT_PREFIX = "report:"
"""How the request ids begin of reservations that belong to reports: only the report ends them."""


class State(StrEnum):
    """Where a reservation stands; all but the first are final."""

    HELD = "held"
    COMMITTED = "committed"
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Part:
    """Units of a reservation that came from one pool."""

    pool: str
    units: int
    expires_ms: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units of one user, set aside until a deadline.

    Attributes
    ----------
    region, name : str
        Where it was made, and what tells it from others there.
    period, resets_ms : str, int
        The period of the allotment it came from, and when that ends.
    parts : tuple[Part, ...]
        Where the units came from, in the order in which they are spent.
    plan, limit, total, left : str, int or None, int, int or None
        The terms, and what the user has spent and has left over all regions, as the newest answer told them.
    spent, ended_ms : int
        What it ended with, and when; 0 while it is held.
    """

    region: str
    name: str
    org_id: str
    user_id: str
    feature: str
    meter: str
    period: str
    resets_ms: int
    request_id: str
    units: int
    parts: tuple[Part, ...]
    created_ms: int
    deadline_ms: int
    plan: str
    limit: int | None
    total: int
    left: int | None
    state: State = State.HELD
    spent: int = 0
    ended_ms: int = 0

    def told(self, allotment: Allotment) -> "Reservation":
        """Take over what the next answer tells of the user, off the allotment as it is then."""
        limit, total = allotment.limit, allotment.total
        left = None if limit is None else max(0, limit - total - allotment.reserved)
        return replace(self, plan=allotment.plan, limit=limit, total=total, left=left)

    @property
    def reservation_id(self) -> str:
        """What callers know it by: it says which region holds it."""
        return f"{self.region}-{self.name}"

    @property
    def charge_id(self) -> str:
        """The request id under which the ledger has its commit."""
        return CHARGE + self.reservation_id

    @property
    def back(self) -> int:
        """Units that were set aside and not spent, of one that has ended."""
        return max(0, self.units - self.spent)


def reservation_name(org_id: str, user_id: str, meter: str, request_id: str) -> str:
    """Name the reservation of a request: the same request always has the same one in a region."""
    return digest("reservation", org_id, user_id, meter, request_id)[:16].hex()


def parse_id(reservation_id: str) -> tuple[str, str]:
    """Read region and name off a reservation's id; neither need exist."""
    region, _, name = reservation_id.rpartition("-")
    return region, name


def charged_in(request_id: str, region: str) -> str:
    """Return the request id under which a region would have charged the same request.

    That of a commit names the region of its reservation; every other is the same everywhere.
    """
    name = committed(request_id)
    return f"{CHARGE}{region}-{name}" if name else request_id


def committed(request_id: str) -> str | None:
    """Return the name of the reservation whose commit is charged under a request id; None for other ids."""
    found = _COMMIT.fullmatch(request_id)
    return found[1] if found else None


def set_aside(allotment: Allotment, units: int) -> tuple[tuple[Part, ...], Allotment]:
    """Set aside units that are available: the first that would be spent, and where they came from.

    What is held stays as it is: chunks are numbered by what left before them, whatever it left for.
    """
    parts, need = [], units
    for part in _runs(allotment):
        if need > 0:
            parts.append(replace(part, units=min(part.units, need)))
            need -= part.units
    return tuple(parts), replace(
        allotment,
        available=allotment.available - units,
        reserved=allotment.reserved + units,
        seq=allotment.seq + 1,
    )


def slack(allotment: Allotment, units: int) -> int:
    """How many units may be spent meanwhile, and those set aside still come from where it was planned.

    As long as the pool of the first units lasts, it does not matter which of them are left.
    """
    first = next(iter(_runs(allotment)), None)
    return max(0, first.units - units) if first else 0


def _runs(allotment: Allotment) -> list[Part]:
    """What an allotment holds, in the order of spending; neighbours from one pool count as one."""
    runs: list[Part] = []
    for chunk, units in unspent(allotment):
        before = runs.pop() if runs and runs[-1].pool == chunk.pool else Part(chunk.pool, 0, chunk.expires_ms)
        runs.append(replace(before, units=before.units + units))
    return runs


@dataclass(frozen=True, slots=True)
class Ending:
    """What the end of a reservation makes: units to give back, by pool, and the allotment after it."""

    returns: dict[str, int]
    allotment: Allotment


def end(allotment: Allotment, reservation: Reservation, spent: int, now_ms: int) -> Ending:
    """End a reservation with what its work cost.

    The first units are spent. The others go back to their pools or, where a grant has ended meanwhile, expire; the
    rights of the user's limit that backed them become unbacked again, as in `cutlass.domain.allotments.release`.
    What the work cost above the reservation comes out of what is available, as a decision's units do.

    Nothing here depends on what else the allotment holds, so decisions and refills may go on meanwhile.
    """
    returns: dict[str, int] = {}
    expired = freed = 0
    for part in behind(reservation.parts, spent):
        freed += 0 if of_user(part.pool) else part.units
        if part.expires_ms <= now_ms:
            expired += part.units
        else:
            returns[part.pool] = returns.get(part.pool, 0) + part.units
    ended = replace(
        allotment,
        available=allotment.available - max(0, spent - reservation.units),
        reserved=allotment.reserved - reservation.units,
        used=allotment.used + spent,
        total=allotment.total + spent,
        returned=allotment.returned + sum(returns.values()),
        expired=allotment.expired + expired,
        unbacked=allotment.unbacked + freed,
        released=allotment.released + freed,
        seq=allotment.seq + 1,
        last=_charge(reservation, spent, now_ms) if spent else allotment.last,
    )
    return Ending(returns, ended)


def behind(parts: Iterable[Part], spent: int) -> list[Part]:
    """What is left of parts when the first units of them are spent."""
    left = []
    for part in parts:
        used = min(part.units, spent)
        spent -= used
        if used < part.units:
            left.append(replace(part, units=part.units - used))
    return left


def decision_of(
    reservation: Reservation, units: int, period: PeriodKind | None, *, replayed: bool = False
) -> Decision:
    """Return the decision that allowed a reservation, or its end with so many units."""
    org_id, user_id, meter = reservation.org_id, reservation.user_id, reservation.meter
    return Decision(
        allowed=True,
        reason=Reason.OK,
        decision_id=decision_id(org_id, user_id, meter, reservation.charge_id),
        region=reservation.region,
        org_id=org_id,
        user_id=user_id,
        feature=reservation.feature,
        meter=meter,
        units=units,
        replayed=replayed,
        plan=reservation.plan,
        limit=reservation.limit,
        used=reservation.total,
        remaining=reservation.left,
        resets_at=from_millis(reservation.resets_ms),
        period=period,
    )


def _charge(reservation: Reservation, spent: int, now_ms: int) -> LastDecision:
    """The decision a commit is, for metering and ledger, with the pools its own units were set aside from."""
    identity = RequestIdentity.of(reservation.charge_id, str(spent))
    paid = first_of(((part.pool, part.units) for part in reservation.parts), spent)
    return LastDecision(identity.request_id, reservation.feature, spent, now_ms, identity.fingerprint, spent=paid)
