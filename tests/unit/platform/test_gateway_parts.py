"""Routes, schemas, validation and events of the gateway."""

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from cutlass.contracts import Operation
from cutlass.domain.errors import InvalidRequestError
from cutlass.platform.gateway.callers import expiry
from cutlass.platform.gateway.events import Request, answer, authorizer_event, policy_allows, proxy_event
from cutlass.platform.gateway.routes import Routes
from cutlass.platform.gateway.schemas import to_json_schema
from cutlass.platform.gateway.validation import RequestValidator
from cutlass.platform.runtime import FunctionError

DOCUMENT: dict[str, Any] = {
    "paths": {
        "/things": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}},
                }
            }
        },
        "/things/{thing}": {
            "parameters": [{"$ref": "#/components/parameters/Thing"}],
            "get": {
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 5}},
                    {"name": "deep", "in": "query", "schema": {"type": "boolean"}},
                    {"name": "X-Kind", "in": "header", "required": True, "schema": {"enum": ["a", "b"]}},
                ]
            },
        },
        "/things/latest": {"get": {}},
        "/things/{thing}/parts/{part}": {"get": {}},
    },
    "components": {
        "parameters": {
            "Thing": {
                "name": "thing",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "pattern": "^[a-z]+$"},
            }
        },
        "schemas": {
            "Thing": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "maxLength": 5},
                    "size": {"type": "integer", "minimum": 0, "nullable": True},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
                },
            }
        },
    },
}
OPERATIONS = tuple(
    Operation(
        operation_id=f"{method}{path}",
        method=method.upper(),
        path=path,
        function="function",
        scopes=(),
        member_role=None,
    )
    for path, item in DOCUMENT["paths"].items()
    for method in item
    if method != "parameters"
)
ROUTES = Routes(DOCUMENT, OPERATIONS)


class TestRoutes:
    @pytest.mark.parametrize(
        ("path", "template", "values"),
        [
            ("/things", "/things", {}),
            ("/things/latest", "/things/latest", {}),
            ("/things/a", "/things/{thing}", {"thing": "a"}),
            ("/things/a%2Fb", "/things/{thing}", {"thing": "a/b"}),
            ("/things/%20", "/things/{thing}", {"thing": " "}),
            ("/things/a/parts/b", "/things/{thing}/parts/{part}", {"thing": "a", "part": "b"}),
        ],
    )
    def test_a_path_leads_to_its_route(self, path: str, template: str, values: dict[str, str]) -> None:
        match = ROUTES.match(path)
        assert match is not None
        method = next(iter(match.routes))
        assert match.routes[method].operation.path == template
        assert match.values[method] == values

    @pytest.mark.parametrize(
        "path", ["/", "", "/nothing", "/things/", "/things//parts/b", "/things/a/parts", "//things"]
    )
    def test_other_paths_lead_nowhere(self, path: str) -> None:
        assert ROUTES.match(path) is None


class TestSchemas:
    @pytest.mark.parametrize(
        ("openapi", "json_schema"),
        [
            ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
            (
                {"type": "string", "enum": ["a"], "nullable": True},
                {"type": ["string", "null"], "enum": ["a", None]},
            ),
            ({"$ref": "#/x", "nullable": True}, {"anyOf": [{"$ref": "#/x"}, {"type": "null"}]}),
            ({"minimum": 1, "exclusiveMinimum": True}, {"exclusiveMinimum": 1}),
            ({"maximum": 9, "exclusiveMaximum": False}, {"maximum": 9}),
            (
                {"type": "object", "properties": {"example": {"type": "string"}}, "example": {}},
                {"type": "object", "properties": {"example": {"type": "string"}}},
            ),
            ({"items": {"nullable": True, "type": "integer"}}, {"items": {"type": ["integer", "null"]}}),
        ],
    )
    def test_what_differs_from_json_schema_is_converted(self, openapi: Any, json_schema: Any) -> None:
        assert to_json_schema(openapi) == json_schema


