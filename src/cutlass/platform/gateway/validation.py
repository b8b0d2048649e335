"""Checks requests against the OpenAPI document, as API Gateway's request validators do.

The functions check again, and more (duplicate keys, floats that are whole, rules between fields): in AWS too
a request may reach them without having passed here.
"""

import json
from collections.abc import Mapping
from typing import Any

import jsonschema_rs

from cutlass.domain.errors import InvalidRequestError
from cutlass.platform.gateway.routes import Route
from cutlass.platform.gateway.schemas import with_components

_JSON = "application/json"


class RequestValidator:
    """Checks the parameters and the body of one route's requests."""

    def __init__(self, route: Route, document: Mapping[str, Any]) -> None:
        self._parameters = [
            _Parameter(_resolved(parameter, document), document) for parameter in route.specification["parameters"]
        ]
        body = _resolved(route.specification.get("requestBody", {}), document)
        content = body.get("content", {}).get(_JSON)
        self._body_required = bool(body.get("required"))
        self._body = None if content is None else _compiled(content["schema"], document)

    def check(
        self,
        *,
        path: Mapping[str, str],
        query: Mapping[str, list[str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> None:
        """Raise `InvalidRequestError`, naming the first field that is wrong.

        A body that does not call itself JSON is left to the function, which answers 415: API Gateway passes
        a media type on for which it has no model.
        """
        for parameter in self._parameters:
            parameter.check(path=path, query=query, headers=headers)
        if self._body is None or media_type(headers) not in (_JSON, ""):
            return
        if not body:
            if self._body_required:
                raise InvalidRequestError("the body is missing", field="body")
            return
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            reason = (
                error.msg if isinstance(error, json.JSONDecodeError) else "it is not UTF-8, or nested too deeply"
            )
            raise InvalidRequestError(f"the body is not JSON: {reason}", field="body") from None
        _check(self._body, value, "")


def media_type(headers: Mapping[str, str]) -> str:
    """Return the media type of the body, without its parameters."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


class _Parameter:
    def __init__(self, parameter: Mapping[str, Any], document: Mapping[str, Any]) -> None:
        self._name = str(parameter["name"])
        self._in = str(parameter["in"])
        self._required = bool(parameter.get("required"))
        schema = _resolved(parameter.get("schema", {}), document)
        self._type = schema.get("type", "string")
        self._schema = _compiled(schema, document)

    def check(
        self, *, path: Mapping[str, str], query: Mapping[str, list[str]], headers: Mapping[str, str]
    ) -> None:
        if self._in == "query":
            values = query.get(self._name, [])
            if len(values) > 1 and self._type != "array":
                raise InvalidRequestError(f"{self._name} is given {len(values)} times", field=self._name)
        else:
            source = path if self._in == "path" else headers
            name = self._name.lower() if self._in == "header" else self._name
            values = [source[name]] if name in source else []
        if not values:
            if self._required:
                raise InvalidRequestError(f"{self._name} is missing", field=self._name)
            return
        _check(self._schema, values if self._type == "array" else _typed(values[0], self._type), self._name)


def _typed(text: str, kind: str) -> Any:
    """Return the value a parameter's text stands for; the text itself if it stands for none of that type."""
    if kind in ("integer", "number") and text.removeprefix("-").isdecimal() and text.isascii():
        return int(text) if len(text) < 30 else text
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


def _compiled(schema: Any, document: Mapping[str, Any]) -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(with_components(schema, document), validate_formats=False)


def _check(validator: jsonschema_rs.Draft7Validator, value: Any, name: str) -> None:
    error = next(iter(validator.iter_errors(value)), None)
    if error is None:
        return
    path = [*([name] if name else []), *(str(part) for part in error.instance_path)]
    kind: Any = error.kind
    if kind.name == "required":
        path.append(str(kind.property))
        reason = "is missing"
    elif kind.name == "additionalProperties":
        path.append(str(kind.unexpected[0]))
        reason = "is not known here"
    else:
        reason = _reason(kind)
    field = ".".join(path) or "body"
    raise InvalidRequestError(f"{field} {reason}"[:500], field=field[:200])


def _reason(kind: Any) -> str:
    """Return what is wrong, without the value: it may be large, or a secret in the wrong place."""
    limit = getattr(kind, "limit", None)
    reasons = {
        "type": lambda: f"must be {' or '.join(kind.types)}",
        "pattern": lambda: f"must match {kind.pattern}",
        "enum": lambda: f"must be one of: {', '.join(str(option) for option in kind.options)}",
        "minimum": lambda: f"must be at least {limit}",
        "maximum": lambda: f"must be at most {limit}",
        "minLength": lambda: f"must have at least {limit} characters",
        "maxLength": lambda: f"must have at most {limit} characters",
        "minItems": lambda: f"must have at least {limit} items",
        "maxItems": lambda: f"must have at most {limit} items",
        "minProperties": lambda: f"must have at least {limit} properties",
        "maxProperties": lambda: f"must have at most {limit} properties",
    }
    return reasons[kind.name]() if kind.name in reasons else "is not valid"


def _resolved(value: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in value:
        target: Any = document
        for part in str(value["$ref"]).removeprefix("#/").split("/"):
            target = target[part]
        value = target
    return value
