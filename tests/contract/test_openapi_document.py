"""The OpenAPI document is valid, complete, and within what API Gateway takes."""

import importlib.util
import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema_rs
import pytest
import schemathesis

from cutlass.api import auth, bodies, checks, models
from cutlass.api.problems import TITLES
from cutlass.contracts import load_functions, load_openapi, load_operations
from cutlass.domain import decisions, grants, ids, ledger, organisations, reservations
from cutlass.domain.plans import MAX_UNITS

DOCUMENT = load_openapi()
SCHEMAS = DOCUMENT["components"]["schemas"]


def nodes(value: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
        for name, child in value.items():
            yield from nodes(child, f"{path}.{name}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from nodes(child, f"{path}[{index}]")


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def resolve(value: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in value:
        target: Any = DOCUMENT
        for part in value["$ref"][2:].split("/"):
            target = target[part]
        value = target
    return value


def plain_schema(name: str) -> dict[str, Any]:
    """A schema of the document as JSON Schema: `nullable` is OpenAPI's own."""

    def convert(value: Any) -> Any:
        if isinstance(value, list):
            return [convert(item) for item in value]
        if not isinstance(value, dict):
            return value
        converted = {key: convert(item) for key, item in value.items()}
        if converted.pop("nullable", False) is True:
            converted["type"] = [converted["type"], "null"]
        return converted

    return convert({"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}})


def test_it_is_openapi():
    schemathesis.openapi.from_dict(DOCUMENT).validate()


def test_every_function_of_a_route_exists():
    for operation in load_operations():
        module = load_functions()[operation.function].handler.rpartition(".")[0]
        assert importlib.util.find_spec(module), f"{operation.path} is answered by {module}, which does not exist"


def test_every_object_is_closed():
    for path, node in nodes(SCHEMAS):
        if node.get("type") == "object" and "." in path and "allOf" not in node:
            assert "additionalProperties" in node, f"{path} takes unknown fields"
            declared = node.get("properties", {})
            assert set(node.get("required", [])) <= set(declared), f"{path} requires what it does not have"


def test_every_operation_is_described_and_answers_problems():
    for name, operation in operations():
        assert {"summary", "operationId", "tags", "security", "responses"} <= set(operation), name
        for status, response in operation["responses"].items():
            found = resolve(response)
            assert "X-Request-Id" in found["headers"], f"{name} {status}"
            if name.startswith("HEAD ") and status.startswith("2"):
                assert "content" not in found, f"{name} {status}: HEAD has no body"
                continue
            (media_type,) = found["content"]
            expected = "application/json" if status.startswith("2") else "application/problem+json"
            assert media_type == expected, f"{name} {status}"
        assert {"429", "500", "503", "504"} <= set(operation["responses"]), name
        if operation["security"]:
            assert {"400", "401", "403"} <= set(operation["responses"]), name
        if "requestBody" in operation:
            assert {"413", "415"} <= set(operation["responses"]), name


def test_every_parameter_of_a_path_is_declared():
    for name, operation in operations():
        declared = {resolve(p)["name"] for p in operation.get("parameters", []) if resolve(p)["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", name)), name


def test_examples_fit_their_schemas():
    found = 0
    for name, operation in operations():
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [resolve(response).get("content", {}) for response in operation["responses"].values()]
        for content in contents:
            for media in content.values():
                if "example" in media:
                    found += 1
                    schema = plain_schema(media["schema"]["$ref"].rpartition("/")[2])
                    errors = [
                        str(error) for error in jsonschema_rs.Draft7Validator(schema).iter_errors(media["example"])
                    ]
                    assert not errors, f"{name}: {errors}"
    assert found > 5


def test_only_what_api_gateway_takes():
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
    for path, node in nodes(DOCUMENT["paths"]):
        assert "oneOf" not in node, path
    for name in SCHEMAS:
        assert name.isalnum(), f"{name}: a model's name is letters and digits"
    for path, node in nodes(SCHEMAS):
        if path.rpartition(".")[2] == "properties":
            continue
        unknown = {
            "oneOf",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "readOnly",
            "writeOnly",
            "discriminator",
            "xml",
        }
        assert not unknown & set(node), path
    for operation in load_operations():
        for part in operation.path.strip("/").split("/"):
            assert re.fullmatch(r"[A-Za-z0-9._-]+|\{[a-z]+\}", part), operation.path


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        (SCHEMAS["Id"]["pattern"], f"^{ids.ID_PATTERN.pattern}$"),
        (SCHEMAS["UsageCheck"]["properties"]["feature"]["pattern"], f"^{ids.ID_PATTERN.pattern}$"),
        (SCHEMAS["Units"]["maximum"], MAX_UNITS),
        (SCHEMAS["UsageCheckBatch"]["properties"]["items"]["maxItems"], checks.MAX_BATCH),
        (SCHEMAS["GrantCreate"]["properties"]["priority"]["maximum"], grants.MAX_PRIORITY),
        (SCHEMAS["GrantCreate"]["properties"]["priority"]["default"], grants.DEFAULT_PRIORITY),
        (SCHEMAS["Decision"]["properties"]["reason"]["enum"], [str(r) for r in decisions.Reason]),
        (SCHEMAS["ReservationDecision"]["properties"]["reason"]["enum"], [str(r) for r in decisions.Reason]),
        (SCHEMAS["ReservationState"]["enum"], [str(s) for s in reservations.State]),
        (SCHEMAS["ReservationCreate"]["properties"]["ttl_seconds"]["maximum"], reservations.LONGEST_SECONDS),
        (SCHEMAS["ReservationCreate"]["properties"]["ttl_seconds"]["default"], reservations.DEFAULT_SECONDS),
        (SCHEMAS["LedgerEntry"]["properties"]["kind"]["enum"], [str(k) for k in ledger.EntryKind]),
        (SCHEMAS["Grant"]["properties"]["category"]["enum"], [str(c) for c in grants.Category]),
        (SCHEMAS["OrganisationStatus"]["enum"], [str(s) for s in organisations.Status]),
        (DOCUMENT["components"]["parameters"]["Limit"]["schema"]["maximum"], models.MAX_PAGE),
        (DOCUMENT["components"]["parameters"]["Limit"]["schema"]["default"], models.DEFAULT_PAGE),
        (
            set(DOCUMENT["components"]["securitySchemes"]["service"]["flows"]["clientCredentials"]["scopes"]),
            {str(scope) for scope in auth.Scope},
        ),
    ],
)
def test_what_is_written_is_the_rule(written: Any, rule: Any):
    assert written == rule


def test_the_size_limit_is_the_documented_one():
    description = DOCUMENT["components"]["responses"]["PayloadTooLarge"]["description"]
    assert f"{bodies.MAX_BODY_BYTES:,}" in description
    assert TITLES["payload-too-large"]


def test_every_time_zone_exists():
    for name in SCHEMAS["TimeZone"]["enum"]:
        ZoneInfo(name)
