"""`GET /plans`."""

from cutlass.api.auth import Access
from cutlass.api.models import NoQuery
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.api.views import catalogue_body
from cutlass.contracts import load_catalogue

edge = Edge()
handler = edge.handler


@edge.route("GET", "/plans", Access(scope=None))
def list_plans(call: Call) -> Response:
    """Show the plan catalogue."""
    call.query(NoQuery)
    return call.answer(200, catalogue_body(load_catalogue()))
