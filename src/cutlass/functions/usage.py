"""`GET /orgs/{org}/usage`."""

from datetime import UTC, datetime

from cutlass.api.auth import Access, Scope
from cutlass.api.models import UsageQuery
from cutlass.api.paging import decode_cursor, encode_cursor
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.api.spans import span
from cutlass.api.views import usage_body
from cutlass.storage import open_store

edge = Edge()
handler = edge.handler


@edge.route("GET", "/orgs/<org>/usage", Access(Scope.USAGE_READ))
def get_usage(call: Call) -> Response:
    """Show one page of usage."""
    query = call.query(UsageQuery)
    listing = f"usage:{call.org_id}:{query.group_by}"
    after = decode_cursor(listing, query.cursor, {"meter": str, "group": str})
    store = open_store()
    start, end = span(query, store.organisations.get(call.org_id), datetime.now(UTC))
    page = store.usage.page(
        call.org_id,
        start,
        end,
        group_by=query.group_by,
        meter=query.meter,
        limit=query.limit,
        after=after,
    )
    items = [usage_body(row) for row in page.items]
    return call.answer(200, {"items": items, "next": encode_cursor(listing, page.next)})
