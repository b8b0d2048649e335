"""`/orgs/{org}/reports`: ask for reports and follow them; `/orgs/{org}/report-schedules`: have them made again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cutlass.api.auth import Access, Role, Scope
from cutlass.api.idempotency import request_id
from cutlass.api.models import NoQuery, PageQuery, ReportBody, ScheduleBody
from cutlass.api.paging import decode_cursor, encode_cursor
from cutlass.api.ratelimit import rate_limit_fields
from cutlass.api.reports import refusal, report_body, schedule_body, scheduled_report
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.contracts import load_reports
from cutlass.domain.periods import to_millis
from cutlass.domain.reports import ReportSpec
from cutlass.domain.schedules import Every
from cutlass.storage import open_store
from cutlass.storage.report_requests import Asked

FEATURE = "report.export"

edge = Edge()
handler = edge.handler

READ = Access(Scope.USAGE_READ)
WRITE = Access(Scope.REPORTS_WRITE)
ADMINISTER = Access(Scope.REPORTS_WRITE, member_role=Role.ADMIN)


def spec_of(org_id: str, report: Mapping[str, Any]) -> ReportSpec:
    """Read a request for a report; raises `InvalidRequestError` that names the field."""
    return ReportSpec.of(org_id, report, load_reports())


@edge.route("POST", "/orgs/<org>/reports", WRITE)
def create_report(call: Call) -> Response:
    """Ask for a report: 202 where it will be made, 200 where an identical one is there."""
    call.query(NoQuery)
    wanted = call.body(ReportBody)
    spec = spec_of(call.org_id, wanted.report)
    answered = open_store().report_requests.request(
        Asked(
            org_id=call.org_id,
            user_id=wanted.user_id,
            feature=FEATURE,
            report=spec.body(),
            digest=spec.digest(),
            end_ms=to_millis(spec.end),
            request_id=request_id(call.event, wanted.request_id),
        )
    )
    now = datetime.now(UTC)
    if answered.job is None:
        raise refusal(answered.refused, now)
    headers = {"Location": f"/orgs/{call.org_id}/reports/{answered.job.report_id}"}
    if answered.decision is not None:
        headers |= rate_limit_fields(answered.decision, now)
    return call.answer(202 if answered.made else 200, report_body(answered.job), headers=headers)


@edge.route("GET", "/orgs/<org>/reports", READ)
def list_reports(call: Call) -> Response:
    """Show one page of an organisation's reports, without links."""
    query = call.query(PageQuery)
    listing = f"reports:{call.org_id}"
    after = decode_cursor(listing, query.cursor, {"before": str})
    store = open_store()
    store.organisations.get(call.org_id)
    page = store.reports.page(call.org_id, limit=query.limit, after=after)
    items = [report_body(job) for job in page.items]
    return call.answer(200, {"items": items, "next": encode_cursor(listing, page.next)})


@edge.route("GET", "/orgs/<org>/reports/<report>", READ)
def get_report(call: Call) -> Response:
    """Show a report, with a new link to it where it is made."""
    call.query(NoQuery)
    store = open_store()
    job = store.reports.get(call.org_id, call.ids["report"])
    return call.answer(200, report_body(job, store.report_files.link(job, datetime.now(UTC))))


@edge.route("POST", "/orgs/<org>/reports/<report>/cancel", WRITE)
def cancel_report(call: Call) -> Response:
    """Give a report up."""
    call.query(NoQuery)
    call.no_body()
    return call.answer(200, report_body(open_store().reports.cancel(call.org_id, call.ids["report"])))


@edge.route("GET", "/orgs/<org>/report-schedules", READ)
def list_schedules(call: Call) -> Response:
    """Show an organisation's schedules."""
    call.query(NoQuery)
    store = open_store()
    store.organisations.get(call.org_id)
    page = store.schedules.page(call.org_id)
    return call.answer(200, {"items": [schedule_body(schedule) for schedule in page.items], "next": None})


@edge.route("GET", "/orgs/<org>/report-schedules/<schedule>", READ)
def get_schedule(call: Call) -> Response:
    """Show a schedule."""
    call.query(NoQuery)
    return call.answer(200, schedule_body(open_store().schedules.get(call.org_id, call.ids["schedule"])))


@edge.route("PUT", "/orgs/<org>/report-schedules/<schedule>", ADMINISTER)
def put_schedule(call: Call) -> Response:
    """Set up a schedule, or replace what it makes."""
    call.query(NoQuery)
    wanted = call.body(ScheduleBody)
    schedule, created = open_store().schedules.put(
        call.org_id,
        call.ids["schedule"],
        user_id=wanted.user_id,
        every=Every(wanted.every),
        at_minutes=wanted.at_minutes,
        report=scheduled_report(wanted.report),
        spec_of=spec_of,
    )
    return call.answer(201 if created else 200, schedule_body(schedule))


@edge.route("DELETE", "/orgs/<org>/report-schedules/<schedule>", ADMINISTER)
def delete_schedule(call: Call) -> Response:
    """End a schedule."""
    call.query(NoQuery)
    call.no_body()
    return call.answer(200, schedule_body(open_store().schedules.delete(call.org_id, call.ids["schedule"])))
