"""`GET` and `POST /orgs/{org}/grants`, `POST /orgs/{org}/grants/{grant}/void`."""

from cutlass.api.auth import Access, Scope
from cutlass.api.idempotency import idempotency_key
from cutlass.api.models import GrantBody, GrantsQuery, NoQuery
from cutlass.api.paging import decode_cursor, encode_cursor
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.api.views import grant_body
from cutlass.domain.grants import Category
from cutlass.storage import open_store

edge = Edge()
handler = edge.handler

WRITE = Access(Scope.CREDITS_WRITE, member_role=None)


@edge.route("GET", "/orgs/<org>/grants", Access(Scope.USAGE_READ))
def list_grants(call: Call) -> Response:
    """Show one page of an organisation's grants."""
    query = call.query(GrantsQuery)
    listing = f"grants:{call.org_id}:{query.meter or ''}"
    after = decode_cursor(listing, query.cursor, {"after": str})
    page = open_store().grants.page(call.org_id, meter=query.meter, limit=query.limit, after=after)
    items = [grant_body(view) for view in page.items]
    return call.answer(200, {"items": items, "next": encode_cursor(listing, page.next)})


@edge.route("POST", "/orgs/<org>/grants", WRITE)
def create_grant(call: Call) -> Response:
    """Grant credits."""
    call.query(NoQuery)
    key = idempotency_key(call.event)
    wanted = call.body(GrantBody)
    view, created = open_store().grants.create(
        call.org_id,
        meter=wanted.meter,
        amount=wanted.amount,
        priority=wanted.priority,
        category=Category(wanted.category),
        effective_at=wanted.effective_at,
        expires_at=wanted.expires_at,
        user_id=wanted.user_id,
        idempotency_key=key,
    )
    return call.answer(201 if created else 200, grant_body(view))


@edge.route("POST", "/orgs/<org>/grants/<grant>/void", WRITE)
def void_grant(call: Call) -> Response:
    """End a grant."""
    call.query(NoQuery)
    call.no_body()
    return call.answer(200, grant_body(open_store().grants.void(call.org_id, call.ids["grant"])))
