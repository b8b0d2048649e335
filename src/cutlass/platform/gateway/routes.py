"""The routes of the OpenAPI document, and which of them a request takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from cutlass.contracts import Operation


@dataclass(frozen=True, slots=True)
class Route:
    """One operation, with what the document says of it. `secured` is False where no token is needed."""

    operation: Operation
    specification: Mapping[str, Any]

    @property
    def secured(self) -> bool:
        """Whether a token is needed."""
        return self.operation.scopes is not None


@dataclass(slots=True)
class _Node:
    literal: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    routes: dict[str, tuple[Route, tuple[str, ...]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """Where a path leads: its routes by method, and the values in it, decoded."""

    routes: Mapping[str, Route]
    values: Mapping[str, Mapping[str, str]]


class Routes:
    """All routes. As in API Gateway, a literal segment goes before a parameter.

    Parameters
    ----------
    document : dict
        The OpenAPI document.
    operations : tuple of Operation
        Its operations.
    """

    def __init__(self, document: Mapping[str, Any], operations: tuple[Operation, ...]) -> None:
        self._root = _Node()
        self.all: list[Route] = []
        for operation in operations:
            item = document["paths"][operation.path]
            specification = dict(item[operation.method.lower()])
            specification["parameters"] = [*item.get("parameters", []), *specification.get("parameters", [])]
            route = Route(operation, specification)
            self.all.append(route)
            self._add(route)

    def match(self, raw_path: str) -> Match | None:
        """Return where a path leads, None if nowhere.

        The path is split before it is decoded: an encoded slash belongs to a value.
        """
        node = self._root
        values: list[str] = []
        for segment in raw_path.removeprefix("/").split("/"):
            decoded = unquote(segment)
            if decoded in node.literal:
                node = node.literal[decoded]
            elif node.parameter is not None and decoded:
                node = node.parameter
                values.append(decoded)
            else:
                return None
        if not node.routes:
            return None
        return Match(
            routes={method: route for method, (route, _) in node.routes.items()},
            values={method: dict(zip(names, values, strict=True)) for method, (_, names) in node.routes.items()},
        )

    def _add(self, route: Route) -> None:
        node = self._root
        names: list[str] = []
        for segment in route.operation.path.removeprefix("/").split("/"):
            if segment.startswith("{"):
                names.append(segment.strip("{}"))
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literal.setdefault(segment, _Node())
        node.routes[route.operation.method] = (route, tuple(names))
