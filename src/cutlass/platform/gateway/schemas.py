"""From OpenAPI 3.0 schemas to JSON Schema."""

from collections.abc import Mapping
from typing import Any


def to_json_schema(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 as JSON Schema (draft 7), references left as they are.

    OpenAPI 3.0 differs in `nullable` (JSON Schema: a type of its own) and in `exclusiveMinimum` and
    `exclusiveMaximum` (there a flag, here a number).
    """
    if isinstance(schema, list):
        return [to_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    converted = {
        key: _named(value) if key == "properties" else value if key in _LITERAL else to_json_schema(value)
        for key, value in schema.items()
        if key not in _ANNOTATIONS
    }
    _exclusive(converted, "minimum", "exclusiveMinimum")
    _exclusive(converted, "maximum", "exclusiveMaximum")
    if converted.pop("nullable", False):
        return _nullable(converted)
    return converted


def with_components(schema: Any, document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the converted schema together with the converted components its references point at."""
    schemas = document.get("components", {}).get("schemas", {})
    return {
        "allOf": [to_json_schema(schema)],
        "components": {"schemas": {name: to_json_schema(value) for name, value in schemas.items()}},
    }


# Values that look like schemas but are data, and what says nothing about validity.
_LITERAL = frozenset({"enum", "default", "required"})
_ANNOTATIONS = frozenset({"example", "examples", "description", "title", "discriminator", "xml", "externalDocs"})


def _named(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {name: to_json_schema(value) for name, value in properties.items()}


def _exclusive(schema: dict[str, Any], bound: str, flag: str) -> None:
    if isinstance(schema.get(flag), bool):
        exclusive = schema.pop(flag)
        if exclusive and bound in schema:
            schema[flag] = schema.pop(bound)


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if "enum" in schema and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    if isinstance(schema.get("type"), str) and "$ref" not in schema:
        schema["type"] = [schema["type"], "null"]
        return schema
    return {"anyOf": [schema, {"type": "null"}]}
