"""`GET /orgs/{org}/ledger`."""

from datetime import UTC, datetime

from cutlass.api.auth import Access, Scope
from cutlass.api.models import LedgerQuery
from cutlass.api.paging import decode_cursor, encode_cursor
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.api.spans import span
from cutlass.api.views import ledger_body
from cutlass.storage import open_store

edge = Edge()
handler = edge.handler


@edge.route("GET", "/orgs/<org>/ledger", Access(Scope.USAGE_READ))
def get_ledger(call: Call) -> Response:
    """Show one page of the ledger."""
    query = call.query(LedgerQuery)
    listing = f"ledger:{call.org_id}"
    after = decode_cursor(listing, query.cursor, {"at": int, "region": str, "id": str})
    store = open_store()
    start, end = span(query, store.organisations.get(call.org_id), datetime.now(UTC))
    page = store.ledger.page(call.org_id, start, end, limit=query.limit, after=after, user_id=query.user_id)
    items = [ledger_body(entry) for entry in page.items]
    return call.answer(200, {"items": items, "next": encode_cursor(listing, page.next)})
