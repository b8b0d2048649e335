"""What a function writes to its log: failures that are no answer of the interface, as JSON lines.

Neither bodies nor header fields are logged: they hold ids of people, and tokens.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger

_FAILURE = "the request failed"


def log_failure(event: Mapping[str, Any], status: int) -> None:
    """Log the exception being handled, with the request's id, method and route."""
    context = event.get("requestContext") or {}
    details = {
        "request_id": context.get("requestId"),
        "method": event.get("httpMethod"),
        "route": event.get("resource"),
        "status": status,
    }
    if status == 500:
        _logger().exception(_FAILURE, extra=details)
    else:
        _logger().warning(_FAILURE, extra=details, exc_info=True)


def _logger() -> "Logger":
    # Powertools takes as long to import as the whole decision function: only a failure pays for it.
    from aws_lambda_powertools import Logger  # noqa: PLC0415

    return Logger()
