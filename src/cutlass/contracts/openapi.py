"""`contracts/openapi.yaml`: the HTTP interface, its operations and the function each is answered by."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cutlass.contracts.catalogue import load_catalogue
from cutlass.contracts.folder import contracts_folder
from cutlass.contracts.functions import Function, load_functions
from cutlass.contracts.nodes import Document, Node
from cutlass.contracts.reports import load_reports
from cutlass.contracts.topology import load_topology
from cutlass.domain.errors import ContractError

FUNCTION_KEY = "x-cutlass-function"
"""The extension of an operation that names its function in `functions.yaml`."""

NAMES_KEY = "x-cutlass-names"
"""The extension of a schema whose enumeration, or properties, are the names of another contract file."""

ROLE_KEY = "x-cutlass-member-role"
"""The extension of an operation for which a member needs a role."""

GATEWAY_TIMEOUT_SECONDS = 29
"""How long API Gateway waits for a function."""

_METHODS = ("get", "put", "post", "delete", "patch", "options", "head")


@dataclass(frozen=True, slots=True)
class Operation:
    """One route.

    Attributes
    ----------
    scopes : tuple of str or None
        The scopes a service needs; None where no token is needed at all.
    member_role : str or None
        The role a member needs, `member` being any; None where members may not.
    """

    operation_id: str
    method: str
    path: str
    function: str
    scopes: tuple[str, ...] | None
    member_role: str | None


def load_openapi() -> dict[str, Any]:
    """Return the OpenAPI document as JSON would have it; callers must not change it.

    Where a schema lists the names of another contract file, they are that file's.

    Raises
    ------
    ContractError
        A file is missing or wrong; the message begins with file, line and key.
    """
    return _load(contracts_folder())[0]


def load_operations() -> tuple[Operation, ...]:
    """Return every route of the document; raises what `load_openapi` raises."""
    return _load(contracts_folder())[1]


def check_names() -> None:
    """Check that names of other contract files are written as they are there.

    `load_openapi` puts the right ones in, but API Gateway reads the file itself.

    Raises
    ------
    ContractError
        Some are not.
    """
    document = Document(contracts_folder(), "openapi.yaml")
    known = _names()
    for node in document.root.mappings():
        schema = node.plain()
        if NAMES_KEY not in schema or schema[NAMES_KEY] not in known:
            continue
        place, written = _written(schema)
        names = known[schema[NAMES_KEY]]
        if [name for name in written if name is not None] != names:
            node.problem(f"must be {', '.join(names)}, as in {schema[NAMES_KEY]}", key=place)
    document.finish()


@cache
def _load(folder: Path) -> tuple[dict[str, Any], tuple[Operation, ...]]:
    document = Document(folder, "openapi.yaml")
    whole = document.root.plain()
    fields = document.root.fields(
        ["openapi", "info", "paths", "components"], ["servers", "tags", "security", "externalDocs"]
    )
    fields["openapi"].text(r"3\.0\.[0-9]+")
    operations = tuple(_operations(fields["paths"]))
    known = _names()
    for node in document.root.mappings():
        entries = node.entries(r"(?s).*")
        reference, names = entries.get("$ref"), entries.get(NAMES_KEY)
        if reference and not _resolves(reference.plain(), whole):
            reference.problem(f"{reference.plain()!r} points at nothing in this document")
        if names:
            names.reference(known, "list of names")
    document.finish()
    _fill_names(whole, known)
    return whole, operations


def _operations(paths: Node) -> Iterator[Operation]:
    functions = load_functions()
    identifiers: dict[str, str] = {}
    for path, item in paths.entries(r"(/([A-Za-z0-9._-]+|\{[a-z_]+\}))+").items():
        for method, node in item.fields([], _METHODS).items():
            values = node.entries(r"[A-Za-z-]+")
            function = _field(node, values, FUNCTION_KEY).reference(functions, "function")
            _in_time(node, function, functions)
            operation_id = _field(node, values, "operationId").text(r"[a-z][A-Za-z0-9]*")
            if operation_id in identifiers:
                values["operationId"].problem(f"is also that of {identifiers[operation_id]}")
            identifiers[operation_id] = f"{method} {path}"
            scopes, member_role = _callers(_field(node, values, "security"), values.get(ROLE_KEY))
            yield Operation(operation_id, method.upper(), path, function, scopes, member_role)


def _field(node: Node, values: Mapping[str, Node], name: str) -> Node:
    return values.get(name) or node.fields([name], values)[name]


def _in_time(node: Node, function: str, functions: Mapping[str, Function]) -> None:
    seconds = functions[function].timeout_seconds if function in functions else 0
    if seconds > GATEWAY_TIMEOUT_SECONDS:
        message = f"{function!r} may run {seconds} s, the gateway waits {GATEWAY_TIMEOUT_SECONDS}"
        node.problem(message, key=FUNCTION_KEY)


def _callers(security: Node, role: Node | None) -> tuple[tuple[str, ...] | None, str | None]:
    requirements: dict[str, tuple[str, ...]] = {}
    for item in security.items():
        for scheme, scopes in item.fields([], ["service", "member"]).items():
            requirements[scheme] = tuple(scope.text() for scope in scopes.items())
    if not requirements:
        return None, None
    if "service" not in requirements:
        security.problem("names no scheme `service`")
    member_role = role.text("member|admin") if role else "member"
    return requirements.get("service", ()), member_role if "member" in requirements else None


def _resolves(reference: Any, whole: Any) -> bool:
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return False
    target = whole
    for part in reference[2:].split("/"):
        if not isinstance(target, dict) or part not in target:
            return False
        target = target[part]
    return True


def _names() -> dict[str, list[str]]:
    try:
        catalogue, topology, reports = load_catalogue(), load_topology(), load_reports()
    except ContractError:
        # Reported by whoever asks for these files; here it would only hide what is wrong in this one.
        return {"plans": [], "meters": [], "regions": [], "report-types": [], "report-formats": []}
    return {
        "plans": list(catalogue.plans),
        "meters": list(catalogue.meters),
        "regions": list(topology.regions),
        "report-types": list(reports.types),
        "report-formats": list(reports.formats),
    }


def _written(schema: Mapping[str, Any]) -> tuple[str, Any]:
    return ("properties", schema["properties"]) if "properties" in schema else ("enum", schema.get("enum", []))


def _fill_names(value: Any, known: Mapping[str, list[str]]) -> None:
    """Put the names of the other contract files where they belong, in place."""
    if isinstance(value, list):
        for item in value:
            _fill_names(item, known)
        return
    if not isinstance(value, dict):
        return
    names = known.get(value.get(NAMES_KEY, ""), [])
    if names and "properties" in value:
        shape: Any = next(iter(value["properties"].values()), {})
        value["properties"] = {name: value["properties"].get(name, shape) for name in names}
    elif names:
        value["enum"] = [*names, None] if value.get("nullable") else list(names)
    for item in value.values():
        _fill_names(item, known)
