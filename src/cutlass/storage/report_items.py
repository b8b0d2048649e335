"""Jobs and schedules as items."""

import json
from dataclasses import fields
from typing import Any

from cutlass.domain.report_jobs import KEEP_MS, Failure, Job, Result, State
from cutlass.domain.schedules import Every, Schedule
from cutlass.storage import keys
from cutlass.storage.codec import Item

_KEPT_SECONDS = KEEP_MS // 1000
_PLAIN = [
    *("org_id", "user_id", "feature", "meter", "units", "digest", "reservation_id", "created_ms", "deadline_ms"),
    *(
        "schedule",
        "due_ms",
        "attempt",
        "lease_ms",
        "percent",
        "started_ms",
        "ended_ms",
        "settled",
        "charged",
        "rev",
    ),
]
_SCHEDULE = [f.name for f in fields(Schedule) if f.name not in {"region", "every", "report"}]


def job_to_item(job: Job) -> Item:
    """A job as a whole item; `send` is there while a queue is still to be told of it."""
    item: Item = {"pk": keys.reports(job.region, job.org_id), "sk": job.name}
    item |= {name: getattr(job, name) for name in _PLAIN}
    item |= {"state": str(job.state), "report": json.dumps(dict(job.report), separators=(",", ":"))}
    if job.result is not None:
        item["result"] = {name: getattr(job.result, name) for name in Result.__slots__}
    if job.failure is not None:
        item["failure"] = {"code": job.failure.code, "message": job.failure.message}
    if job.to_send is not None:
        item["send"] = 1  # a number: what the filter of the stream looks for
    item["ttl"] = job.created_ms // 1000 + _KEPT_SECONDS
    return {name: value for name, value in item.items() if value is not None}


def job_from_item(item: Item) -> Job:
    """Read a job off its item."""
    values: dict[str, Any] = {name: item[name] for name in _PLAIN if name in item}
    result, failure = item.get("result"), item.get("failure")
    return Job(
        region=item["pk"].partition("#")[0],
        name=item["sk"],
        report=json.loads(item["report"]),
        state=State(item["state"]),
        result=Result(**result) if result else None,
        failure=Failure(**failure) if failure else None,
        **values,
    )


def is_job(item: Item) -> bool:
    """Whether an item of the table is a job."""
    return str(item["pk"]).endswith("#reports")


def schedule_to_item(schedule: Schedule) -> Item:
    """A schedule as a whole item."""
    item: Item = {"pk": keys.schedules(schedule.region, schedule.org_id), "sk": schedule.schedule_id}
    item |= {name: getattr(schedule, name) for name in _SCHEDULE}
    item |= {"every": str(schedule.every), "report": json.dumps(schedule.report, separators=(",", ":"))}
    return {name: value for name, value in item.items() if value is not None}


def schedule_from_item(item: Item) -> Schedule:
    """Read a schedule off its item."""
    values: dict[str, Any] = {name: item[name] for name in _SCHEDULE if name in item}
    region = item["pk"].partition("#")[0]
    return Schedule(region=region, every=Every(item["every"]), report=json.loads(item["report"]), **values)
