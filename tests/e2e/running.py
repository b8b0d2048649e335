"""A platform of its own for the end-to-end tests, driven as a person would: by the `cutlass` command and HTTP."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

Answer = httpx.Response


@dataclass
class Platform:
    """A running platform.

    Attributes
    ----------
    home : Path
        Its home folder.
    urls : dict of str to str
        The gateways' addresses by region.
    endpoint : str
        The emulator's address.
    """

    home: Path
    urls: dict[str, str] = field(default_factory=dict)
    endpoint: str = ""
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=40, trust_env=False))
    _tokens: dict[tuple[Any, ...], tuple[str, float]] = field(default_factory=dict)

    def command(self, *arguments: str, timeout: float = 180) -> subprocess.CompletedProcess[str]:
        """Run `cutlass` with these arguments on this platform."""
        return subprocess.run(
            [sys.executable, "-m", "cutlass.cli.main", *arguments],
            env=os.environ | {"CUTLASS_HOME": str(self.home), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """Run a command with `--json` and return what it printed."""
        done = self.command(*arguments, "--json")
        assert done.returncode == 0, f"cutlass {' '.join(arguments)}: {done.stderr}{done.stdout}"
        return json.loads(done.stdout)

    def up(self, *options: str) -> Any:
        """Start it, and return what `up --detach --json` printed."""
        ready = self.json("up", "--detach", *options)
        self.urls = {name: region["url"] for name, region in ready["regions"].items()}
        self.endpoint = ready["aws_endpoint"]
        return ready

    def down(self) -> None:
        """Stop it and wait until its state is on disk."""
        done = self.command("down")
        assert done.returncode == 0, done.stderr

    def token(self, region: str = "london", **who: str) -> str:
        """Return a token of the region's user pool: a service's, or with `org`, `user`, `role` a member's."""
        key = (region, *sorted(who.items()))
        kept = self._tokens.get(key)
        if kept is None or kept[1] < time.time():
            options = [part for name, value in who.items() for part in (f"--{name}", value)]
            kind = [] if who else ["--service"]
            made = self.command("token", "--region", region, *kind, *options)
            assert made.returncode == 0, made.stderr
            kept = self._tokens[key] = (made.stdout.strip(), time.time() + 1800)
        return kept[0]

    def forget_tokens(self) -> None:
        """Ask for new tokens from now on: the user pools are others."""
        self._tokens.clear()

    def call(
        self,
        method: str,
        path: str,
        *,
        region: str = "london",
        token: str | None = None,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Call a region's interface, with a service's token unless another is given (`""` for none)."""
        fields = dict(headers or {})
        token = self.token(region) if token is None else token
        if token:
            fields["Authorization"] = f"Bearer {token}"
        return self.client.request(method, self.urls[region] + path, json=body, headers=fields)

    def status(self) -> Any:
        """Return what `cutlass status --json` prints."""
        return self.json("status")

    def pid(self, process: str) -> int:
        """Return the id of one of the platform's processes."""
        return next(int(one["pid"]) for one in self.status()["processes"] if one["name"] == process)

    def log(self, process: str) -> str:
        """Return what a process has written."""
        return (self.home / "logs" / f"{process}.log").read_text(encoding="utf-8", errors="replace")


def eventually(condition: Callable[[], Any], what: str, *, seconds: float = 20) -> Any:
    """Return the condition's first true value; fail with `what` if there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
