"""`POST /reservations`, `GET /reservations/{reservation}`, and its ends: `commit` and `release`."""

from datetime import UTC, datetime

from cutlass.api.auth import Access, CallerKind, Scope
from cutlass.api.idempotency import request_id
from cutlass.api.models import CommitBody, NoQuery, ReservationBody
from cutlass.api.ratelimit import rate_limit_fields
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.api.views import reservation_body, reserved_body
from cutlass.domain.decisions import DecisionRequest
from cutlass.domain.errors import InvalidRequestError
from cutlass.domain.reservations import REPORT_PREFIX
from cutlass.storage import open_store
from cutlass.storage.reservations import Reserved

edge = Edge()
handler = edge.handler

ACCESS = Access(Scope.USAGE_CHECK)


@edge.route("POST", "/reservations", ACCESS)
def reserve(call: Call) -> Response:
    """Set units aside."""
    call.query(NoQuery)
    wanted = call.body(ReservationBody)
    call.auth.require_organisation(wanted.org_id)
    identity = request_id(call.event, wanted.request_id)
    if identity is not None and identity.startswith(REPORT_PREFIX):
        raise InvalidRequestError(
            f"request ids of reservations must not begin with {REPORT_PREFIX}", field="request_id"
        )
    asked = DecisionRequest(wanted.org_id, wanted.user_id, wanted.feature, wanted.units, identity)
    return _answer(call, open_store().reservations.reserve(asked, ttl_seconds=wanted.ttl_seconds))


@edge.route("GET", "/reservations/<reservation>", ACCESS)
def get_reservation(call: Call) -> Response:
    """Show a reservation."""
    call.query(NoQuery)
    found = open_store().reservations.get(call.ids["reservation"], org_id=_only_org(call))
    return call.answer(200, reservation_body(found))


@edge.route("POST", "/reservations/<reservation>/commit", ACCESS)
def commit(call: Call) -> Response:
    """End a reservation with what its work cost."""
    call.query(NoQuery)
    cost = call.body(CommitBody, optional=True).units
    return _answer(call, open_store().reservations.commit(call.ids["reservation"], cost, org_id=_only_org(call)))


@edge.route("POST", "/reservations/<reservation>/release", ACCESS)
def release(call: Call) -> Response:
    """Give a reservation back."""
    call.query(NoQuery)
    call.no_body()
    released = open_store().reservations.release(call.ids["reservation"], org_id=_only_org(call))
    return call.answer(200, reservation_body(released))


def _answer(call: Call, reserved: Reserved) -> Response:
    headers = rate_limit_fields(reserved.decision, datetime.now(UTC))
    return call.answer(200, reserved_body(reserved), headers=headers)


def _only_org(call: Call) -> str | None:
    """The only organisation whose reservations the caller may see: a member's own. Others do not exist to it."""
    return call.auth.org_id if call.auth.kind is CallerKind.MEMBER else None