def validator(path: str, method: str) -> RequestValidator:
    route = next(one for one in ROUTES.all if (one.operation.path, one.operation.method) == (path, method))
    return RequestValidator(route, DOCUMENT)


class TestBodies:
    CHECK = validator("/things", "POST")

    def check(self, body: bytes, content_type: str = "application/json; charset=utf-8") -> None:
        self.CHECK.check(path={}, query={}, headers={"content-type": content_type}, body=body)

    @pytest.mark.parametrize(
        "body", [{"name": "a"}, {"name": "a", "size": None}, {"name": "a", "parts": [{"name": "b"}]}]
    )
    def test_good_ones_pass(self, body: Any) -> None:
        self.check(json.dumps(body).encode())

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b"", "body"),
            (b"{", "body"),
            (b"\xff", "body"),
            (b"[" * 60_000, "body"),
            (b"[]", "body"),
            (b"{}", "name"),
            (b'{"name": "abcdef"}', "name"),
            (b'{"name": "a", "more": 1}', "more"),
            (b'{"name": "a", "size": -1}', "size"),
            (b'{"name": "a", "size": true}', "size"),
            (b'{"name": "a", "size": 1.5}', "size"),
            (b'{"name": "a", "parts": [{"name": "b"}, {}]}', "parts.1.name"),
        ],
    )
    def test_bad_ones_name_the_field(self, body: bytes, field: str) -> None:
        with pytest.raises(InvalidRequestError) as raised:
            self.check(body)
        assert raised.value.field == field

    def test_the_value_is_not_repeated(self) -> None:
        with pytest.raises(InvalidRequestError) as raised:
            self.check(b'{"name": "top-secret"}')
        assert "secret" not in raised.value.message

    def test_another_media_type_is_left_to_the_function(self) -> None:
        self.check(b"not json", content_type="text/plain")


class TestParameters:
    CHECK = validator("/things/{thing}", "GET")

    def check(self, *, thing: str = "a", kind: str | None = "a", **query: list[str]) -> None:
        headers = {} if kind is None else {"x-kind": kind}
        self.CHECK.check(path={"thing": thing}, query=query, headers=headers, body=b"")

    def test_good_ones_pass(self) -> None:
        self.check(limit=["5"], deep=["true"], unknown=["x"])

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"thing": "A"}, "thing"),
            ({"limit": ["0"]}, "limit"),
            ({"limit": ["six"]}, "limit"),
            ({"limit": ["1.0"]}, "limit"),
            ({"limit": [""]}, "limit"),
            ({"limit": ["1", "2"]}, "limit"),
            ({"limit": ["9" * 5000]}, "limit"),
            ({"limit": ["٣"]}, "limit"),
            ({"deep": ["yes"]}, "deep"),
            ({"kind": "c"}, "X-Kind"),
            ({"kind": None}, "X-Kind"),
        ],
    )
    def test_bad_ones_name_the_parameter(self, arguments: dict[str, Any], field: str) -> None:
        with pytest.raises(InvalidRequestError) as raised:
            self.check(**arguments)
        assert raised.value.field == field


REQUEST = Request(
    request_id="id-1",
    method="GET",
    raw_path="/things/a%20b",
    query={"x": ["1", "2"]},
    headers=[("content-type", "text/plain"), ("x-many", "1"), ("x-many", "2")],
    body="é".encode(),
    source_ip="127.0.0.1",
    at=datetime(2026, 11, 22, 4, 5, 6, tzinfo=UTC),
)
WHERE: dict[str, Any] = {
    "region": "london",
    "aws_region": "eu-west-2",
    "resource": "/things/{thing}",
    "path_values": {"thing": "a b"},
}


