"""The gateway of one region, as an ASGI application."""

import json
import logging
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import yaml
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response as HttpResponse
from starlette.types import Receive, Scope, Send

from cutlass.api.errors import GatewayTimeoutError, MethodNotAllowedError
from cutlass.api.problems import problem_response
from cutlass.contracts import load_openapi, load_operations
from cutlass.domain.errors import CutlassError, NotFoundError, PayloadTooLargeError
from cutlass.platform.gateway.callers import Callers
from cutlass.platform.gateway.events import Answer, Request, answer, proxy_event
from cutlass.platform.gateway.routes import Route, Routes
from cutlass.platform.gateway.validation import RequestValidator
from cutlass.platform.runtime import FunctionError, FunctionTimeoutError, Runtime

MAX_BODY_BYTES = 64 * 1024

_access = logging.getLogger("cutlass.access")
_log = logging.getLogger(__name__)


class Gateway:
    """Turns HTTP into proxy events, as API Gateway does with the same OpenAPI document."""

    def __init__(self, runtime: Runtime, region: str, aws_region: str) -> None:
        document = load_openapi()
        self._runtime = runtime
        self._region = region
        self._aws_region = aws_region
        self._routes = Routes(document, load_operations())
        self._validators = {
            route.operation.operation_id: RequestValidator(route, document) for route in self._routes.all
        }
        self._callers = Callers(runtime, region, aws_region)
        self._own = {
            "/openapi.json": _document("application/json", json.dumps(document)),
            "/openapi.yaml": _document("application/yaml", yaml.safe_dump(document, sort_keys=False)),
        }
        self._counts = {"requests": 0, "decisions": 0, "failures": 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = time.monotonic()
        request_id = str(uuid.uuid4())
        log: dict[str, Any] = {"request_id": request_id, "region": self._region, "method": scope["method"]}
        try:
            reply = await self._reply(HttpRequest(scope, receive), request_id, log)
        except ClientDisconnect:
            return
        response = _http_response(reply, request_id, bodiless=scope["method"] == "HEAD")
        self._count(reply.status, log)
        with suppress(ConnectionError):
            await response(scope, receive, send)
        log |= {"status": reply.status, "bytes": len(reply.body)}
        _access.info(json.dumps(log | {"ms": round(1000 * (time.monotonic() - started), 1)}))

    async def _reply(self, http: HttpRequest, request_id: str, log: dict[str, Any]) -> Answer:
        try:
            return await self._answer(http, request_id, log)
        except FunctionTimeoutError as error:
            _log.error("%s: %s", request_id, error.message)
            problem: CutlassError | None = GatewayTimeoutError(
                "the function did not answer in time", hint="send it again with the same request id"
            )
        except FunctionError as error:
            _log.error("%s: %s", request_id, error.message, exc_info=error.__cause__)
            problem = None
        except CutlassError as error:
            problem = error
        except ClientDisconnect:
            raise
        except Exception:  # noqa: BLE001 (a bug of ours is a 500 to the caller, and a traceback in the log)
            _log.exception("%s: the gateway failed", request_id)
            problem = None
        return answer(problem_response(problem, request_id=request_id))

    async def _answer(self, http: HttpRequest, request_id: str, log: dict[str, Any]) -> Answer:
        raw_path = _raw_path(http.scope)
        if raw_path in self._own and http.method == "GET":
            return self._own[raw_path]
        if raw_path == "/_cutlass/counts" and http.method == "GET":
            return _document("application/json", json.dumps(self._counts))
        route, path_values = self._route(http.method, raw_path)
        log["route"] = route.operation.path
        log["function"] = route.operation.function
        request = Request(
            request_id=request_id,
            method=http.method,
            raw_path=raw_path,
            query=parse_qs(http.scope["query_string"].decode("latin-1"), keep_blank_values=True),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in http.scope["headers"]],
            body=await _limited_body(http),
            source_ip=http.client.host if http.client else "",
            at=datetime.now(UTC),
        )
        resource = route.operation.path
        caller = None
        if route.secured:
            caller = await self._callers.identify(request, resource, path_values)
            log["principal"] = caller.get("principalId")
        self._validators[route.operation.operation_id].check(
            path=path_values, query=request.query, headers=request.header_map(), body=request.body
        )
        event = proxy_event(
            request,
            region=self._region,
            aws_region=self._aws_region,
            resource=resource,
            path_values=path_values,
            authorizer=caller,
        )
        return answer(await self._runtime.invoke_async(route.operation.function, event))

    def _route(self, method: str, raw_path: str) -> tuple[Route, Mapping[str, str]]:
        match = self._routes.match(raw_path)
        if match is None:
            raise NotFoundError("there is no such route", hint="GET /openapi.json lists the routes")
        if method not in match.routes:
            allowed = sorted(match.routes)
            raise MethodNotAllowedError(f"the route takes {', '.join(allowed)}", allowed=allowed)
        return match.routes[method], match.values[method]

    def _count(self, status: int, log: Mapping[str, Any]) -> None:
        self._counts["requests"] += 1
        self._counts["failures"] += status >= 500
        self._counts["decisions"] += status == 200 and log.get("function") == "usage-check"


async def _limited_body(http: HttpRequest) -> bytes:
    """Read the body, but never more than the limit and one chunk."""
    too_large = PayloadTooLargeError(f"the body is larger than {MAX_BODY_BYTES} bytes", hint="send less at once")
    length = http.headers.get("content-length", "")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    async for chunk in http.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    return bytes(body)


def _http_response(reply: Answer, request_id: str, *, bodiless: bool) -> HttpResponse:
    """Return the answer as HTTP; without its body, but with its length, where HEAD asked for it."""
    headers = {"X-Request-Id": request_id, "Content-Length": str(len(reply.body))}
    response = HttpResponse(b"" if bodiless else reply.body, reply.status, headers)
    for name, value in reply.headers:
        if name.lower() not in ("x-request-id", "content-length"):
            response.headers.append(name, value)
    return response


def _raw_path(scope: Scope) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")


def _document(media: str, text: str) -> Answer:
    return Answer(200, (("Content-Type", media), ("Cache-Control", "no-store")), text.encode())
