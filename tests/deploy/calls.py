"""Calls of deployed functions through Lambda, and waiting for what their streams start."""

import json
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from cutlass.contracts import load_topology
from tests.deploy.harness import ACCOUNT

PATIENCE_SECONDS = 200
"""How long the emulator's pollers, and interpreters that start, are waited for before a test gives up."""


def client(service: str, endpoint: str, region: str) -> Any:
    """A client of a region's AWS on the emulator."""
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=load_topology().regions[region].aws_region,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="local",
        config=Config(read_timeout=PATIENCE_SECONDS, retries={"max_attempts": 0}),
    )


def invoke(endpoint: str, region: str, function: str, event: Any) -> Any:
    """Call the alias of a function of dev, and return what its handler returned; it must not fail."""
    answer = client("lambda", endpoint, region).invoke(
        FunctionName=f"cutlass-tech-{function}-dev-{region}", Qualifier="live", Payload=json.dumps(event).encode()
    )
    told = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, told
    return told


def until(found: Callable[[], Any]) -> Any:
    """Return what is found as soon as there is something."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (answer := found()):
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.5)
    return answer
