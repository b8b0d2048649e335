"""`GET` and `HEAD /health`, which look only at the region's fence, and `GET /ready`: at all a decision needs."""

import os
from collections.abc import Callable

from cutlass.api.auth import Access
from cutlass.api.log import log_failure
from cutlass.api.models import NoQuery
from cutlass.api.problems import PROBLEM_JSON, problem_body
from cutlass.api.resolver import Call, Edge
from cutlass.api.responses import Response
from cutlass.contracts import load_catalogue, load_topology
from cutlass.domain.errors import CutlassError, RegionFencedError, UnavailableError
from cutlass.storage import open_store

edge = Edge()
handler = edge.handler

RETRY_SECONDS = 5
"""When to look again at a region that is not ready."""


@edge.route("HEAD", "/health", None)
@edge.route("GET", "/health", None)
def get_health(call: Call) -> Response:
    """Answer, if no operator has fenced the region: then DNS has to send clients elsewhere."""
    region = os.environ.get("CUTLASS_REGION", "")
    if _fenced():
        raise RegionFencedError(f"{region} is out of service", hint="send requests to another region")
    return call.answer(200, {"status": "ok", "region": region})


@edge.route("GET", "/ready", Access(scope=None))
def get_readiness(call: Call) -> Response:
    """Ask every table, and read the contracts."""
    call.query(NoQuery)
    checks = {"contracts": _holds(call, _contracts)}
    try:
        store = open_store()
        checks |= store.ping()
        checks["not-fenced"] = not store.fenced()
    except CutlassError:
        log_failure(call.event, 503)
        checks["store"] = False
    if all(checks.values()):
        region = os.environ.get("CUTLASS_REGION", "")
        return call.answer(200, {"status": "ready", "region": region, "checks": checks})
    failed = ", ".join(sorted(name for name, holds in checks.items() if not holds))
    error = UnavailableError(f"the region is not ready: {failed}", retry_after=RETRY_SECONDS)
    headers = {"Content-Type": PROBLEM_JSON, "Retry-After": str(RETRY_SECONDS)}
    return call.answer(503, {**problem_body(error), "checks": checks}, headers=headers)


def _fenced() -> bool:
    """Whether the region is fenced; one that cannot even tell is not steered away from for that."""
    try:
        return open_store().fenced()
    except CutlassError:
        return False


def _contracts() -> None:
    load_catalogue()
    load_topology()


def _holds(call: Call, check: Callable[[], None]) -> bool:
    try:
        check()
    except CutlassError:
        log_failure(call.event, 503)
        return False
    return True
