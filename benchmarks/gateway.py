"""Decisions over HTTP, through the London gateway of a platform started for it."""

import http.client
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from benchmarks.load import Call
from benchmarks.stage import ORG, REGION, USERS

SUBJECT = "through the local gateway"


@dataclass(frozen=True, slots=True)
class Platform:
    """A running platform: its London gateway, a service's token for it, and where its AWS APIs are."""

    host: str
    port: int
    token: str
    endpoint: str


@contextmanager
def platform() -> Iterator[Platform]:
    """Run a whole platform in a folder of its own, with the organisation in it."""
    with tempfile.TemporaryDirectory(prefix="cutlass-benchmark-") as home:
        environment = os.environ | {"CUTLASS_HOME": home, "LOG_LEVEL": "WARNING"}
        for name in ("AWS_ENDPOINT_URL", "CUTLASS_PEER_ENDPOINTS"):
            environment.pop(name, None)
        try:
            ready = json.loads(_cutlass(["up", "--detach", "--json"], environment))
            address = urlsplit(ready["regions"][REGION]["url"])
            token = _cutlass(["token", "--region", REGION, "--service"], environment).strip()
            running = Platform(address.hostname or "", address.port or 0, token, ready["aws_endpoint"])
            put = calling(running, "PUT")
            put(f"/orgs/{ORG}", {"plan": "enterprise", "home_region": REGION})
            for user in USERS:
                put(f"/orgs/{ORG}/users/{user}", {"limits": {}})
            (call,) = http_calls(running, 1)
            for _ in USERS:  # a user's first decision is another matter
                call()
            yield running
        finally:
            _cutlass(["down"], environment)


def http_calls(running: Platform, clients: int) -> list[Call]:
    """Make clients that each keep a connection of their own."""
    turns = itertools.count()

    def client() -> Call:
        post = calling(running, "POST")

        def call() -> None:
            answer = post("/usage-check", {"user_id": USERS[next(turns) % len(USERS)], "org_id": ORG})
            if not answer["allowed"]:
                raise RuntimeError(answer["reason"])

        return call

    return [client() for _ in range(clients)]


def calling(running: Platform, method: str) -> Any:
    """Make a client that keeps a connection of its own, for requests of one method with a path and a body."""
    connection = http.client.HTTPConnection(running.host, running.port, timeout=30)
    headers = {"Authorization": f"Bearer {running.token}", "Content-Type": "application/json"}

    def call(path: str, body: object) -> Any:
        connection.request(method, path, json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {text.decode(errors='replace')}")
        return json.loads(text)

    return call


def _cutlass(arguments: list[str], environment: dict[str, str]) -> str:
    command = [sys.executable, "-m", "cutlass.cli.main", *arguments]
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
