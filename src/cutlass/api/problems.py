"""Problem details for HTTP APIs (RFC 9457): the one shape of every answer that is not a success."""

from typing import Any

from cutlass.api.responses import Response, json_response
from cutlass.domain.errors import CutlassError

PROBLEM_JSON = "application/problem+json"
"""The media type of a problem."""

TYPE_BASE = "https://cutlass.example/problems/"
"""What a problem's type begins with; a type is a stable name, there is nothing to fetch from it."""

QUOTA_EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
"""The registered type of a used-up quota (draft-ietf-httpapi-ratelimit-headers)."""

_INTERNAL = "internal-error"

TITLES = {
    "credits-exhausted": "The credits are used up",
    "conflict": "The request contradicts what is stored",
    "forbidden": "Not allowed",
    "gateway-timeout": "No answer in time",
    "insufficient-units": "There is not so much to be had",
    "idempotency-mismatch": "The request id was used with another body",
    _INTERNAL: "Something went wrong on our side",
    "invalid-request": "The request is not valid",
    "method-not-allowed": "The route does not have this method",
    "not-in-plan": "The plan does not have this",
    "not-found": "There is no such thing",
    "payload-too-large": "The body is too large",
    "quota-exceeded": "The quota is used up",
    "region-fenced": "The region is taken out of service",
    "reservation-expired": "The reservation's deadline has passed",
    "unauthenticated": "A valid access token is needed",
    "unavailable": "The service cannot answer right now",
    "unsupported-media-type": "The body must be JSON",
}
"""The title of every problem, by code."""


def problem_type(code: str) -> str:
    """Return the `type` URI of a problem with that code."""
    return QUOTA_EXCEEDED if code == "quota-exceeded" else TYPE_BASE + code


def problem_body(error: CutlassError) -> dict[str, Any]:
    """Return the problem object of an error.

    Returns
    -------
    dict
        `type`, `title`, `status`, `detail`; where they apply `field` (the part of the request that is wrong),
        `hint` (what to do), `retry_after` (seconds) and `available` (units that can be had). An error on our side
        says nothing of its cause: that is in the log, under the request's id.
    """
    if error.code not in TITLES or error.status == 500:
        return internal_problem()
    body: dict[str, Any] = {
        "type": problem_type(error.code),
        "title": TITLES[error.code],
        "status": error.status,
        "detail": error.message,
    }
    for name in ("field", "hint", "retry_after", "available"):
        value = getattr(error, name, None)
        if value is not None:
            body[name] = value
    return body


def internal_problem() -> dict[str, Any]:
    """Return the problem object of a failure whose cause is none of the caller's business."""
    return {
        "type": problem_type(_INTERNAL),
        "title": TITLES[_INTERNAL],
        "status": 500,
        "detail": "The request failed for a reason that is not in the request.",
        "hint": "Send it again with the same request id; should it fail again, report its X-Request-Id.",
    }


def problem_response(error: CutlassError | None, *, request_id: str | None = None) -> Response:
    """Return the API Gateway answer for an error, or for a bug where there is None.

    Parameters
    ----------
    error : CutlassError or None
        What went wrong.
    request_id : str, optional
        The gateway's id of the request, repeated in `X-Request-Id`.
    """
    body = internal_problem() if error is None else problem_body(error)
    headers = {**getattr(error, "headers", {}), "Content-Type": PROBLEM_JSON}
    if body["status"] == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="cutlass"'
    if "retry_after" in body:
        headers["Retry-After"] = str(body["retry_after"])
    allowed = getattr(error, "allowed", None)
    if allowed:
        headers["Allow"] = ", ".join(allowed)
    return json_response(body["status"], body, headers=headers, request_id=request_id)
