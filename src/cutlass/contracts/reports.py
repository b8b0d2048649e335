"""`contracts/reports.yaml`: the types of report, and the JSON Schema of a request for each."""

import re
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cutlass.contracts.folder import read_once
from cutlass.contracts.nodes import Document, Node
from cutlass.domain.reports import MAX_VALUES, TIME, VALUE, ZONE, ReportCatalogue, ReportType

_MAX_DAYS = 3660
_NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"


@read_once
def load_reports(folder: Path) -> ReportCatalogue:
    """Return the catalogue of reports."""
    document = Document(folder, "reports.yaml")
    fields = document.root.fields(["formats", "types"])
    formats = _names(fields["formats"])
    types = {name: _type(name, node) for name, node in fields["types"].entries(_NAME).items()}
    document.finish()
    schemas = {name: _schema(kind, formats) for name, kind in types.items()}
    return ReportCatalogue(MappingProxyType(types), formats, MappingProxyType(schemas))


def _type(name: str, node: Node) -> ReportType:
    fields = node.fields(["title", "about", "granularities", "group_by", "filters", "max_days"])
    granularities = _names(fields["granularities"])
    if not granularities:
        fields["granularities"].problem("there must be at least one")
    return ReportType(
        name=name,
        title=fields["title"].text(),
        about=fields["about"].text(),
        granularities=granularities,
        group_by=_names(fields["group_by"]),
        filters=_names(fields["filters"]),
        max_days=fields["max_days"].integer(1, _MAX_DAYS),
    )


def _names(node: Node) -> tuple[str, ...]:
    return tuple(item.text(_NAME) for item in node.items())


def _schema(kind: ReportType, formats: tuple[str, ...]) -> dict[str, Any]:
    """The JSON Schema (2020-12) of a request for one type."""
    values = {"type": "array", "items": {"type": "string", "pattern": _whole(VALUE)}, "maxItems": MAX_VALUES}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.title,
        "description": kind.about,
        "type": "object",
        "required": ["type", "from", "to"],
        "additionalProperties": False,
        "properties": {
            "type": {"const": kind.name},
            "from": {"type": "string", "pattern": _whole(TIME)},
            "to": {"type": "string", "pattern": _whole(TIME)},
            "time_zone": {"type": "string", "pattern": _whole(ZONE)},
            "granularity": {"enum": list(kind.granularities)},
            "group_by": {"type": "array", "items": {"enum": list(kind.group_by)}, "uniqueItems": True},
            "filters": {
                "type": "object",
                "properties": dict.fromkeys(kind.filters, values),
                "additionalProperties": False,
            },
            "format": {"enum": list(formats)},
        },
    }


def _whole(pattern: re.Pattern[str]) -> str:
    return f"^({pattern.pattern})$"
