"""`GET` and `PUT /orgs/{org}/alerts`, their history, a test, and a new secret for the webhook."""

from cutlass.api.alert_models import AlertsBody, alert_body, settings_body
from cutlass.api.auth import Access, Role, Scope
from cutlass.api.models import NoQuery, PageQuery
from cutlass.api.paging import decode_cursor, encode_cursor
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.notifications.targets import read_target
from cutlass.storage import open_store

edge = Edge()
handler = edge.handler

READ = Access(Scope.USAGE_READ)
SETTINGS = Access(Scope.USAGE_READ, member_role=Role.ADMIN)
"""A webhook's address may be a secret by itself, so not every member sees the settings."""
WRITE = Access(Scope.ADMIN, member_role=Role.ADMIN)


@edge.route("GET", "/orgs/<org>/alerts", SETTINGS)
def get_alerts(call: Call) -> Response:
    """Show what an organisation is told of."""
    call.query(NoQuery)
    return call.answer(200, settings_body(call.org_id, open_store().alert_settings.get(call.org_id)))


@edge.route("PUT", "/orgs/<org>/alerts", WRITE)
def put_alerts(call: Call) -> Response:
    """Replace what an organisation is told of."""
    call.query(NoQuery)
    wanted = call.body(AlertsBody)
    settings, store = wanted.settings(), open_store()
    url = wanted.webhook.url if wanted.webhook else None
    if url is not None:
        read_target(url, loopback=store.settings.loopback_webhooks)
    view = store.alert_settings.put(call.org_id, settings, webhook_url=url)
    return call.answer(200, settings_body(call.org_id, view))


@edge.route("GET", "/orgs/<org>/alerts/history", READ)
def get_history(call: Call) -> Response:
    """Show one page of an organisation's alerts."""
    query = call.query(PageQuery)
    listing = f"alerts:{call.org_id}"
    after = decode_cursor(listing, query.cursor, {"alert": str})
    page = open_store().alerts.history(call.org_id, limit=query.limit, after=after)
    items = [alert_body(alert) for alert in page.items]
    return call.answer(200, {"items": items, "next": encode_cursor(listing, page.next)})


@edge.route("POST", "/orgs/<org>/alerts/test", WRITE)
def tell_test(call: Call) -> Response:
    """Tell everyone an alert that nothing crossed."""
    call.query(NoQuery)
    call.no_body()
    return call.answer(202, alert_body(open_store().alerts.test(call.org_id)))


@edge.route("POST", "/orgs/<org>/alerts/webhook/secret", WRITE)
def rotate_secret(call: Call) -> Response:
    """Give the webhook a new secret."""
    call.query(NoQuery)
    call.no_body()
    return call.answer(200, settings_body(call.org_id, open_store().alert_settings.rotate(call.org_id)))
