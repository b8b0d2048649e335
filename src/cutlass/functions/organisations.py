"""`GET` and `PUT /orgs/{org}`."""

from datetime import UTC, datetime

from cutlass.api.auth import Access, Scope
from cutlass.api.models import NoQuery, OrganisationBody
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.api.views import organisation_body
from cutlass.domain.organisations import Status
from cutlass.storage import open_store

edge = Edge()
handler = edge.handler


@edge.route("GET", "/orgs/<org>", Access(Scope.USAGE_READ))
def get_organisation(call: Call) -> Response:
    """Show an organisation."""
    call.query(NoQuery)
    organisation = open_store().organisations.get(call.org_id)
    return call.answer(200, organisation_body(organisation, datetime.now(UTC)))


@edge.route("PUT", "/orgs/<org>", Access(Scope.ADMIN, member_role=None))
def put_organisation(call: Call) -> Response:
    """Create or replace an organisation."""
    call.query(NoQuery)
    wanted = call.body(OrganisationBody)
    organisation, created = open_store().organisations.put(
        call.org_id,
        plan=wanted.plan,
        home_region=wanted.home_region,
        period=wanted.period.rule(),
        status=Status(wanted.status),
    )
    body = organisation_body(organisation, datetime.now(UTC))
    if created:
        return call.answer(201, body, headers={"Location": f"/orgs/{call.org_id}"})
    return call.answer(200, body)
