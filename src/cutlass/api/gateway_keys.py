"""API Gateway's API keys: how a caller is told to the usage plans, the gateway's outer fence.

The authorizer names the caller's key (`usageIdentifierKey`); clients never send one, so a key need not be a
secret, and is derived from whose it is. Terraform derives that of services in the same way (layer 300).
"""

import hashlib


def organisation_key(org_id: str) -> str:
    """Return the value of an organisation's key: AWS takes 20 to 128 characters, an id may have less."""
    return hashlib.sha256(f"organisation:{org_id}".encode()).hexdigest()


def service_key() -> str:
    """Return the value of the key of services, which act across organisations: the same in every region.

    A service shows the token of one region's user pool in any other region, too.
    """
    return hashlib.sha256(b"service").hexdigest()


KEY_PREFIX = "cutlass-tech-org-"
"""What the names of organisations' keys begin with."""


def key_name(org_id: str, environment: str, region: str) -> str:
    """Return the name of an organisation's key."""
    return f"{KEY_PREFIX}{org_id}-{environment}-{region}"


def plan_name(plan: str, environment: str, region: str) -> str:
    """Return the name of a plan's usage plan."""
    return f"cutlass-tech-{plan}-{environment}-{region}"
