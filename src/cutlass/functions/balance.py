"""`GET /orgs/{org}/balance` and `GET /orgs/{org}/users/{user}/balance`."""

from cutlass.api.auth import Access, Scope
from cutlass.api.models import NoQuery
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.api.views import balance_body
from cutlass.storage import open_store

edge = Edge()
handler = edge.handler


@edge.route("GET", "/orgs/<org>/balance", Access(Scope.USAGE_READ))
def get_organisation_balance(call: Call) -> Response:
    """Show what an organisation has left."""
    call.query(NoQuery)
    return call.answer(200, balance_body(open_store().balances.organisation(call.org_id)))


@edge.route("GET", "/orgs/<org>/users/<user>/balance", Access(Scope.USAGE_READ))
def get_user_balance(call: Call) -> Response:
    """Show what a user has left."""
    call.query(NoQuery)
    return call.answer(200, balance_body(open_store().balances.user(call.org_id, call.user_id)))
