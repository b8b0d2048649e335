"""Decides: `POST /usage-check` and `POST /usage-check/batch`.

The path of every decision, so it starts and runs lean: no boto3, no model library, no router (measured in
`docs/api.md`). A test holds the list of what it may import.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from cutlass.api.auth import Access, AuthContext, Scope
from cutlass.api.bodies import json_body
from cutlass.api.checks import read_batch, read_check
from cutlass.api.decisions import decision_body
from cutlass.api.errors import MethodNotAllowedError
from cutlass.api.idempotency import HEADER, idempotency_key, request_id
from cutlass.api.log import log_failure
from cutlass.api.problems import internal_problem, problem_body, problem_response
from cutlass.api.ratelimit import rate_limit_fields
from cutlass.api.responses import Response, json_response
from cutlass.domain.decisions import DecisionRequest
from cutlass.domain.errors import CutlassError, InvalidRequestError, NotFoundError
from cutlass.storage import Store, open_store

ACCESS = Access(Scope.USAGE_CHECK)
"""Who may ask for decisions."""

BATCH_THREADS = 8
"""How many requests of a batch are decided side by side."""


def handler(event: dict[str, Any], context: object) -> Response:  # noqa: ARG001 (Lambda passes it)
    """Answer an API Gateway proxy event."""
    request = (event.get("requestContext") or {}).get("requestId")
    try:
        return _answer(event, request)
    except CutlassError as error:
        if error.status >= 500:
            log_failure(event, error.status)
        return problem_response(error, request_id=request)
    except Exception:  # noqa: BLE001 (a bug must still be answered, and is logged)
        log_failure(event, 500)
        return problem_response(None, request_id=request)


def _answer(event: Mapping[str, Any], request: str | None) -> Response:
    if event.get("httpMethod") != "POST":
        raise MethodNotAllowedError("a usage check is asked for with POST", allowed=["POST"])
    auth = AuthContext.from_event(event)
    auth.require(ACCESS)
    path = str(event.get("path", "")).rstrip("/")
    if path.endswith("/usage-check/batch"):
        return _batch(event, auth, request)
    if path.endswith("/usage-check"):
        return _single(event, auth, request)
    raise NotFoundError("there is no such route")


def _single(event: Mapping[str, Any], auth: AuthContext, request: str | None) -> Response:
    asked = read_check(json_body(event))
    asked = DecisionRequest(
        asked.org_id, asked.user_id, asked.feature, asked.units, request_id(event, asked.request_id)
    )
    auth.require_organisation(asked.org_id)
    decision = open_store().decider.decide(asked)
    headers = rate_limit_fields(decision, datetime.now(UTC))
    return json_response(200, decision_body(decision), headers=headers, request_id=request)


def _batch(event: Mapping[str, Any], auth: AuthContext, request: str | None) -> Response:
    if idempotency_key(event) is not None:
        raise InvalidRequestError(
            f"a batch takes no {HEADER}", field=HEADER, hint="give each item its own request_id"
        )
    asked = read_batch(json_body(event))
    store = open_store()
    with ThreadPoolExecutor(max_workers=min(BATCH_THREADS, len(asked))) as pool:
        items = list(pool.map(lambda item: _item(event, auth, store, item), asked))
    return json_response(200, {"items": items}, request_id=request)


def _item(event: Mapping[str, Any], auth: AuthContext, store: Store, asked: DecisionRequest) -> dict[str, Any]:
    try:
        auth.require_organisation(asked.org_id)
        return decision_body(store.decider.decide(asked))
    except CutlassError as error:
        if error.status >= 500:
            log_failure(event, error.status)
        return problem_body(error)
    except Exception:  # noqa: BLE001 (the other items were decided and must be answered)
        log_failure(event, 500)
        return internal_problem()