class TestEvents:
    def test_a_proxy_event_has_format_1(self) -> None:
        event = proxy_event(REQUEST, **WHERE, authorizer={"principalId": "me"})
        assert event["path"] == "/things/a b"
        assert event["resource"] == "/things/{thing}"
        assert event["pathParameters"] == {"thing": "a b"}
        assert event["queryStringParameters"] == {"x": "2"}
        assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"]}
        assert event["headers"] == {"Content-Type": "text/plain", "X-Many": "2"}
        assert event["multiValueHeaders"]["X-Many"] == ["1", "2"]
        assert (event["body"], event["isBase64Encoded"]) == ("é", False)
        context = event["requestContext"]
        assert (context["requestId"], context["authorizer"]) == ("id-1", {"principalId": "me"})
        assert context["requestTime"] == "22/Nov/2026:04:05:06 +0000"

    def test_what_is_not_there_is_null(self) -> None:
        bare = Request("id", "GET", "/things", {}, [], b"", "", REQUEST.at)
        event = proxy_event(bare, **(WHERE | {"path_values": {}}), authorizer=None)
        for name in ("pathParameters", "queryStringParameters", "headers", "body"):
            assert event[name] is None
        assert "authorizer" not in event["requestContext"]

    def test_a_body_that_is_no_text_is_encoded(self) -> None:
        raw = Request("id", "POST", "/things", {}, [], b"\xff\x00", "", REQUEST.at)
        event = proxy_event(raw, **WHERE, authorizer=None)
        assert event["isBase64Encoded"] is True
        assert base64.b64decode(event["body"]) == b"\xff\x00"

    def test_an_authorizer_event_names_the_method_and_has_no_body(self) -> None:
        event = authorizer_event(REQUEST, **WHERE)
        assert event["type"] == "REQUEST"
        assert event["methodArn"] == "arn:aws:execute-api:eu-west-2:111111111111:cutlass/dev/GET/things/a b"
        assert "body" not in event


class TestAnswers:
    def test_headers_of_both_kinds_and_an_encoded_body(self) -> None:
        made = answer(
            {
                "statusCode": 201,
                "headers": {"A": 1, "B": "x"},
                "multiValueHeaders": {"B": ["y", "z"]},
                "body": base64.b64encode(b"\xff").decode(),
                "isBase64Encoded": True,
            }
        )
        assert (made.status, made.body) == (201, b"\xff")
        assert made.headers == (("A", "1"), ("B", "y"), ("B", "z"))

    @pytest.mark.parametrize(
        "result", [None, "text", {}, {"statusCode": "200"}, {"statusCode": 99}, {"statusCode": 200, "body": {}}]
    )
    def test_anything_else_is_the_functions_failure(self, result: Any) -> None:
        with pytest.raises(FunctionError):
            answer(result)


def policy(*statements: tuple[str, Any]) -> Any:
    return {
        "Statement": [
            {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource}
            for effect, resource in statements
        ]
    }


@pytest.mark.parametrize(
    ("document", "allowed"),
    [
        (policy(("Allow", "*")), True),
        (policy(("Allow", "arn:aws:execute-api:*:*:api/dev/*")), True),
        (policy(("Allow", ["other", "arn:aws:execute-api:eu-west-2:1:api/dev/GET/thing?"])), True),
        (policy(("Allow", "arn:aws:execute-api:eu-west-2:1:api/dev/PUT/*")), False),
        (policy(("Allow", "*"), ("Deny", "*/GET/*")), False),
        (policy(), False),
        (None, False),
    ],
)
def test_a_policy_allows_what_a_statement_allows_and_none_denies(document: Any, allowed: bool) -> None:
    assert policy_allows(document, "arn:aws:execute-api:eu-west-2:1:api/dev/GET/things") is allowed


def test_the_end_of_a_token_is_read_and_a_broken_one_has_ended() -> None:
    claims = base64.urlsafe_b64encode(b'{"exp": 99}').decode().rstrip("=")
    assert expiry(f"Bearer x.{claims}.y") == 99
    assert expiry("Bearer garbage") == pytest.approx(datetime.now(UTC).timestamp(), abs=5)
