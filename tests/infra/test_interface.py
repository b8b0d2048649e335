"""The rendered body of the REST API, against the contract and the functions it is made of."""

import functools
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from cutlass.api import problems
from cutlass.api.gateway_keys import plan_name, service_key
from cutlass.contracts import load_catalogue, load_functions, load_openapi, load_operations
from cutlass.platform.provision import SERVICE_SCOPES
from tests.infra.plans import WORKSPACES, Resource
from tests.infra.test_plans import plan

LAYER = "300-api-layer"

pytestmark = pytest.mark.usefixtures("terraform")

METHODS = {"get", "head", "post", "put", "patch", "delete", "options", "trace", "x-amazon-apigateway-any-method"}

DRAFT_4 = {
    "$ref",
    "additionalProperties",
    "enum",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "pattern",
    "properties",
    "required",
    "type",
}
"""What both OpenAPI and the JSON Schema that API Gateway's models are held to have, with one meaning."""


def of_type(kind: str, workspace: str = "dev-london") -> dict[str, Resource]:
    return {found.address: found for found in plan(LAYER, workspace).plan if found.type == kind}


@functools.cache
def body(workspace: str = "dev-london") -> dict[str, Any]:
    (api,) = of_type("aws_api_gateway_rest_api", workspace).values()
    rendered: dict[str, Any] = json.loads(api.values["body"])
    return rendered


def operations(workspace: str = "dev-london") -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in body(workspace)["paths"].items():
        assert item.keys() <= METHODS, f"{path} has more than methods: {sorted(item)}"
        for method, operation in item.items():
            yield path, method.upper(), operation


def test_the_body_has_the_operations_of_the_contract_and_no_others() -> None:
    assert {(path, method, found["operationId"]) for path, method, found in operations()} == {
        (operation.path, operation.method, operation.operation_id) for operation in load_operations()
    }


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_every_route_but_health_has_the_authorizer_a_key_and_validation(workspace: str) -> None:
    for path, method, operation in operations(workspace):
        expected = [] if path == "/health" else [{"caller": [], "key": []}]
        assert operation["security"] == expected, f"{method} {path}"
        validator = body(workspace)["x-amazon-apigateway-request-validators"][
            operation["x-amazon-apigateway-request-validator"]
        ]
        assert validator["validateRequestParameters"], f"{method} {path}"
        assert validator["validateRequestBody"] == ("requestBody" in operation), f"{method} {path}"
    schemes = body(workspace)["components"]["securitySchemes"]
    authorizer = schemes["caller"]["x-amazon-apigateway-authorizer"]
    assert authorizer["type"] == "request"
    assert authorizer["identitySource"] == "method.request.header.Authorization"
    assert "cutlass-tech-authorizer-" in authorizer["authorizerUri"]
    assert schemes["key"] == {"type": "apiKey", "name": "x-api-key", "in": "header"}
    assert body(workspace)["x-amazon-apigateway-api-key-source"] == "AUTHORIZER"


def test_every_operation_is_answered_by_the_alias_of_its_function() -> None:
    wanted = {operation.operation_id: operation.function for operation in load_operations()}
    for _, _, operation in operations():
        integration = operation["x-amazon-apigateway-integration"]
        function = wanted[operation["operationId"]]
        assert function in load_functions()
        assert (integration["type"], integration["httpMethod"]) == ("aws_proxy", "POST")
        assert re.search(rf"function:cutlass-tech-{function}-mocked:live/invocations$", integration["uri"])


def test_a_function_may_be_called_for_its_own_operations_only() -> None:
    permissions = of_type("aws_lambda_permission")
    for operation in load_operations():
        found = permissions[f'aws_lambda_permission.operation["{operation.operation_id}"]'].values
        path = re.sub(r"\{\w+\}", "*", operation.path)
        assert found["source_arn"].endswith(f"/dev/{operation.method}{path}")
        assert found["function_name"] == f"cutlass-tech-{operation.function}-mocked"
        assert found["qualifier"] == "live"


def test_every_required_body_is_held_against_the_contracts_model() -> None:
    document = load_openapi()
    for path, method, operation in operations():
        told = document["paths"][path][method.lower()].get("requestBody", {})
        assert operation.get("requestBody", {}).get("required", False) == told.get("required", False)
        if told.get("required"):
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert schema == told["content"]["application/json"]["schema"]


