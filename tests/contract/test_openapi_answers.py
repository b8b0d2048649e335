"""Whatever Schemathesis makes of the document, the handlers answer as the document says.

The store is made of dictionaries and the gateway is the few lines below; the end-to-end tests do the same with
the running platform.
"""

import http
import importlib
import urllib.parse
from base64 import b64encode
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from cutlass.api.errors import MethodNotAllowedError
from cutlass.api.problems import problem_response
from cutlass.contracts import Operation, load_functions, load_openapi, load_operations
from cutlass.domain.errors import CutlassError, NotFoundError, UnauthenticatedError
from tests.support.unsaid import unsaid
from tests.unit.functions.fakes import MODULES, SERVICE, event, seeded

TOKEN = "Bearer good"


def operation_at(method: str, path: str) -> Operation:
    parts = path.split("/")
    there = [
        operation
        for operation in load_operations()
        if len(operation.path.split("/")) == len(parts)
        and all(p.startswith("{") or p == given for p, given in zip(operation.path.split("/"), parts, strict=True))
    ]
    for operation in there:
        if operation.method == method:
            return operation
    if there:
        raise MethodNotAllowedError("no such method", allowed=[operation.method for operation in there])
    raise NotFoundError("no such route")


def answer(environ: dict[str, Any]) -> dict[str, Any]:
    raw = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    text = environ["PATH_INFO"].encode("latin1").decode("utf8", "replace")
    path = urllib.parse.quote(text, safe="/:@")
    try:
        operation = operation_at(environ["REQUEST_METHOD"], path)
        if operation.scopes is not None and environ.get("HTTP_AUTHORIZATION") != TOKEN:
            raise UnauthenticatedError("no token")
    except CutlassError as error:
        return problem_response(error, request_id="r-1")
    headers = {name[5:].replace("_", "-"): value for name, value in environ.items() if name.startswith("HTTP_")}
    if environ.get("CONTENT_TYPE"):
        headers["Content-Type"] = environ["CONTENT_TYPE"]
    query: dict[str, Any] = urllib.parse.parse_qs(environ["QUERY_STRING"], keep_blank_values=True)
    sent = event(operation.method, path, caller=SERVICE, query=query)
    sent |= {"headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()}}
    sent |= {"body": b64encode(raw).decode() if raw else None, "isBase64Encoded": bool(raw)}
    module = load_functions()[operation.function].handler.rpartition(".")[0]
    return importlib.import_module(module).handler(sent, None)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The gateway, as far as it matters here."""
    response = answer(environ)
    status = http.HTTPStatus(response["statusCode"])
    start_response(f"{status.value} {status.phrase}", list(response["headers"].items()))
    return [response["body"].encode()]


@pytest.fixture(scope="module", autouse=True)
def _store() -> Iterable[None]:
    fake = seeded()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUTLASS_REGION", "london")
        for name in MODULES:
            patch.setattr(importlib.import_module(f"cutlass.functions.{name}"), "open_store", lambda: fake)
        yield


schema = schemathesis.openapi.from_dict(load_openapi())
schema.app = app


@schema.parametrize()
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
def test_answers_fit_the_document(case: schemathesis.Case):
    case.call_and_validate(headers={"Authorization": TOKEN}, excluded_checks=unsaid(case))
