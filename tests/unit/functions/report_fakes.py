"""Reports of a store made of dictionaries."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from cutlass.domain.decisions import Decision, DecisionRequest
from cutlass.domain.errors import ConflictError, NotFoundError
from cutlass.domain.periods import to_millis
from cutlass.domain.report_jobs import Job, Result, State
from cutlass.domain.schedules import Schedule
from cutlass.storage.paging import Page
from cutlass.storage.report_requests import Answered, Asked

RESULT = Result("k", "application/json", "usage.json", 10, 2, 100)


@dataclass
class FakeReports:
    """Keeps jobs and schedules, and refuses as it is told."""

    now: datetime
    decide: Callable[[DecisionRequest], Decision]
    known: Callable[[str], object]
    jobs: dict[tuple[str, str], Job] = field(default_factory=dict)
    plans: dict[tuple[str, str], Schedule] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def parts(self) -> dict[str, Any]:
        return {
            "report_requests": SimpleNamespace(request=self.request),
            "reports": SimpleNamespace(get=self.get, page=self.page, cancel=self.cancel),
            "report_files": SimpleNamespace(link=self.link),
            "schedules": SimpleNamespace(
                put=self.put, get=self.get_schedule, page=self.schedules, delete=self.delete
            ),
        }

    def request(self, asked: Asked) -> Answered:
        self.known(asked.org_id)
        self.asked.append(asked)
        for job in self.jobs.values():
            if (job.org_id, job.digest) == (asked.org_id, asked.digest):
                return Answered(job, None)
        decision = self.decide(DecisionRequest(asked.org_id, asked.user_id or "cutlass:reports", asked.feature))
        if not decision.allowed:
            return Answered(None, decision)
        job = Job(
            region="london",
            name=f"r{len(self.jobs)}",
            org_id=asked.org_id,
            user_id=asked.user_id or "cutlass:reports",
            feature=asked.feature,
            meter="reports",
            units=5,
            report=asked.report,
            digest=asked.digest,
            reservation_id="london-x",
            created_ms=to_millis(self.now),
            deadline_ms=to_millis(self.now),
        )
        self.jobs[job.org_id, job.report_id] = job
        return Answered(job, decision, made=True)

    def get(self, org_id: str, report_id: str) -> Job:
        if (org_id, report_id) not in self.jobs:
            raise NotFoundError(f"there is no report {report_id!r}")
        return self.jobs[org_id, report_id]

    def finish(self, job: Job) -> None:
        done = replace(job, state=State.SUCCEEDED, percent=100, result=RESULT, settled=True, charged=5)
        self.jobs[job.org_id, job.report_id] = done

    def cancel(self, org_id: str, report_id: str) -> Job:
        job = self.get(org_id, report_id)
        if job.state is State.SUCCEEDED:
            raise ConflictError(f"report {report_id!r} has succeeded already")
        self.jobs[org_id, report_id] = replace(job, state=State.CANCELLED)
        return self.jobs[org_id, report_id]

    def page(self, org_id: str, *, limit: int, after: object = None) -> Page[Job]:
        jobs = [job for job in self.jobs.values() if job.org_id == org_id]
        return Page(jobs[:limit], {"before": jobs[limit - 1].name} if len(jobs) > limit else None)

    def link(self, job: Job, now: datetime) -> tuple[str, datetime] | None:
        return (f"https://reports.example.com/{job.name}", now + timedelta(minutes=15)) if job.result else None

    def put(self, org_id: str, schedule_id: str, **wanted: Any) -> tuple[Schedule, bool]:
        self.known(org_id)
        span = {"from": "2026-10-01", "to": "2026-11-01", "time_zone": "UTC"}
        wanted.pop("spec_of")(org_id, {**wanted["report"], **span})
        created = (org_id, schedule_id) not in self.plans
        made = Schedule("london", org_id, schedule_id, time_zone="UTC", due_ms=1, created_ms=1, **wanted)
        self.plans[org_id, schedule_id] = made
        return made, created

    def get_schedule(self, org_id: str, schedule_id: str) -> Schedule:
        if (org_id, schedule_id) not in self.plans:
            raise NotFoundError(f"{org_id!r} has no schedule {schedule_id!r}")
        return self.plans[org_id, schedule_id]

    def schedules(self, org_id: str) -> Page[Schedule]:
        return Page([schedule for (org, _), schedule in self.plans.items() if org == org_id])

    def delete(self, org_id: str, schedule_id: str) -> Schedule:
        self.get_schedule(org_id, schedule_id)
        return self.plans.pop((org_id, schedule_id))
