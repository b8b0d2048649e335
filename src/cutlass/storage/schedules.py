"""Schedules of reports: set up in one region, which runs them.

A run is keyed by the time it is due, and a schedule goes on to its next run only behind this one's request. So a
crash between the two asks again and meets the same job, and a clock that stood still makes up for the runs it
missed.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

from cutlass.domain.errors import (
    ConflictError,
    CutlassError,
    InvalidRequestError,
    NotFoundError,
    NotInPlanError,
    UnavailableError,
)
from cutlass.domain.periods import from_millis, to_millis
from cutlass.domain.plans import Catalogue
from cutlass.domain.reports import ReportSpec
from cutlass.domain.schedules import MAX_SCHEDULES, Every, Schedule, covered, next_due
from cutlass.storage import keys
from cutlass.storage.codec import Wire
from cutlass.storage.decider import ATTEMPTS
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import TransactionFailedError, delete_of, put_of, put_where
from cutlass.storage.paging import Page
from cutlass.storage.peers import Peers
from cutlass.storage.report_items import schedule_from_item, schedule_to_item
from cutlass.storage.report_requests import Asked, ReportRequests

FEATURE = "report.schedule"

SpecOf = Callable[[str, Mapping[str, Any]], ReportSpec]
"""Reads the request of an organisation for a report; raises `InvalidRequestError`."""


class Schedules:
    """Keeps and runs schedules as one region does; threads may share it.

    Parameters
    ----------
    table : str
        The full name of the table of reports.
    """

    def __init__(
        self,
        peers: Peers,
        directory: Directory,
        requests: ReportRequests,
        catalogue: Catalogue,
        table: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._peers = peers
        self._directory = directory
        self._requests = requests
        self._catalogue = catalogue
        self._table = table
        self._clock = clock
        self.region = peers.region

    def put(
        self,
        org_id: str,
        schedule_id: str,
        *,
        user_id: str,
        every: Every,
        at_minutes: int,
        report: Mapping[str, Any],
        spec_of: SpecOf,
    ) -> tuple[Schedule, bool]:
        """Create a schedule or replace what it makes; returns it, and whether it was created.

        Its next run is the first that is due from now. One of another region is changed there.

        Raises
        ------
        NotFoundError
            There is no such organisation or user.
        InvalidRequestError
            There is no such report.
        NotInPlanError
            The plan has no schedules.
        ConflictError
            The organisation has as many as it may.
        UnavailableError
            The region that runs it does not answer.
        """
        organisation, _ = self._directory.get_user(org_id, user_id)
        now = self._clock()
        if FEATURE not in organisation.plan_at(self._catalogue, now).features:
            raise NotInPlanError(
                f"the plan of {org_id!r} has no scheduled reports", hint="move it to a plan that has"
            )
        zone = organisation.terms_at(now).rule.time_zone
        due = next_due(every, at_minutes, zone, now)
        made = Schedule(
            region=self.region,
            org_id=org_id,
            schedule_id=schedule_id,
            user_id=user_id,
            every=every,
            at_minutes=at_minutes,
            time_zone=zone,
            report=dict(report),
            due_ms=to_millis(due),
            created_ms=to_millis(now),
        )
        _spec(made, spec_of)
        for _ in range(ATTEMPTS):
            met = self._find(org_id, schedule_id)
            if met is None and self._count(org_id) >= MAX_SCHEDULES:
                raise ConflictError(
                    f"{org_id!r} has {MAX_SCHEDULES} schedules in {self.region}, the most there may be"
                )
            then = made if met is None else _over(met, made)
            if self._write(met, then):
                return then, met is None
        raise UnavailableError("too many changes of this schedule at once")

    def get(self, org_id: str, schedule_id: str) -> Schedule:
        """Find a schedule, as this region knows it; raises `NotFoundError`."""
        found = self._find(org_id, schedule_id)
        if found is None:
            raise NotFoundError(f"{org_id!r} has no schedule {schedule_id!r}")
        return found

    def page(self, org_id: str) -> Page[Schedule]:
        """List an organisation's schedules of all regions, as far as this one knows them."""
        found: dict[str, Schedule] = {}
        for region in (self.region, *self._peers.others):
            for item in self._peers.here.query(self._table, keys.schedules(region, org_id)):
                found.setdefault(item["sk"], schedule_from_item(item))
        return Page([found[name] for name in sorted(found)])

    def delete(self, org_id: str, schedule_id: str) -> Schedule:
        """End a schedule; reports it has asked for are made.

        Raises `NotFoundError`, and `UnavailableError` where the region that runs it does not answer.
        """
        for _ in range(ATTEMPTS):
            met = self.get(org_id, schedule_id)
            if self._write(met, None):
                return met
        raise UnavailableError("too many changes of this schedule at once")

    def run(self, limit: int, spec_of: SpecOf) -> int:
        """Ask for the reports that are due in this region; returns how many runs were asked for or refused.

        One that cannot be asked for now does not keep back the others, and is what is raised behind them.
        """
        passed = ("0", f"{to_millis(self._clock()) + 1:013d}")
        due = self._peers.here.query(self._table, keys.due_schedules(self.region), between=passed, limit=limit)
        failures: list[CutlassError] = []
        done = 0
        for item in list(islice(due, limit)):
            at, org_id, schedule_id = item["sk"].split("#")
            try:
                done += self._run(org_id, schedule_id, int(at), spec_of)
            except CutlassError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return done

    def _run(self, org_id: str, schedule_id: str, due_ms: int, spec_of: SpecOf) -> bool:
        item = self._peers.here.get(self._table, keys.schedules(self.region, org_id), schedule_id)
        schedule = schedule_from_item(item) if item else None
        if schedule is None or schedule.due_ms != due_ms:
            self._peers.here.delete(self._table, *keys.due_schedule(self.region, org_id, schedule_id, due_ms))
            return False
        report, outcome = self._ask(schedule, spec_of)
        organisation = self._directory.find(org_id)[0]
        zone = organisation.terms_at(self._clock()).rule.time_zone if organisation else schedule.time_zone
        after = next_due(schedule.every, schedule.at_minutes, zone, from_millis(due_ms))
        then = replace(
            schedule,
            due_ms=to_millis(after),
            time_zone=zone,
            last_due_ms=due_ms,
            last_report=report,
            last_outcome=outcome,
            rev=schedule.rev + 1,
        )
        return self._write(schedule, then)  # else it was changed meanwhile, and is looked at again

    def _ask(self, schedule: Schedule, spec_of: SpecOf) -> tuple[str | None, str]:
        """Ask for the report of the run that is due; returns its id and what became of it."""
        try:
            spec = _spec(schedule, spec_of)
        except InvalidRequestError as error:  # the catalogue has changed since
            return None, error.code
        answered = self._requests.request(
            Asked(
                org_id=schedule.org_id,
                user_id=schedule.user_id,
                feature=FEATURE,
                report=spec.body(),
                digest=spec.digest(),
                end_ms=to_millis(spec.end),
                request_id=f"#{schedule.schedule_id}#{schedule.due_ms}",  # no caller's id has a "#"
                schedule=schedule.schedule_id,
                due_ms=schedule.due_ms,
            )
        )
        if answered.job is None:
            return None, str(answered.refused.reason)
        return answered.job.report_id, "made"

    # --- items ----------------------------------------------------------------------------------------

    def _find(self, org_id: str, schedule_id: str) -> Schedule | None:
        regions = (self.region, *self._peers.others)
        wanted = [(keys.schedules(region, org_id), schedule_id) for region in regions]
        items = self._peers.here.batch_get({self._table: wanted})
        found = (items.get((self._table, *key)) for key in wanted)
        item = next((item for item in found if item), None)
        if item is None or item["pk"].startswith(f"{self.region}#"):
            return schedule_from_item(item) if item else None
        owner = item["pk"].partition("#")[0]
        with suppress(UnavailableError), self._peers.reach(owner) as there:
            newest = there.get(self._table, item["pk"], item["sk"])
            return schedule_from_item(newest) if newest else None
        return schedule_from_item(item)

    def _count(self, org_id: str) -> int:
        return sum(1 for _ in self._peers.here.query(self._table, keys.schedules(self.region, org_id)))

    def _write(self, met: Schedule | None, then: Schedule | None) -> bool:
        """Put, replace or delete a schedule together with its next run; False if something came between."""
        newest = then or met
        if newest is None:
            return False
        region, org_id, name = newest.region, newest.org_id, newest.schedule_id
        before = keys.due_schedule(region, org_id, name, met.due_ms) if met else None
        after = keys.due_schedule(region, org_id, name, then.due_ms) if then else None
        writes = [_write_of(self._table, met, then)]
        if before and before != after:
            writes.append(delete_of(self._table, *before))
        if after and before != after:
            writes.append(put_of(self._table, {"pk": after[0], "sk": after[1], "org": org_id}))
        try:
            with self._peers.reach(region) as there:
                there.transact(writes)
        except TransactionFailedError:
            return False
        return True


def _over(met: Schedule, made: Schedule) -> Schedule:
    """What replaces a schedule: its region and its history stay."""
    return replace(
        made,
        region=met.region,
        created_ms=met.created_ms,
        last_due_ms=met.last_due_ms,
        last_report=met.last_report,
        last_outcome=met.last_outcome,
        rev=met.rev + 1,
    )


def _write_of(table: str, met: Schedule | None, then: Schedule | None) -> Wire:
    """What makes one schedule of another, as long as that is the one it was."""
    if met is None:
        return put_of(table, schedule_to_item(then)) if then else {}
    if then is not None:
        return put_where(table, schedule_to_item(then), "#rev = :seen", seen=met.rev)
    return delete_of(table, keys.schedules(met.region, met.org_id), met.schedule_id, "#rev = :seen", seen=met.rev)


def _spec(schedule: Schedule, spec_of: SpecOf) -> ReportSpec:
    """What the run that is due asks for."""
    start, end = covered(schedule.every, schedule.time_zone, from_millis(schedule.due_ms))
    span = {"from": start.isoformat(), "to": end.isoformat(), "time_zone": schedule.time_zone}
    return spec_of(schedule.org_id, {**schedule.report, **span})
