"""`POST /orgs/{org}/users/{user}/refunds`."""

from cutlass.api.auth import Access, Scope
from cutlass.api.idempotency import idempotency_key
from cutlass.api.models import NoQuery, RefundBody
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.api.views import refund_body
from cutlass.domain.errors import InvalidRequestError
from cutlass.storage import open_store

edge = Edge()
handler = edge.handler


@edge.route("POST", "/orgs/<org>/users/<user>/refunds", Access(Scope.CREDITS_WRITE, member_role=None))
def create_refund(call: Call) -> Response:
    """Give back what a request was charged, or a part of it."""
    call.query(NoQuery)
    wanted, key = call.body(RefundBody), idempotency_key(call.event)
    if key is not None and wanted.refund_id not in (None, key):
        raise InvalidRequestError("refund_id and Idempotency-Key differ; send one of them", field="refund_id")
    view, created = open_store().refunds.create(
        call.org_id,
        call.user_id,
        request_id=wanted.request_id,
        meter=wanted.meter,
        units=wanted.units,
        reason=wanted.reason,
        refund_id=wanted.refund_id or key,
    )
    return call.answer(201 if created else 200, refund_body(view))
