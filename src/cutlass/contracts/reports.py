"""`contracts/reports.yaml`: the types of report, and the JSON Schema of a request for each."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from jsonschema_rs import Draft202012Validator

from cutlass.contracts.folder import contracts_folder
from cutlass.contracts.nodes import Document, Node
from cutlass.domain.reports import ReportCatalogue, ReportType

_MAX_DAYS, _MAX_VALUES = 3660, 100
_NAME = r"[a-z][a-z0-9]*(-[a-z0-9]+)*"
_TIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$"
)
_ID = r"^[A-Za-z0-9._:@-]{1,128}$"
_ZONE = r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$"


def load_reports() -> ReportCatalogue:
    """Return the catalogue of reports.

    Raises
    ------
    ContractError
        The file is missing or wrong; the message begins with file, line and key.
    """
    return _load(contracts_folder())


@cache
def _load(folder: Path) -> ReportCatalogue:
    document = Document(folder, "reports.yaml")
    fields = document.root.fields(["formats", "types"])
    formats = _names(fields["formats"])
    types = {name: _type(name, node) for name, node in fields["types"].entries(_NAME).items()}
    document.finish()
    schemas = {name: _schema(kind, formats) for name, kind in types.items()}
    validators = {name: Draft202012Validator(schema) for name, schema in schemas.items()}

    def problems(name: str, body: Mapping[str, Any]) -> list[tuple[str, str]]:
        found = validators[name].iter_errors(dict(body))
        return [(".".join(map(str, error.instance_path)), error.message) for error in found]

    return ReportCatalogue(MappingProxyType(types), formats, MappingProxyType(schemas), problems)


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
    values = {"type": "array", "items": {"type": "string", "pattern": _ID}, "maxItems": _MAX_VALUES}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": kind.title,
        "description": kind.about,
        "type": "object",
        "required": ["type", "from", "to"],
        "additionalProperties": False,
        "properties": {
            "type": {"const": kind.name},
            "from": {"type": "string", "pattern": _TIME},
            "to": {"type": "string", "pattern": _TIME},
            "time_zone": {"type": "string", "pattern": _ZONE},
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
