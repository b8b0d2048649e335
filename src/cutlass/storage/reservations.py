"""Reservations: units set aside in the region that is asked, and ended at the region that holds them.

Each step is one transaction of the reservation, its allotment, the pools it gives back to and its deadline, so a
crash between two steps leaves a reservation held or ended, and nothing between.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from cutlass.domain.allotments import Allotment, Verdict, afford
from cutlass.domain.decisions import Decision, DecisionRequest, Reason
from cutlass.domain.errors import (
    ConflictError,
    CutlassError,
    IdempotencyMismatchError,
    InsufficientUnitsError,
    NotFoundError,
    ReservationExpiredError,
    UnavailableError,
)
from cutlass.domain.periods import from_millis, to_millis
from cutlass.domain.plans import Catalogue
from cutlass.domain.reservations import (
    MAX_PARTS,
    REPORT_PREFIX,
    Reservation,
    State,
    decision_of,
    end,
    parse_id,
    reservation_name,
    set_aside,
    slack,
)
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments, Consumed, allotment_of, change_of
from cutlass.storage.codec import Wire
from cutlass.storage.decider import ATTEMPTS, Case, Decider, pause_seconds
from cutlass.storage.dynamo import Dynamo, TransactionFailedError, delete_of, expression, put_of, update_of
from cutlass.storage.items import RESERVATION, reservation_from_item, reservation_to_item
from cutlass.storage.peers import Peers
from cutlass.storage.returns import by_pool, return_writes
from cutlass.storage.subjects import Subjects
from cutlass.storage.supply import Supply

_BUSY = "too many requests of this user at once"


@dataclass(frozen=True, slots=True)
class Reserved:
    """The answer to a reservation or to its commit; `reservation` is None where the decision is a refusal."""

    decision: Decision
    reservation: Reservation | None


class Reservations:
    """Makes and ends reservations as one region does; threads may share it.

    Parameters
    ----------
    table : str
        The full name of the limits table.
    """

    def __init__(
        self,
        peers: Peers,
        decider: Decider,
        subjects: Subjects,
        supply: Supply,
        catalogue: Catalogue,
        table: str,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._peers = peers
        self._decider = decider
        self._subjects = subjects
        self._supply = supply
        self._catalogue = catalogue
        self._table = table
        self._clock = clock
        self._sleep = sleep
        self.region = peers.region

    def reserve(self, request: DecisionRequest, *, ttl_seconds: int) -> Reserved:
        """Set units aside for a user, once for every request id, for so many seconds.

        It is allowed and refused as a decision on as many units is.

        Raises
        ------
        IdempotencyMismatchError
            The request id made a reservation with another body.
        ConflictError
            The units come from more grants than one reservation may draw on.
        UnavailableError
            The store did not answer in time; the same request may be sent again.
        """
        case = self._decider.case(request)
        if isinstance(case, Decision):
            return Reserved(case, None)
        name = reservation_name(request.org_id, request.user_id, case.meter, case.identity.request_id)
        for attempt in range(ATTEMPTS):
            found, met = self._look(case, name)
            if found:
                return self._again(found, case, ttl_seconds)
            rev = case.organisation.rev
            verdict = afford(met, case.units, rev, case.now_ms) if met else Verdict.SHORT
            if met and verdict is Verdict.TAKEN:
                if made := self._set_aside(case, name, met, ttl_seconds):
                    return Reserved(self._decision(made, made.units), made)
            else:
                case, reason = self._decider.supplied(case, Consumed(verdict, met))
                if reason:
                    return Reserved(self._decider.refused(case, reason, met), None)
            self._sleep(pause_seconds(attempt))
        raise UnavailableError(_BUSY, hint="retry with the same request id")

    def get(self, reservation_id: str, *, org_id: str | None = None) -> Reservation:
        """Read a reservation at the region that holds it; `org_id` is the only organisation whose it may be.

        Raises `NotFoundError`, and `UnavailableError` where that region does not answer.
        """
        region, name = self._place(reservation_id)
        with self._peers.reach(region) as there:
            return self._find(there, region, name, org_id)

    def commit(
        self, reservation_id: str, units: int | None = None, *, org_id: str | None = None, report: bool = False
    ) -> Reserved:
        """End a reservation with what its work cost, as charged then; None charges all that was set aside.

        The same commit again gives the same answer. Only with `report` is one ended that belongs to a report.

        Raises
        ------
        NotFoundError
            There is no such reservation, or not of the organisation.
        ReservationExpiredError
            Its deadline passed, and its units went back.
        InsufficientUnitsError
            It cost more than was set aside, and that much more is not to be had.
        ConflictError
            It was released, committed with another cost, or belongs to a report.
        UnavailableError
            The region that holds it does not answer; the same request may be sent again.
        """
        ended, now = self._end(reservation_id, State.COMMITTED, units, org_id, report=report)
        spent = ended.units if units is None else units
        if not now and ended.state is State.EXPIRED:
            raise ReservationExpiredError(
                f"reservation {reservation_id!r} expired at {from_millis(ended.deadline_ms):%Y-%m-%dT%H:%M:%SZ}, "
                "and its units went back",
                hint="charge the work with a usage check, and reserve for longer next time",
            )
        if not now and ended.spent != spent:
            raise ConflictError(
                f"reservation {reservation_id!r} was {ended.state} with {ended.spent} units before"
            )
        return Reserved(self._decision(ended, ended.spent, replayed=not now), ended)

    def release(self, reservation_id: str, *, org_id: str | None = None, report: bool = False) -> Reservation:
        """Give all of a reservation back; doing so again, or after it expired, changes nothing.

        Raises `NotFoundError` and `UnavailableError` as `commit`, and `ConflictError` for one that was committed
        or, without `report`, belongs to a report.
        """
        ended, _ = self._end(reservation_id, State.RELEASED, 0, org_id, report=report)
        if ended.state is State.COMMITTED:
            raise ConflictError(f"reservation {reservation_id!r} was committed with {ended.spent} units before")
        return ended

    def expire_overdue(self, limit: int) -> int:
        """Give back this region's reservations whose deadline has passed; returns how many it did.

        One that cannot be ended now does not keep back the others, and is what is raised behind them.

        Parameters
        ----------
        limit : int
            How many deadlines of each shard are looked at; the next run goes on behind those it ended.
        """
        passed = ("0", f"{to_millis(self._clock()):013d}")
        failures: list[CutlassError] = []

        def sweep(shard: int) -> int:
            overdue = self._peers.here.query(
                self._table, keys.deadlines(self.region, shard), between=passed, limit=limit
            )
            done = 0
            for item in list(islice(overdue, limit)):
                name = item["sk"].partition("#")[2]
                try:
                    done += self._end(f"{self.region}-{name}", State.EXPIRED, 0, None, report=True)[1]
                except CutlassError as error:
                    failures.append(error)
            return done

        with ThreadPoolExecutor(keys.DEADLINE_SHARDS) as pool:
            expired = sum(pool.map(sweep, range(keys.DEADLINE_SHARDS)))
        if failures:
            raise failures[0]
        return expired

    # --- making one -----------------------------------------------------------------------------------

    def _look(self, case: Case, name: str) -> tuple[Reservation | None, Allotment | None]:
        """Read what a request made before, here or, as far as this region knows, elsewhere; and the allotment."""
        of_user = case.key(self._allotments(self.region))
        made = [keys.reservation(region, name) for region in (self.region, *self._peers.others)]
        items = self._peers.here.batch_get({self._table: [of_user, *made]})
        found = [reservation_from_item(item) for key in made if (item := items.get((self._table, *key)))]
        return found[0] if found else None, allotment_of(items.get((self._table, *of_user)))

    def _again(self, found: Reservation, case: Case, ttl_seconds: int) -> Reserved:
        """Answer with what the request made before."""
        asked = (case.request.feature, case.units, ttl_seconds * 1000)
        if asked != (found.feature, found.units, found.deadline_ms - found.created_ms):
            raise IdempotencyMismatchError(
                f"request id {found.request_id!r} made a reservation with another body before",
                hint="use a new request id for a new reservation",
            )
        return Reserved(self._decision(found, found.units, replayed=True), found)

    def _set_aside(self, case: Case, name: str, met: Allotment, ttl_seconds: int) -> Reservation | None:
        """Write a reservation with the units it takes out of the allotment; None if something came between."""
        parts, left = set_aside(met, case.units)
        if len(parts) > MAX_PARTS:
            raise ConflictError(
                f"the units come from {len(parts)} grants, a reservation draws on at most {MAX_PARTS}",
                hint="reserve fewer units at once",
            )
        now_ms = to_millis(self._clock())
        made = Reservation(
            region=self.region,
            name=name,
            org_id=case.request.org_id,
            user_id=case.request.user_id,
            feature=case.request.feature,
            meter=case.meter,
            period=case.period.key,
            resets_ms=case.period.end_ms,
            request_id=case.identity.request_id,
            units=case.units,
            parts=parts,
            created_ms=now_ms,
            deadline_ms=now_ms + ttl_seconds * 1000,
            plan=case.plan.name,
            limit=None,
            total=0,
            left=None,
        ).told(left)
        deadline = keys.deadline(self.region, name, made.deadline_ms)
        change = change_of(met, left, on_terms=True, slack=slack(met, case.units))
        writes = [
            put_of(self._table, reservation_to_item(made, *keys.reservation(self.region, name))),
            update_of(self._table, *case.key(self._allotments(self.region)), change),
            put_of(self._table, {"pk": deadline[0], "sk": deadline[1]}),
        ]
        try:
            self._peers.here.transact(writes)
        except TransactionFailedError:
            return None
        return made

    # --- ending one -----------------------------------------------------------------------------------

    def _end(
        self, reservation_id: str, state: State, units: int | None, org_id: str | None, *, report: bool
    ) -> tuple[Reservation, bool]:
        """End a reservation that is held, with a cost; returns it as it is then, and whether this ended it."""
        region, name = self._place(reservation_id)
        with self._peers.reach(region) as there:
            for attempt in range(ATTEMPTS):
                found = self._find(there, region, name, org_id)
                if found.request_id.startswith(REPORT_PREFIX) and not report:
                    raise ConflictError(
                        f"reservation {reservation_id!r} belongs to a report",
                        hint="cancel the report to have its units back",
                    )
                if found.state is not State.HELD:
                    return found, False
                spent = found.units if units is None else units
                as_what = State.RELEASED if state is State.COMMITTED and not spent else state
                if ended := self._ended(there, found, as_what, spent):
                    return ended, True
                self._sleep(pause_seconds(attempt))
        raise UnavailableError(_BUSY, hint="send the request again")

    def _ended(self, there: Dynamo, found: Reservation, state: State, spent: int) -> Reservation | None:
        """End a reservation in one transaction; None if something came between."""
        allotments = self._allotments(found.region, there)
        key = allotments.key(found.org_id, found.user_id, found.meter, found.period)
        met = allotments.read(key)
        if met is None:
            raise NotFoundError(f"reservation {found.reservation_id!r} has no allotment any more")
        above = max(0, spent - found.units)
        if above and not self._affordable(found, met, above):
            return None
        now_ms = to_millis(self._clock())
        ending = end(met, found, spent, now_ms)
        ended = replace(found, state=state, spent=spent, ended_ms=now_ms).told(ending.allotment)
        returns = by_pool(found.region, found.org_id, found.meter, found.user_id, ending.returns)
        change = change_of(met, ending.allotment, on_terms=above > 0, slack=met.available - above)
        writes = [
            update_of(self._table, *keys.reservation(found.region, found.name), _ending(ended)),
            update_of(self._table, *key, change),
            *return_writes(self._table, returns),
            delete_of(self._table, *keys.deadline(found.region, found.name, found.deadline_ms)),
        ]
        try:
            there.transact(writes)
        except TransactionFailedError:
            return None
        return ended

    def _affordable(self, found: Reservation, met: Allotment, above: int) -> bool:
        """Whether an allotment has what a commit costs above its reservation; if False, look again.

        Raises `InsufficientUnitsError` where it cannot be had. Of a period that has ended nothing is had, of
        another region only what the allotment there holds already, because that region alone supplies it.
        """
        case = self._decider.case(DecisionRequest(found.org_id, found.user_id, found.feature, above))
        if isinstance(case, Decision):
            raise _insufficient(found, above, 0, case.reason)
        if case.period.key != found.period:
            raise _insufficient(found, above, 0, "its period has ended")
        verdict = afford(met, above, case.organisation.rev, case.now_ms)
        if verdict is Verdict.TAKEN:
            return True
        if found.region != self.region:
            room = met.available if verdict is Verdict.SHORT else 0
            raise _insufficient(found, above, room, f"more may be had by a commit in {found.region}")
        now, reason = self._decider.supplied(case, Consumed(verdict, met))
        if now.period.key != found.period:
            raise _insufficient(found, above, 0, "its period has ended")
        if reason:
            subject = self._subjects.find(found.org_id, found.user_id, found.feature)
            room = 0 if isinstance(subject, Reason) else self._supply.room(subject)
            raise _insufficient(found, above, min(room, above - 1), reason)
        return False

    def _find(self, there: Dynamo, region: str, name: str, org_id: str | None) -> Reservation:
        item = there.get(self._table, *keys.reservation(region, name))
        if item is None or org_id not in {None, item["org"]}:
            raise _unknown(f"{region}-{name}")
        return reservation_from_item(item)

    def _place(self, reservation_id: str) -> tuple[str, str]:
        region, name = parse_id(reservation_id)
        if region not in {self.region, *self._peers.others}:
            raise _unknown(reservation_id)
        return region, name

    def _allotments(self, region: str, dynamo: Dynamo | None = None) -> Allotments:
        return Allotments(dynamo or self._peers.at(region), self._table, region)

    def _decision(self, reservation: Reservation, units: int, *, replayed: bool = False) -> Decision:
        plan = self._catalogue.plans.get(reservation.plan)
        return decision_of(reservation, units, plan.period if plan else None, replayed=replayed)


def _ending(ended: Reservation) -> Wire:
    """Make the update that ends a reservation which is still held."""
    names = ("state", "spent", "ended_ms", "plan", "limit", "total", "left")
    values = {RESERVATION[name]: value for name in names if (value := getattr(ended, name)) is not None}
    sets = ", ".join(f"#{attribute} = :{attribute}" for attribute in values)
    gone = [f"#{RESERVATION[name]}" for name in names if getattr(ended, name) is None]
    removes = f" REMOVE {', '.join(gone)}" if gone else ""
    return expression(f"SET {sets}{removes}", "#state = :held", held=str(State.HELD), **values)


def _unknown(reservation_id: str) -> NotFoundError:
    return NotFoundError(f"there is no reservation {reservation_id!r}")


def _insufficient(found: Reservation, above: int, room: int, why: str) -> InsufficientUnitsError:
    return InsufficientUnitsError(
        f"the work cost {above} units more than the {found.units} set aside, of which {room} can be had ({why})",
        available=found.units + room,
        hint="commit it with less, or later",
    )
