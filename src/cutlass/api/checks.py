"""The body of a usage check, read by hand: the decision's path pays for no model library."""

from collections.abc import Mapping
from typing import Any

from cutlass.api.bodies import kind_of, shown
from cutlass.domain.decisions import DecisionRequest
from cutlass.domain.errors import InvalidRequestError
from cutlass.domain.ids import ID_PATTERN
from cutlass.domain.plans import MAX_UNITS

MAX_BATCH = 25
"""How many requests one batch may hold."""

_KNOWN = frozenset({"org_id", "user_id", "feature", "units", "request_id"})


def read_check(body: Mapping[str, Any], path: str = "") -> DecisionRequest:
    """Return the request a body asks for.

    Parameters
    ----------
    body : mapping
        The JSON object.
    path : str
        What the names of its fields begin with in messages, such as `items.3.`.

    Raises
    ------
    InvalidRequestError
        It breaks the contract; nothing is guessed or converted.
    """
    for name in body:
        if name not in _KNOWN:
            field = path + shown(name)
            raise InvalidRequestError(
                f"{field} is not a field of a usage check",
                field=field,
                hint=f"its fields: {', '.join(sorted(_KNOWN))}",
            )
    return DecisionRequest(
        org_id=_identifier(body, "org_id", path),
        user_id=_identifier(body, "user_id", path),
        feature=_identifier(body, "feature", path) if "feature" in body else "default",
        units=_units(body, path) if "units" in body else None,
        request_id=_identifier(body, "request_id", path) if "request_id" in body else None,
    )


def read_batch(body: Mapping[str, Any]) -> list[DecisionRequest]:
    """Return the requests of a batch, in order; raises what `read_check` raises."""
    for name in body:
        if name != "items":
            raise InvalidRequestError(f"{shown(name)} is not a field of a batch", field=shown(name))
    items = body.get("items")
    if not isinstance(items, list):
        problem = "is missing" if "items" not in body else f"must be a list, not {kind_of(items)}"
        raise InvalidRequestError(f"items {problem}", field="items")
    if not 1 <= len(items) <= MAX_BATCH:
        raise InvalidRequestError(f"items must hold 1 to {MAX_BATCH} requests, not {len(items)}", field="items")
    return [read_check(_object(item, index), f"items.{index}.") for index, item in enumerate(items)]


def _object(item: object, index: int) -> dict[str, Any]:
    if isinstance(item, dict):
        return item
    raise InvalidRequestError(f"items.{index} must be an object, not {kind_of(item)}", field=f"items.{index}")


def _identifier(body: Mapping[str, Any], name: str, path: str) -> str:
    field = path + name
    if name not in body:
        raise InvalidRequestError(f"{field} is missing", field=field)
    value = body[name]
    if not isinstance(value, str):
        raise InvalidRequestError(f"{field} must be text, not {kind_of(value)}", field=field)
    if not ID_PATTERN.fullmatch(value):
        raise InvalidRequestError(f"{field} must be 1 to 128 of A-Z a-z 0-9 . _ : @ -", field=field)
    return value


def _units(body: Mapping[str, Any], path: str) -> int:
    field, value = path + "units", body["units"]
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidRequestError(f"{field} must be a whole number, not {kind_of(value)}", field=field)
    if not 0 <= value <= MAX_UNITS:
        raise InvalidRequestError(f"{field} must be between 0 and {MAX_UNITS}", field=field)
    return value
