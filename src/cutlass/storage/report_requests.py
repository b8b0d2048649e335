"""Requests for reports: what they cost is set aside, and identical ones share a report.

A job, what finds it again by its request, and what the sweep finds it by are written in one transaction. Its units
are set aside before that: a crash in between leaves a reservation that nobody ends, which its deadline releases.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cutlass.domain import report_jobs as rules
from cutlass.domain.decisions import Decision, DecisionRequest, Reason
from cutlass.domain.errors import ConflictError, IdempotencyMismatchError, UnavailableError
from cutlass.domain.ids import digest, new_request_id
from cutlass.domain.periods import to_millis
from cutlass.domain.plans import MAX_UNITS
from cutlass.domain.report_jobs import Job
from cutlass.domain.reservations import REPORT_PREFIX, Reservation
from cutlass.domain.reservations import State as Reserved
from cutlass.storage import keys
from cutlass.storage.codec import Item, Wire
from cutlass.storage.decider import ATTEMPTS
from cutlass.storage.dynamo import TransactionFailedError, put_of, put_where
from cutlass.storage.organisations import Organisations
from cutlass.storage.peers import Peers
from cutlass.storage.report_items import job_from_item, job_to_item
from cutlass.storage.reservations import Reservations

NOBODY = "cutlass:reports"
"""The user who is charged where a request names none; made when it is first needed, limited by the organisation
only."""

_METER = "reports"
_SHORTEST_HOLD_MS = 600_000
_BUSY = "too many requests for this report at once"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for a report.

    Attributes
    ----------
    user_id : str or None
        Who pays; None takes `NOBODY`.
    report, digest, end_ms : Mapping, str, int
        What is asked for, its name among identical ones, and where its span ends.
    request_id : str or None
        Makes a repetition safe.
    schedule, due_ms : str or None, int
        The run of a schedule it is.
    """

    org_id: str
    user_id: str | None
    feature: str
    report: Mapping[str, Any]
    digest: str
    end_ms: int
    request_id: str | None = None
    schedule: str | None = None
    due_ms: int = 0


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a request: a job, made now or before, or the decision that refuses it.

    `decision` is None where nothing had to be decided: the report was there.
    """

    job: Job | None
    decision: Decision | None
    made: bool = False

    @property
    def refused(self) -> Decision:
        """The decision that refuses it, where there is no job."""
        if self.job is not None or self.decision is None:
            raise ValueError("it is not refused")
        return self.decision


class ReportRequests:
    """Takes requests for reports as one region does; threads may share it.

    Parameters
    ----------
    table : str
        The full name of the table of reports.
    """

    def __init__(
        self,
        peers: Peers,
        reservations: Reservations,
        organisations: Organisations,
        table: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._peers = peers
        self._reservations = reservations
        self._organisations = organisations
        self._table = table
        self._clock = clock
        self.region = peers.region

    def request(self, asked: Asked) -> Answered:
        """Ask for a report, once for every request id; an identical one that is there is answered for nothing.

        Raises
        ------
        IdempotencyMismatchError
            The request id asked for another report before.
        ConflictError
            The request id is too old to be used again.
        UnavailableError
            The store did not answer in time; the same request may be sent again.
        """
        request_id = asked.request_id or new_request_id(self._now())
        held: Reservation | None = None
        for _ in range(ATTEMPTS):
            found = self._made_before(asked, request_id)
            same, stale = (None, None) if found or asked.schedule else self._same(asked)
            if job := found or same:
                if held is not None and held.reservation_id != job.reservation_id:
                    self._reservations.release(held.reservation_id, report=True)
                return Answered(job, None)
            decision, held = self._set_aside(asked, request_id)
            if held is None:
                return Answered(None, decision)
            job = self._job(asked, request_id, held)
            with suppress(TransactionFailedError):
                self._peers.here.transact(self._writes(job, asked, request_id, stale))
                return Answered(job, decision, made=True)
        raise UnavailableError(_BUSY, hint="retry with the same request id")

    def _made_before(self, asked: Asked, request_id: str) -> Job | None:
        """The job this request made, here or, as far as this region knows, elsewhere."""
        wanted = {
            region: keys.report_request(region, asked.org_id, request_id)
            for region in (self.region, *self._peers.others)
        }
        items = self._peers.here.batch_get({self._table: list(wanted.values())})
        for region, key in wanted.items():
            if item := items.get((self._table, *key)):
                if item["print"] != _fingerprint(asked):
                    raise IdempotencyMismatchError(
                        f"request id {request_id!r} asked for another report before",
                        hint="use a new request id for a new report",
                    )
                return self._read(region, asked.org_id, item["job"])
        return None

    def _same(self, asked: Asked) -> tuple[Job | None, str | None]:
        """The job of an identical request that still answers for it; or the one before, which does not."""
        regions = (self.region, *self._peers.others)
        wanted = {region: keys.same_report(region, asked.org_id, asked.digest) for region in regions}
        items = self._peers.here.batch_get({self._table: list(wanted.values())})
        stale = None
        for region, key in wanted.items():
            item = items.get((self._table, *key))
            if item is None:
                continue
            job = self._read(region, asked.org_id, item["job"]) if item["until"] > self._now() else None
            if job and job.state not in {rules.State.FAILED, rules.State.CANCELLED}:
                return job, None
            if region == self.region:
                stale = str(item["job"])
        return None, stale

    def _set_aside(self, asked: Asked, request_id: str) -> tuple[Decision, Reservation | None]:
        """Set a report's units aside: what is decided, and the reservation where it is allowed."""
        identity = f"{REPORT_PREFIX}{digest('report', asked.org_id, request_id)[:16].hex()}"
        user = asked.user_id or NOBODY
        request = DecisionRequest(asked.org_id, user, asked.feature, request_id=identity)
        reserved = self._reservations.reserve(request, ttl_seconds=rules.HOLD_SECONDS)
        if reserved.decision.reason is Reason.UNKNOWN_USER and asked.user_id is None:
            self._organisations.put_user(asked.org_id, NOBODY, limits={_METER: MAX_UNITS})
            reserved = self._reservations.reserve(request, ttl_seconds=rules.HOLD_SECONDS)
        held = reserved.reservation
        if held and (held.state is not Reserved.HELD or held.deadline_ms < self._now() + _SHORTEST_HOLD_MS):
            raise ConflictError(
                f"request id {request_id!r} is too old: what was set aside for it is given back",
                hint="use a new request id",
            )
        return reserved.decision, held

    def _job(self, asked: Asked, request_id: str, held: Reservation) -> Job:
        now = self._now()
        shorter = (rules.HOLD_SECONDS * 1000) - rules.LIFE_MS
        return Job(
            region=self.region,
            name=f"{now:012x}{digest('report', asked.org_id, request_id)[:8].hex()}",
            org_id=asked.org_id,
            user_id=held.user_id,
            feature=asked.feature,
            meter=held.meter,
            units=held.units,
            report=asked.report,
            digest=asked.digest,
            reservation_id=held.reservation_id,
            created_ms=now,
            deadline_ms=max(now, held.deadline_ms - shorter),
            lease_ms=now + rules.WAIT_MS,
            schedule=asked.schedule,
            due_ms=asked.due_ms,
        )

    def _writes(self, job: Job, asked: Asked, request_id: str, stale: str | None) -> list[Wire]:
        """All that makes a job known, in one transaction."""
        of_request = keys.report_request(self.region, asked.org_id, request_id)
        at = keys.open_report(self.region, job.org_id, job.name)
        ttl = (job.created_ms + rules.KEEP_MS) // 1000
        request = {"pk": of_request[0], "sk": of_request[1], "job": job.name, "print": _fingerprint(asked)}
        writes = [
            put_of(self._table, job_to_item(job)),
            put_of(self._table, request | {"ttl": ttl}),
            put_of(self._table, {"pk": at[0], "sk": at[1], "org": job.org_id}),
        ]
        if asked.schedule is None:
            until = rules.same_until(asked.end_ms, job.created_ms)
            same = keys.same_report(self.region, job.org_id, job.digest)
            item = {"pk": same[0], "sk": same[1], "job": job.name, "until": until, "ttl": until // 1000 + 86_400}
            writes.append(_replacing(self._table, item, stale))
        return writes

    def _read(self, region: str, org_id: str, name: str) -> Job | None:
        item = self._peers.here.get(self._table, keys.reports(region, org_id), name)
        return job_from_item(item) if item else None

    def _now(self) -> int:
        return to_millis(self._clock())


def _fingerprint(asked: Asked) -> str:
    """What tells a repeated request from another one with the same id."""
    return digest(asked.digest, asked.user_id or "", asked.feature)[:8].hex()


def _replacing(table: str, item: Item, stale: str | None) -> Wire:
    """Put an item where there is none, or in place of the one that names the stale job."""
    if stale is None:
        return put_of(table, item)
    return put_where(table, item, "#job = :stale", stale=stale)