def subschemas(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in schema.get("properties", {}).values():
        yield from subschemas(inner)
    if "items" in schema:
        yield from subschemas(schema["items"])


def test_models_are_whole_and_say_only_what_api_gateway_understands() -> None:
    models = body()["components"]["schemas"]
    for name, model in models.items():
        assert re.fullmatch(r"[A-Za-z0-9]+", name), "API Gateway takes letters and digits in a model's name"
        for schema in subschemas(model):
            assert schema.keys() <= DRAFT_4, f"{name}: {sorted(schema.keys() - DRAFT_4)}"
            assert schema.get("$ref", "#/components/schemas/Id").rpartition("/")[2] in models, f"{name}: {schema}"
            assert None not in schema.get("enum", []), f"{name}: {schema}"


def test_a_model_is_as_strict_as_the_contract_where_nothing_may_be_null() -> None:
    for name, model in body()["components"]["schemas"].items():
        told = load_openapi()["components"]["schemas"][name]
        assert model.get("required") == told.get("required"), name
        assert model.get("additionalProperties") == told.get("additionalProperties"), name
        assert model.get("properties", {}).keys() == told.get("properties", {}).keys(), name
        for field, schema in told.get("properties", {}).items():
            kept = model["properties"][field]
            lenient = {"type", "enum"} if schema.get("nullable") else set()
            expected = {word: value for word, value in schema.items() if word in DRAFT_4 - lenient}
            assert kept == expected, f"{name}.{field}"


def test_every_answer_of_the_gateways_own_is_a_problem_of_the_contract() -> None:
    responses = body()["x-amazon-apigateway-gateway-responses"]
    assert {"UNAUTHORIZED", "ACCESS_DENIED", "THROTTLED", "DEFAULT_4XX", "DEFAULT_5XX"} <= responses.keys()
    schema = load_openapi()["components"]["schemas"]["Problem"]
    codes = {problems.problem_type(code): code for code in problems.TITLES}
    for name, response in responses.items():
        (template,) = response["responseTemplates"].values()
        problem = json.loads(template)
        assert set(schema["required"]) <= problem.keys() <= schema["properties"].keys(), name
        assert str(problem["status"]) == response["statusCode"], name
        assert problem["title"] == problems.TITLES[codes[problem["type"]]], name
        headers = response["responseParameters"]
        assert headers["gatewayresponse.header.Content-Type"] == f"'{problems.PROBLEM_JSON}'", name
        waits = headers.get("gatewayresponse.header.Retry-After")
        assert waits == (f"'{problem['retry_after']}'" if "retry_after" in problem else None), name
        challenge = "gatewayresponse.header.WWW-Authenticate"
        assert (challenge in headers) == (problem["status"] == 401), name


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_no_other_site_may_call_from_a_browser(workspace: str) -> None:
    text = json.dumps(body(workspace)).lower()
    assert "access-control-allow-origin" not in text
    assert not any(method == "OPTIONS" for _, method, _ in operations(workspace))


def test_usage_plans_have_the_names_the_function_looks_for() -> None:
    names = {found.values["name"] for found in of_type("aws_api_gateway_usage_plan").values()}
    assert {plan_name(name, "dev", "london") for name in load_catalogue().plans} <= names


def test_services_have_the_key_and_the_scopes_the_interface_knows() -> None:
    (key,) = of_type("aws_api_gateway_api_key").values()
    assert key.values["value"] == service_key()
    client = of_type("aws_cognito_user_pool_client")["aws_cognito_user_pool_client.service"]
    assert set(client.values["allowed_oauth_scopes"]) == set(SERVICE_SCOPES)


def test_the_firewall_refuses_too_many_and_knows_bad_requests() -> None:
    (acl,) = of_type("aws_wafv2_web_acl", "prod-london").values()
    statements = {rule["name"]: rule["statement"][0] for rule in acl.values["rule"]}
    (rate,) = statements.pop("rate")["rate_based_statement"]
    largest = max(found.throttle.requests_per_second for found in load_catalogue().plans.values())
    assert rate["limit"] >= 300 * largest, "a backend at its plan's rate would be refused"
    assert {part["managed_rule_group_statement"][0]["name"] for part in statements.values()} == set(statements)
    (logging,) = of_type("aws_wafv2_web_acl_logging_configuration", "prod-london").values()
    assert logging.values["redacted_fields"][0]["single_header"][0]["name"] == "authorization"
