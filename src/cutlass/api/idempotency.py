"""The caller's id of a request, which makes a repetition safe."""

from collections.abc import Mapping
from typing import Any

from cutlass.api.bodies import header
from cutlass.domain.errors import InvalidRequestError
from cutlass.domain.ids import ID_PATTERN

HEADER = "Idempotency-Key"


def idempotency_key(event: Mapping[str, Any]) -> str | None:
    """Return the `Idempotency-Key` header of an API Gateway event, without the quotes it may have.

    The header is a structured field string (draft-ietf-httpapi-idempotency-key-header); bare ids, as most
    clients send them, are taken too.

    Raises
    ------
    InvalidRequestError
        It is not an id.
    """
    value = header(event, HEADER)
    if value is None:
        return None
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if not ID_PATTERN.fullmatch(value):
        raise InvalidRequestError(f"{HEADER} must be 1 to 128 of A-Z a-z 0-9 . _ : @ -", field=HEADER)
    return value


def request_id(event: Mapping[str, Any], in_body: str | None) -> str | None:
    """Return the request id from the body or the header; None where neither has one.

    Raises
    ------
    InvalidRequestError
        They differ, or the header is not an id.
    """
    in_header = idempotency_key(event)
    if in_body is not None and in_header is not None and in_body != in_header:
        raise InvalidRequestError(f"request_id and {HEADER} differ; send one of them", field="request_id")
    return in_body if in_body is not None else in_header
