"""Jobs of reports: made by the workers of the region that was asked, told to every region.

A message to a worker is only a hint. What was not heard of for a while is sent again by the sweep, and a job is
begun, ended and charged once however often its message comes.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any

from cutlass.domain import report_jobs as rules
from cutlass.domain.errors import (
    ConflictError,
    CutlassError,
    NotFoundError,
    ReservationExpiredError,
    UnavailableError,
)
from cutlass.domain.periods import to_millis
from cutlass.domain.report_jobs import Failure, Job, Result
from cutlass.storage import keys
from cutlass.storage.decider import ATTEMPTS
from cutlass.storage.dynamo import ConditionFailedError, TransactionFailedError, delete_of, put_where
from cutlass.storage.paging import Page
from cutlass.storage.peers import Peers
from cutlass.storage.report_items import job_from_item, job_to_item
from cutlass.storage.reservations import Reservations

_BUSY = "too many changes of this report at once"


class Reports:
    """Jobs as one region sees them and, of its own, keeps them; threads may share it.

    Parameters
    ----------
    table : str
        The full name of the table of reports.
    """

    def __init__(
        self, peers: Peers, reservations: Reservations, table: str, clock: Callable[[], datetime]
    ) -> None:
        self._peers = peers
        self._reservations = reservations
        self._table = table
        self._clock = clock
        self.region = peers.region

    # --- reading --------------------------------------------------------------------------------------

    def get(self, org_id: str, report_id: str) -> Job:
        """Find a job: where it is made while it is open, if that region answers, else as this region knows it.

        Raises `NotFoundError` where there is none, or none of the organisation.
        """
        region, name = self._place(report_id)
        job = self._read(region, org_id, name)
        if region != self.region and (job is None or job.state in rules.OPEN or not job.settled):
            with suppress(UnavailableError), self._peers.reach(region) as there:
                item = there.get(self._table, keys.reports(region, org_id), name)
                job = job_from_item(item) if item else job
        if job is None:
            raise _unknown(report_id)
        return job

    def page(self, org_id: str, *, limit: int, after: Mapping[str, Any] | None = None) -> Page[Job]:
        """List an organisation's jobs of all regions, as far as this one knows them; the newest first."""
        before = None if after is None else str(after["before"])
        listings = [
            self._peers.here.query(
                self._table, keys.reports(region, org_id), after=before, limit=limit + 1, backwards=True
            )
            for region in (self.region, *self._peers.others)
        ]
        newest = merge(*listings, key=lambda item: str(item["sk"]), reverse=True)
        found = [job_from_item(item) for item in islice(newest, limit + 1)]
        jobs = found[:limit]
        return Page(jobs, {"before": jobs[-1].name} if len(found) > limit else None)

    # --- ending it early ------------------------------------------------------------------------------

    def cancel(self, org_id: str, report_id: str) -> Job:
        """Give up a job, and its units back; to do so again changes nothing.

        Raises
        ------
        NotFoundError
            There is no such report of the organisation.
        ConflictError
            It has been made, or has failed.
        UnavailableError
            The region that makes it does not answer.
        """
        region, name = self._place(report_id)
        job, changed = self._change(region, org_id, name, lambda job: rules.cancel(job, self._now()))
        if job.state is not rules.State.CANCELLED:
            raise ConflictError(f"report {report_id!r} has {job.state} already")
        if changed:
            with suppress(CutlassError):  # the sweep of its region does it otherwise
                job = self.settle(job)
        return job

    # --- making ---------------------------------------------------------------------------------------

    def claim(self, org_id: str, report_id: str) -> Job | None:
        """Begin a job of this region; None where it has ended, or another worker has it."""
        return self._mine(org_id, report_id, lambda job: rules.claim(job, self._now()))

    def beat(self, job: Job, percent: int) -> bool:
        """Keep a job that was claimed, and tell how far it is; False when it is no longer the caller's."""
        mine = self._mine(
            job.org_id, job.report_id, lambda now: rules.beat(now, job.attempt, percent, self._now())
        )
        return mine is not None

    def succeed(self, job: Job, result: Result) -> Job | None:
        """End a claimed job with its report, and charge it; None when it is no longer the caller's."""
        return self._ended(job, lambda now: rules.succeed(now, job.attempt, result, self._now()))

    def fail(self, job: Job, failure: Failure) -> Job | None:
        """End a claimed job without a report, and give its units back; None when it is no longer the caller's."""
        return self._ended(job, lambda now: rules.fail(now, job.attempt, failure, self._now()))

    def retry(self, job: Job, failure: Failure) -> Job | None:
        """Queue a claimed job again, or fail it after the last attempt; None when it is no longer the caller's."""
        return self._ended(job, lambda now: rules.retry(now, job.attempt, failure, self._now()))

    def _ended(self, job: Job, rule: Callable[[Job], Job | None]) -> Job | None:
        changed = self._mine(job.org_id, job.report_id, rule)
        return changed if changed is None or changed.state in rules.OPEN else self.settle(changed)

    def settle(self, job: Job) -> Job:
        """Charge a job that has ended, or give its units back; doing so again changes nothing."""
        charged = self._end_reservation(job)
        there = self._peers.at(job.region)
        at = keys.open_report(job.region, job.org_id, job.name)
        for _ in range(ATTEMPTS):
            item = there.get(self._table, keys.reports(job.region, job.org_id), job.name)
            then = rules.settle(job_from_item(item), charged) if item else None
            if item is None or then is None:
                there.delete(self._table, *at)
                return job_from_item(item) if item else job
            with suppress(TransactionFailedError):
                put = put_where(self._table, job_to_item(then), "#rev = :seen", seen=then.rev - 1)
                there.transact([put, delete_of(self._table, *at)])
                return then
        raise UnavailableError(_BUSY)

    def _end_reservation(self, job: Job) -> int:
        """End the reservation of a job as the job ended; returns what was charged."""
        try:
            if job.cost:
                return self._reservations.commit(job.reservation_id, job.cost, report=True).decision.units
            self._reservations.release(job.reservation_id, report=True)
        except (ReservationExpiredError, NotFoundError):
            # It lived longer than its hold, because nobody came to settle it for an hour: it is given for nothing.
            return 0
        return 0

    def sweep(self, limit: int) -> int:
        """Look after this region's open jobs, the oldest first: settle, queue again or give up.

        Returns how many were changed, at most `limit`: those that are well do not count, so that they keep nobody
        from being looked after. One that cannot be looked after now does not either, and is what is raised behind
        the others.
        """
        failures: list[CutlassError] = []
        done = 0
        for item in self._peers.here.query(self._table, keys.open_reports(self.region)):
            if done >= limit:
                break
            name, _, org_id = item["sk"].partition("#")
            try:
                done += self._look_after(org_id, name)
            except CutlassError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return done

    def _look_after(self, org_id: str, name: str) -> bool:
        job, changed = self._change(self.region, org_id, name, lambda job: rules.rescue(job, self._now()))
        if job.state in rules.OPEN:
            return changed
        self.settle(job)
        return True

    # --- items ----------------------------------------------------------------------------------------

    def _mine(self, org_id: str, report_id: str, rule: Callable[[Job], Job | None]) -> Job | None:
        region, name = self._place(report_id)
        if region != self.region:
            raise _unknown(report_id)
        job, changed = self._change(region, org_id, name, rule)
        return job if changed else None

    def _change(self, region: str, org_id: str, name: str, rule: Callable[[Job], Job | None]) -> tuple[Job, bool]:
        """Apply a rule to a job at its owner; returns it as it is then, and whether it was changed."""
        with self._peers.reach(region) as there:
            for _ in range(ATTEMPTS):
                item = there.get(self._table, keys.reports(region, org_id), name)
                if item is None:
                    raise _unknown(f"{region}-{name}")
                job = job_from_item(item)
                then = rule(job)
                if then is None:
                    return job, False
                with suppress(ConditionFailedError):
                    there.put_if_revision(self._table, job_to_item(then), job.rev)
                    return then, True
        raise UnavailableError(_BUSY)

    def _read(self, region: str, org_id: str, name: str) -> Job | None:
        item = self._peers.here.get(self._table, keys.reports(region, org_id), name)
        return job_from_item(item) if item else None

    def _place(self, report_id: str) -> tuple[str, str]:
        region, name = rules.parse_id(report_id)
        if region not in {self.region, *self._peers.others} or not name:
            raise _unknown(report_id)
        return region, name

    def _now(self) -> int:
        return to_millis(self._clock())


def _unknown(report_id: str) -> NotFoundError:
    return NotFoundError(f"there is no report {report_id!r}")
