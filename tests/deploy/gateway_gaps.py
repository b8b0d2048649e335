"""What ministack lacks of API Gateway's REST interface: bodies in OpenAPI, and keys an authorizer names."""

import json
import re
from typing import Any

KEY_HEADER = "x-api-key"
_REST_API = re.compile(r"/restapis/(?P<api_id>[^/]+)")
_NAMED_KEY = "usageIdentifierKey"


def close(gateway: Any) -> None:
    """Close all gaps of the module `ministack.services.apigateway_v1`."""
    import_bodies(gateway)
    read_keys_from_authorizers(gateway)
    render_validation_errors(gateway)
    name_empty_base_paths(gateway)
    leave_out_what_is_unset(gateway)
    find_apis_for_everyone(gateway)
    keep_keys_to_their_region(gateway)


def import_bodies(gateway: Any) -> None:
    """Take PutRestApi, which is answered with 404: resources, methods and models become those of the body."""
    handle = gateway.handle_request

    async def handle_with_bodies(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        found = _REST_API.fullmatch(path.rstrip("/"))
        if method != "PUT" or found is None:
            return await handle(method, path, headers, body, query)
        api_id = found["api_id"]
        if api_id not in gateway._rest_apis:
            return gateway._get_rest_api(api_id)
        _overwrite(gateway, api_id, json.loads(body))
        return gateway._get_rest_api(api_id)

    gateway.handle_request = handle_with_bodies


def _overwrite(gateway: Any, api_id: str, document: dict[str, Any]) -> None:
    resources = gateway._resources[api_id]
    for resource_id in [key for key, resource in resources.items() if resource["path"] != "/"]:
        del resources[resource_id]
    for name in ("_authorizers_v1", "_models", "_request_validators", "_gateway_responses"):
        getattr(gateway, name)[api_id] = {}
    gateway._rest_apis[api_id]["apiKeySource"] = document["x-amazon-apigateway-api-key-source"]
    for name, schema in document["components"]["schemas"].items():
        text = json.dumps(schema).replace("#/components/schemas/", f"https://-/restapis/{api_id}/models/")
        gateway._create_model(api_id, {"name": name, "schema": text})
    validators = {
        name: _told(gateway._create_request_validator(api_id, {"name": name, **settings}))["id"]
        for name, settings in document["x-amazon-apigateway-request-validators"].items()
    }
    schemes = gateway._import_security_schemes(api_id, document)
    for path, item in document["paths"].items():
        gateway._import_path_item(api_id, path, item, schemes, None)
        (resource,) = (found for found in resources.values() if found["path"] == path)
        for verb, operation in item.items():
            _validated(resource["resourceMethods"][verb.upper()], operation, validators)
    for name, response in document["x-amazon-apigateway-gateway-responses"].items():
        _told(gateway._put_gateway_response(api_id, name, response))


def _validated(method: dict[str, Any], operation: dict[str, Any], validators: dict[str, str]) -> None:
    places = {"path": "path", "query": "querystring", "header": "header"}
    method["requestValidatorId"] = validators[operation["x-amazon-apigateway-request-validator"]]
    method["requestParameters"] = {
        f"method.request.{places[parameter['in']]}.{parameter['name']}": parameter["required"]
        for parameter in operation["parameters"]
    }
    method["requestModels"] = {
        media: told["schema"]["$ref"].rpartition("/")[2]
        for media, told in operation.get("requestBody", {}).get("content", {}).items()
    }


def _told(answer: tuple[int, dict[str, str], bytes]) -> dict[str, Any]:
    status, _, body = answer
    if status >= 300:
        raise AssertionError(f"the emulator refused a part of the body: {status} {body!r}")
    told: dict[str, Any] = json.loads(body)
    return told


def read_keys_from_authorizers(gateway: Any) -> None:
    """Find the caller's usage plan by the key the authorizer names, which is passed over, and not by a header."""
    invoke, authorize = gateway._invoke_authorizer_lambda, gateway._authorize_request_v1

    async def invoke_and_keep_key(*arguments: Any) -> Any:
        result = await invoke(*arguments)
        answer = (result or {}).get("body")
        if isinstance(answer, dict) and _NAMED_KEY in answer:
            # What is remembered of an answer is its policy and its context.
            answer["context"] = {**answer.get("context", {}), _NAMED_KEY: answer[_NAMED_KEY]}
        return result

    async def authorize_and_show_key(api_id: str, *arguments: Any) -> Any:
        error, context = await authorize(api_id, *arguments)
        if gateway._rest_apis[api_id]["apiKeySource"] == "AUTHORIZER":
            headers = arguments[5]
            for name in [name for name in headers if name.lower() == KEY_HEADER]:
                del headers[name]
            if context and _NAMED_KEY in context:
                context = dict(context)
                headers[KEY_HEADER] = context.pop(_NAMED_KEY)
        return error, context

    gateway._invoke_authorizer_lambda = invoke_and_keep_key
    gateway._authorize_request_v1 = authorize_and_show_key


def render_validation_errors(gateway: Any) -> None:
    """Fill in why a body was refused, which is left as the name of the variable; AWS tells more."""
    respond = gateway._gateway_error_response

    def respond_with_reason(error: Any, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = respond(error, request)
        reason = json.dumps(error.message or "")[1:-1].encode()
        return status, headers, body.replace(b"$context.error.validationErrorString", reason)

    gateway._gateway_error_response = respond_with_reason


def name_empty_base_paths(gateway: Any) -> None:
    """Call the mapping of a whole domain `(none)` also where its base path was sent empty, as Terraform does."""
    create = gateway._create_base_path_mapping

    def create_with_name(domain: str, data: dict[str, Any]) -> Any:
        return create(domain, {**data, "basePath": data.get("basePath") or "(none)"})

    gateway._create_base_path_mapping = create_with_name


def leave_out_what_is_unset(gateway: Any) -> None:
    """Tell no quota of a usage plan and no mutual TLS of a domain that have none, where it tells empty ones."""
    create_plan, create_domain = gateway._create_usage_plan, gateway._create_domain_name

    def create_plan_as_told(data: dict[str, Any]) -> Any:
        answer = create_plan(data)
        for plan in gateway._usage_plans.values():
            if not plan.get("quota"):
                plan.pop("quota", None)
        return answer

    def create_domain_as_told(data: dict[str, Any]) -> Any:
        answer = create_domain(data)
        for domain in gateway._domain_names.values():
            if not domain.get("mutualTlsAuthentication"):
                domain.pop("mutualTlsAuthentication", None)
        return answer

    gateway._create_usage_plan = create_plan_as_told
    gateway._create_domain_name = create_domain_as_told


def find_apis_for_everyone(gateway: Any) -> None:
    """Find an API by its id alone: who calls one need not be of its account, nor show an AWS signature."""

    def find(api_id: str) -> tuple[str, str] | None:
        scopes = (
            (account, region) for (account, region, found), _ in gateway._rest_apis.all_items() if found == api_id
        )
        return next(scopes, None)

    gateway.find_api_scope = find


def keep_keys_to_their_region(gateway: Any) -> None:
    """Look for a key's value in the API's own account and region only: another region has the same values."""

    def resolve(value: str | None) -> Any:
        keys = gateway._api_keys.values() if value else ()
        return next((key for key in keys if key["value"] == value and key.get("enabled", True)), None)

    gateway._resolve_api_key = resolve
