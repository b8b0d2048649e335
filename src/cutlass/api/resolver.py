"""The set-up that the functions beside the decision share: Powertools' router, our checks and our problems.

A function module makes one `Edge`, adds its routes and exposes `handler`. A route function gets a `Call` and
returns a `Response`; by then the caller was let through, the ids in the path are ids and of an organisation the
caller may see.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

from aws_lambda_powertools.event_handler import APIGatewayRestResolver
from aws_lambda_powertools.event_handler import Response as RouterResponse
from pydantic import BaseModel, ValidationError

from cutlass.api.auth import Access, AuthContext
from cutlass.api.bodies import json_body, no_body, shown
from cutlass.api.errors import MethodNotAllowedError
from cutlass.api.log import log_failure
from cutlass.api.problems import problem_response
from cutlass.api.responses import Response, json_response
from cutlass.domain.errors import CutlassError, InvalidRequestError, NotFoundError
from cutlass.domain.ids import ID_PATTERN

_WORDS = (("Input should", "must"), ("a valid integer", "a whole number"), ("a valid string", "text"))

ModelT = TypeVar("ModelT", bound=BaseModel)


class Call:
    """One request that was let through.

    Attributes
    ----------
    event : dict
        The API Gateway proxy event.
    ids : dict of str to str
        The ids in the path, by name: `org`, `user`, `grant`, `reservation`.
    """

    def __init__(self, event: dict[str, Any], ids: Mapping[str, str]) -> None:
        self.event = event
        self.ids = ids

    @property
    def org_id(self) -> str:
        """The organisation in the path."""
        return self.ids["org"]

    @property
    def user_id(self) -> str:
        """The user in the path."""
        return self.ids["user"]

    @property
    def auth(self) -> AuthContext:
        """Who calls."""
        return AuthContext.from_event(self.event)

    def body(self, model: type[ModelT], *, optional: bool = False) -> ModelT:
        """Return the body as `model`; raises `InvalidRequestError` that names the field.

        Without any, an `optional` one is taken for an empty object.
        """
        return _validated(model, {} if optional and not self.event.get("body") else json_body(self.event))

    def query(self, model: type[ModelT]) -> ModelT:
        """Return the query string as `model`; raises `InvalidRequestError` that names the field."""
        several = self.event.get("multiValueQueryStringParameters") or {
            name: [value] for name, value in (self.event.get("queryStringParameters") or {}).items()
        }
        for name, values in several.items():
            if len(values) != 1:
                raise InvalidRequestError(f"{shown(name)} is given more than once", field=shown(name))
        return _validated(model, {name: values[0] for name, values in several.items()})

    def no_body(self) -> None:
        """Refuse a body where the route has none."""
        no_body(self.event)

    def answer(self, status: int, body: object, *, headers: Mapping[str, str] | None = None) -> Response:
        """Return a JSON answer."""
        return json_response(status, body, headers=headers, request_id=_request_id(self.event))


Route = Callable[[Call], Response]


class Edge:
    """The router of one function."""

    def __init__(self) -> None:
        self._resolver = APIGatewayRestResolver()
        self._resolver.not_found(self._not_found)
        self._methods: dict[str, list[str]] = {}

    def route(self, method: str, rule: str, access: Access | None) -> Callable[[Route], Route]:
        """Add a route: `rule` as Powertools writes paths (`/orgs/<org>`), `access` None for everybody."""

        def add(function: Route) -> Route:
            self._methods.setdefault(rule, []).append(method)

            def run(**ids: str) -> RouterResponse[str]:
                return _routed(self._run(function, access, ids))

            self._resolver.route(rule, method=method)(run)
            return function

        return add

    def handler(self, event: dict[str, Any], context: Any) -> Response:
        """Answer an API Gateway proxy event."""
        # The router puts the two kinds of header fields together itself; ours are all single.
        answer = self._resolver.resolve(event, context)
        headers = {name: values[0] for name, values in answer.pop("multiValueHeaders", {}).items()}
        return {**answer, "headers": headers}

    def _run(self, function: Route, access: Access | None, raw_ids: Mapping[str, str]) -> Response:
        event = self._resolver.current_event.raw_event
        try:
            ids = _allowed(event, access, raw_ids)
            return function(Call(event, ids))
        except CutlassError as error:
            if error.status >= 500:
                log_failure(event, error.status)
            return problem_response(error, request_id=_request_id(event))
        except Exception:  # noqa: BLE001 (a bug must still be answered, and is logged)
            log_failure(event, 500)
            return problem_response(None, request_id=_request_id(event))

    def _not_found(self, _: Exception) -> RouterResponse[str]:
        event = self._resolver.current_event.raw_event
        allowed = [
            method for rule, methods in self._methods.items() if _matches(rule, event) for method in methods
        ]
        error: CutlassError = NotFoundError("there is no such route")
        if allowed:
            error = MethodNotAllowedError("the route has no such method", allowed=sorted(allowed))
        return _routed(problem_response(error, request_id=_request_id(event)))


def _allowed(event: Mapping[str, Any], access: Access | None, raw_ids: Mapping[str, str]) -> dict[str, str]:
    if access is None:
        return {}
    auth = AuthContext.from_event(event)
    auth.require(access)
    ids = {}
    for name, raw in raw_ids.items():
        # An id holds no "%", so this is right whether or not the gateway has decoded the path.
        value = unquote(raw)
        if not ID_PATTERN.fullmatch(value):
            raise InvalidRequestError(f"{name} in the path is not an id: {shown(value)}", field=name)
        ids[name] = value
    if "org" in ids:
        auth.require_organisation(ids["org"])
    return ids


def _validated(model: type[ModelT], values: Mapping[str, Any]) -> ModelT:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _problem_of(error) from None


def _problem_of(error: ValidationError) -> InvalidRequestError:
    first = error.errors(include_url=False, include_context=True, include_input=False)[0]
    # Pydantic adds "[key]" to the path of a wrong name in a mapping.
    field = ".".join(shown(str(part)) for part in first["loc"] if part != "[key]")
    kind, message = first["type"], first["msg"]
    if kind == "extra_forbidden":
        message = "is not known here"
    elif kind == "missing":
        message = "is missing"
    elif kind == "value_error":
        message = str(first["ctx"]["error"])
    else:
        for pydantic, ours in _WORDS:
            message = message.replace(pydantic, ours, 1)
    return InvalidRequestError(f"{field} {message}", field=field)


def _request_id(event: Mapping[str, Any]) -> str | None:
    value = (event.get("requestContext") or {}).get("requestId")
    return str(value) if value else None


def _matches(rule: str, event: Mapping[str, Any]) -> bool:
    wanted, given = rule.strip("/").split("/"), str(event.get("path", "")).strip("/").split("/")
    return len(wanted) == len(given) and all(
        part.startswith("<") or part == other for part, other in zip(wanted, given, strict=True)
    )


def _routed(response: Response) -> RouterResponse[str]:
    return RouterResponse(
        status_code=response["statusCode"],
        content_type=response["headers"]["Content-Type"],
        body=response["body"],
        headers=dict(response["headers"]),
    )
