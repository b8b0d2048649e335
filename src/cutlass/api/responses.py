"""Answers as API Gateway's proxy integration takes them, and how values look in JSON."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Response = dict[str, Any]
"""`statusCode`, `headers` and `body` of a Lambda proxy integration."""

JSON = "application/json"


def timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC: whole seconds, or milliseconds where it has a fraction.

    Raises
    ------
    ValueError
        The moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without a zone cannot be shown")
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def to_json(value: object) -> str:
    """Return a value as compact JSON, with times in RFC 3339."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_encode)


def json_response(
    status: int,
    body: object,
    *,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
) -> Response:
    """Return an answer with a JSON body that no cache keeps.

    Parameters
    ----------
    status : int
        The HTTP status.
    body : object
        What JSON can hold, and `datetime`s.
    headers : mapping, optional
        Further header fields; they win over the usual ones.
    request_id : str, optional
        The gateway's id of the request, repeated in `X-Request-Id`.
    """
    fields = {"Content-Type": JSON, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if request_id:
        fields["X-Request-Id"] = request_id
    fields.update(headers or {})
    return {"statusCode": status, "headers": fields, "body": to_json(body), "isBase64Encoded": False}


def _encode(value: object) -> object:
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
