"""The events API Gateway (REST, proxy integration) hands to functions, and what it makes of their answers."""

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from cutlass.platform.local import ACCOUNT, ENVIRONMENT
from cutlass.platform.runtime import FunctionError

_API_ID = "cutlass"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came in, read whole.

    Attributes
    ----------
    raw_path : str
        The path, still percent-encoded.
    headers : sequence of (str, str)
        Names in lower case, in order, with repetitions.
    query : mapping of str to list of str
        Decoded.
    """

    request_id: str
    method: str
    raw_path: str
    query: Mapping[str, list[str]]
    headers: Sequence[tuple[str, str]]
    body: bytes
    source_ip: str
    at: datetime

    def header_map(self) -> dict[str, str]:
        """Return the headers by name in lower case, the last of each."""
        return dict(self.headers)


def proxy_event(
    request: Request,
    *,
    region: str,
    aws_region: str,
    resource: str,
    path_values: Mapping[str, str],
    authorizer: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return the event of a REST API's proxy integration (format 1.0).

    Parameters
    ----------
    resource : str
        The route's path, with its parameters' names.
    path_values : mapping
        Their values.
    authorizer : mapping or None
        What the authorizer said of the caller.
    """
    context = _request_context(request, region=region, aws_region=aws_region, resource=resource)
    if authorizer is not None:
        context["authorizer"] = dict(authorizer)
    body, encoded = _body(request.body)
    return _common(request, resource=resource, path_values=path_values) | {
        "requestContext": context,
        "stageVariables": None,
        "body": body,
        "isBase64Encoded": encoded,
    }


def authorizer_event(
    request: Request, *, region: str, aws_region: str, resource: str, path_values: Mapping[str, str]
) -> dict[str, Any]:
    """Return the event of an authorizer of type REQUEST."""
    return _common(request, resource=resource, path_values=path_values) | {
        "type": "REQUEST",
        "methodArn": method_arn(request, aws_region),
        "requestContext": _request_context(request, region=region, aws_region=aws_region, resource=resource),
        "stageVariables": None,
    }


def method_arn(request: Request, aws_region: str) -> str:
    """Return the name of what is called, as IAM policies see it."""
    path = unquote(request.raw_path).lstrip("/")
    return f"arn:aws:execute-api:{aws_region}:{ACCOUNT}:{_API_ID}/{ENVIRONMENT}/{request.method}/{path}"


def policy_allows(policy: Any, arn: str) -> bool:
    """Tell whether an IAM policy allows calling `arn`: some statement does, and none denies it."""
    statements = policy.get("Statement", []) if isinstance(policy, dict) else []
    effects = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        actions, resources = statement.get("Action", []), statement.get("Resource", [])
        if _matches(actions, "execute-api:Invoke") and _matches(resources, arn):
            effects.add(statement.get("Effect"))
    return "Allow" in effects and "Deny" not in effects


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gateway sends back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def answer(result: Any) -> Answer:
    """Return what the gateway makes of a function's result.

    Raises
    ------
    FunctionError
        The result is not the answer of a proxy integration.
    """
    status = result.get("statusCode") if isinstance(result, dict) else None
    if type(status) is not int or not 200 <= status <= 599:
        raise FunctionError("the result is not that of a proxy integration")
    headers = [(name, str(value)) for name, value in (result.get("headers") or {}).items()]
    several = result.get("multiValueHeaders") or {}
    headers = [(name, value) for name, value in headers if name not in several]
    headers += [(name, str(value)) for name, values in several.items() for value in values]
    body = "" if result.get("body") is None else result["body"]
    if not isinstance(body, str):
        raise FunctionError("the body of a proxy integration's result is not text")
    content = base64.b64decode(body) if result.get("isBase64Encoded") else body.encode()
    return Answer(status, tuple(headers), content)


def _common(request: Request, *, resource: str, path_values: Mapping[str, str]) -> dict[str, Any]:
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        headers.setdefault(name.title(), []).append(value)
    return {
        "resource": resource,
        "path": unquote(request.raw_path),
        "httpMethod": request.method,
        "headers": {name: values[-1] for name, values in headers.items()} or None,
        "multiValueHeaders": headers or None,
        "queryStringParameters": {name: values[-1] for name, values in request.query.items()} or None,
        "multiValueQueryStringParameters": dict(request.query) or None,
        "pathParameters": dict(path_values) or None,
    }


def _request_context(request: Request, *, region: str, aws_region: str, resource: str) -> dict[str, Any]:
    headers = request.header_map()
    return {
        "accountId": ACCOUNT,
        "apiId": _API_ID,
        "domainName": headers.get("host", ""),
        "domainPrefix": region,
        "extendedRequestId": request.request_id,
        "httpMethod": request.method,
        "identity": {"sourceIp": request.source_ip, "userAgent": headers.get("user-agent")},
        "path": f"/{ENVIRONMENT}{unquote(request.raw_path)}",
        "protocol": "HTTP/1.1",
        "requestId": request.request_id,
        "requestTime": request.at.astimezone(UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": int(request.at.timestamp() * 1000),
        "resourceId": aws_region,
        "resourcePath": resource,
        "stage": ENVIRONMENT,
    }


def _body(body: bytes) -> tuple[str | None, bool]:
    if not body:
        return None, False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


def _matches(patterns: Any, value: str) -> bool:
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        expression = "".join(".*" if part == "*" else "." if part == "?" else re.escape(part) for part in pattern)
        if re.fullmatch(expression, value, re.DOTALL):
            return True
    return False
