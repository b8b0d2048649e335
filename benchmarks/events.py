"""Requests as the gateway hands them to a function."""

import json
from typing import Any


def usage_check_event(org_id: str, user_id: str) -> dict[str, Any]:
    """Make an event as API Gateway makes it of a service's request."""
    return {
        "httpMethod": "POST",
        "path": "/usage-check",
        "resource": "/usage-check",
        "headers": {"Content-Type": "application/json"},
        "requestContext": {
            "requestId": "benchmark",
            "authorizer": {"principalId": "benchmark", "kind": "service", "scope": "usage/check"},
        },
        "body": json.dumps({"user_id": user_id, "org_id": org_id}),
        "isBase64Encoded": False,
    }
