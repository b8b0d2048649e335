"""`GET` and `PUT /orgs/{org}/users/{user}`."""

from cutlass.api.auth import Access, Role, Scope
from cutlass.api.models import NoQuery, UserBody
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.api.views import user_body
from cutlass.storage import open_store

edge = Edge()
handler = edge.handler


@edge.route("GET", "/orgs/<org>/users/<user>", Access(Scope.USAGE_READ))
def get_user(call: Call) -> Response:
    """Show a user."""
    call.query(NoQuery)
    return call.answer(200, user_body(open_store().organisations.get_user(call.org_id, call.user_id)))


@edge.route("PUT", "/orgs/<org>/users/<user>", Access(Scope.ADMIN, member_role=Role.ADMIN))
def put_user(call: Call) -> Response:
    """Create or replace a user."""
    call.query(NoQuery)
    wanted = call.body(UserBody)
    user, created = open_store().organisations.put_user(
        call.org_id, call.user_id, limits=wanted.limits, usual_region=wanted.usual_region
    )
    if created:
        location = f"/orgs/{call.org_id}/users/{call.user_id}"
        return call.answer(201, user_body(user), headers={"Location": location})
    return call.answer(200, user_body(user))
