"""What is fixed about the platform on one machine, and the settings its functions are given."""

import json
import os
from collections.abc import Mapping, Sequence

ENVIRONMENT = "dev"
ACCOUNT = "111111111111"
ADDRESS = "127.0.0.1"
MAIL_DOMAIN = "cutlass.example"
MAIL_FROM = f"alerts@{MAIL_DOMAIN}"

# Settings of the person's own AWS account, which must not reach functions that talk to the emulator.
_FOREIGN = ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_ROLE_ARN", "AWS_ENDPOINT_URL_DYNAMODB")


def base_environment() -> dict[str, str]:
    """Return the environment every process of the platform starts from."""
    environment = {name: value for name, value in os.environ.items() if name not in _FOREIGN}
    unproxied = {*os.environ.get("NO_PROXY", "").split(","), ADDRESS, "localhost"} - {""}
    return environment | {
        "AWS_ACCESS_KEY_ID": ACCOUNT,  # the emulator takes a key of twelve digits for the account
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": ",".join(sorted(unproxied)),
        "PYTHONUNBUFFERED": "1",
    }


def function_environment(
    *,
    region: str,
    aws_region: str,
    endpoint: str,
    peers: Mapping[str, str],
    archives: Sequence[str] = (),
) -> dict[str, str]:
    """Return the settings of a region's functions: all that differs between here and AWS."""
    return {
        "CUTLASS_ENVIRONMENT": ENVIRONMENT,
        "CUTLASS_REGION": region,
        "CUTLASS_ACCOUNT": ACCOUNT,
        "CUTLASS_ARCHIVES": json.dumps(list(archives)),
        "CUTLASS_PEER_ENDPOINTS": json.dumps(dict(peers)),
        "CUTLASS_MAIL_FROM": MAIL_FROM,
        "CUTLASS_LOOPBACK_WEBHOOKS": "yes",
        "AWS_REGION": aws_region,
        "AWS_DEFAULT_REGION": aws_region,
        "AWS_ENDPOINT_URL": endpoint,
        "POWERTOOLS_SERVICE_NAME": "cutlass",
        "POWERTOOLS_METRICS_NAMESPACE": "Cutlass",
        "POWERTOOLS_TRACE_DISABLED": "true",
        "LOG_LEVEL": os.environ.get("LOG_LEVEL", "INFO"),
    }
