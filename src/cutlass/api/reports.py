"""Reports and schedules as the interface shows them, and refusals as its enforcing routes answer them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cutlass.api.errors import RefusedError
from cutlass.api.ratelimit import rate_limit_fields
from cutlass.domain.decisions import Decision, Reason
from cutlass.domain.errors import CutlassError, ForbiddenError, InvalidRequestError, NotFoundError, NotInPlanError
from cutlass.domain.periods import from_millis
from cutlass.domain.report_jobs import Job
from cutlass.domain.schedules import Schedule

SCHEDULED = ("from", "to", "time_zone")
"""What a schedule's report does not say, because its runs do."""


def report_body(job: Job, link: tuple[str, datetime] | None = None) -> dict[str, Any]:
    """Return the JSON object of a report; `url` is there where a link is."""
    result, failure = job.result, job.failure
    file = None
    if result is not None:
        file = {
            "name": result.filename,
            "content_type": result.content_type,
            "bytes": result.size,
            "rows": result.rows,
        }
    return {
        "id": job.report_id,
        "org_id": job.org_id,
        "user_id": job.user_id,
        "region": job.region,
        "report": dict(job.report),
        "status": job.state,
        "progress": job.percent / 100,
        "attempts": job.attempt,
        "created_at": from_millis(job.created_ms),
        "started_at": _moment(job.started_ms),
        "ended_at": _moment(job.ended_ms),
        "schedule": job.schedule,
        "meter": job.meter,
        "units": job.units,
        "charged": job.charged if job.settled else None,
        "error": None if failure is None else {"code": failure.code, "message": failure.message},
        "file": file,
        "url": link[0] if link else None,
        "expires_at": link[1] if link else None,
    }


def schedule_body(schedule: Schedule) -> dict[str, Any]:
    """Return the JSON object of a schedule."""
    hours, minutes = divmod(schedule.at_minutes, 60)
    last = None
    if schedule.last_outcome is not None:
        last = {
            "due_at": from_millis(schedule.last_due_ms),
            "report_id": schedule.last_report,
            "outcome": schedule.last_outcome,
        }
    return {
        "id": schedule.schedule_id,
        "org_id": schedule.org_id,
        "user_id": schedule.user_id,
        "region": schedule.region,
        "every": schedule.every,
        "at": f"{hours:02d}:{minutes:02d}",
        "time_zone": schedule.time_zone,
        "report": schedule.report,
        "next_at": from_millis(schedule.due_ms),
        "last": last,
        "created_at": from_millis(schedule.created_ms),
    }


def scheduled_report(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of a schedule; raises `InvalidRequestError` where it says what its runs say."""
    for name in SCHEDULED:
        if name in report:
            raise InvalidRequestError(
                f"report.{name} is not for a schedule to say",
                field=f"report.{name}",
                hint="each run has its own span, in the organisation's time zone",
            )
    return dict(report)


def refusal(decision: Decision, now: datetime) -> CutlassError:
    """Return the problem an enforcing route answers a refusal with: 429, 402, 403 or 404."""
    about = f"{decision.units} units of {decision.meter}" if decision.meter else "the units"
    fields = rate_limit_fields(decision, now)
    match decision.reason:
        case Reason.UNKNOWN_ORG:
            return NotFoundError(f"there is no organisation {decision.org_id!r}")
        case Reason.UNKNOWN_USER:
            return NotFoundError(f"organisation {decision.org_id!r} has no user {decision.user_id!r}")
        case Reason.ORG_SUSPENDED:
            return ForbiddenError(f"organisation {decision.org_id!r} is suspended")
        case Reason.FEATURE_NOT_IN_PLAN:
            return NotInPlanError(
                f"plan {decision.plan!r} does not have {decision.feature!r}", hint="move to a plan that has it"
            )
        case Reason.CREDITS_EXHAUSTED:
            return RefusedError(
                f"there are not {about} left: the credits are used up",
                status=402,
                code="credits-exhausted",
                headers=fields,
                hint="buy credits, or wait for the next period",
                retry_after=decision.retry_after,
            )
    return RefusedError(
        f"there are not {about} left: {decision.reason}",
        status=429,
        code="quota-exceeded",
        headers=fields,
        hint="ask again after Retry-After",
        retry_after=decision.retry_after,
    )


def _moment(millis: int) -> datetime | None:
    return from_millis(millis) if millis else None
