"""A small checkout to deploy, whose Terraform and bucket are fakes: faults without a cloud, in seconds."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from cutlass.cli.main import main as command
from cutlass.deploy import cloud, promotion, runs, terraform
from cutlass.deploy.cloud import Caller
from cutlass.deploy.model import Backend, Step
from cutlass.deploy.states import Lock, State

ROOT = Path(__file__).parents[2]
ACCOUNTS = {"dev": "111111111111", "staging": "222222222222", "prod": "333333333333"}
REGIONS = {"london": "eu-west-2", "sydney": "ap-southeast-2"}

EVERY = '{ for name in local.region_names : name => { layer = "%s", workspace = "${var.environment}-${name}" } }'
HOME = '{ home = { layer = "%s", workspace = "${var.environment}-${local.home}" } }'
SAME = '{ below = { layer = "%s", workspace = local.workspace } }'
DATA = f"merge({EVERY % '000-net'}, {HOME % '100-data'})"

LAYERS = {
    "000-net": "{}",
    "100-data": DATA,
    "200-code": SAME % "100-data",
    "300-api": SAME % "200-code",
    "900-global": EVERY % "300-api",
}
"""Layers by name with their `local.reads`; 100 is applied at home first."""


class FolderCloud:
    """What the deployment asks of AWS, answered from a folder; FAKE_ACCOUNT is whose credentials are in use."""

    def __init__(self, profile: str | None = None) -> None:
        self.account = {None: os.environ.get("FAKE_ACCOUNT", ACCOUNTS["dev"])}.get(profile, profile) or ""
        self.home = Path(os.environ["FAKE_HOME"])

    def caller(self, aws_region: str) -> Caller:
        return Caller(self.account, f"arn:aws:iam::{self.account}:user/somebody")

    def bucket_exists(self, backend: Backend, account: str) -> bool:
        return not (self.home / "no-bucket").exists()

    def state(self, backend: Backend, step: Step) -> State | None:
        body = self._read(step.state_key)
        return State.parse(body) if body else None

    def lock(self, backend: Backend, step: Step) -> Lock | None:
        body = self._read(f"{step.state_key}.tflock")
        return Lock.parse(body) if body else None

    def unlock(self, backend: Backend, step: Step) -> None:
        (self.home / "states" / f"{step.state_key}.tflock").unlink()

    def read_note(self, backend: Backend, name: str) -> dict[str, Any] | None:
        body = self._read(f"deployments/{name}.json")
        return dict(json.loads(body)) if body else None

    def write_note(self, backend: Backend, name: str, value: dict[str, Any]) -> None:
        path = self.home / "states" / "deployments" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")

    def delete_note(self, backend: Backend, name: str) -> None:
        (self.home / "states" / "deployments" / f"{name}.json").unlink(missing_ok=True)

    def _read(self, key: str) -> bytes | None:
        path = self.home / "states" / key
        return path.read_bytes() if path.exists() else None


@dataclass(frozen=True)
class Checkout:
    """A checkout in `root`, and the folder of the fakes in `home`."""

    root: Path
    home: Path

    @classmethod
    def make(cls, folder: Path, layers: Mapping[str, str] = LAYERS) -> "Checkout":
        """Write a checkout with these layers, and commit it."""
        checkout = cls(folder / "checkout", folder / "fake")
        (checkout.home / "states").mkdir(parents=True)
        program = checkout.home / "terraform"
        fake = ROOT / "tests" / "support" / "fake_terraform.py"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -E "{fake}" "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        shared = checkout.root / "infra" / "shared"
        (shared / "vars").mkdir(parents=True)
        shutil.copytree(ROOT / "contracts", checkout.root / "contracts")
        (checkout.root / ".gitignore").write_text(".cutlass/\nbuild\n", encoding="utf-8")
        for environment, account in ACCOUNTS.items():
            backend = f'bucket = "state-{account}"\nregion = "eu-west-2"\n'
            (shared / f"backend-config-{environment}.hcl").write_text(backend, encoding="utf-8")
            for region, aws_region in REGIONS.items():
                values = (
                    f'environment = "{environment}"\nregion = "{region}"\naws_region = "{aws_region}"\n'
                    f'aws_account_id = "{account}"\nsize = "small"\n'
                )
                (shared / "vars" / f"{environment}-{region}.tfvars").write_text(values, encoding="utf-8")
        for name, reads in layers.items():
            checkout.add_layer(name, reads)
        checkout.git("init", "--quiet")
        checkout.commit("begin")
        return checkout

    def add_layer(self, name: str, reads: str) -> None:
        folder = self.root / "infra" / name
        folder.mkdir(parents=True)
        (folder / "data.tf").write_text(f"locals {{\n  reads = {reads}\n}}\n", encoding="utf-8")
        (folder / "main.tf").write_text(f"# {name}\n", encoding="utf-8")
        (folder / "vars").symlink_to("../shared/vars")
        for environment in ACCOUNTS:
            (folder / f"backend-config-{environment}.hcl").symlink_to(
                f"../shared/backend-config-{environment}.hcl"
            )

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
        done = subprocess.run(["git", *who, *arguments], cwd=self.root, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, why: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", why)
        return self.git("rev-parse", "HEAD")

    def faults(self, planned: Mapping[str, list[dict[str, Any]]]) -> None:
        """Say what goes wrong with which calls from now on."""
        (self.home / "calls.jsonl").unlink(missing_ok=True)
        (self.home / "faults.json").write_text(json.dumps(planned), encoding="utf-8")

    def calls(self, command: str = "") -> list[str]:
        """Return the calls of Terraform in their order, or those of one command as WORKSPACE/LAYER."""
        log = self.home / "calls.jsonl"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        found = [str(json.loads(line)["call"]) for line in lines]
        return [call.partition(" ")[2] for call in found if call.startswith(f"{command} ")] if command else found

    def records(self) -> list[dict[str, Any]]:
        """Return the lines of all runs' records."""
        runs = sorted((self.root / ".cutlass" / "deploy" / "runs").glob("*.jsonl"))
        return [json.loads(line) for run in runs for line in run.read_text(encoding="utf-8").splitlines()]

    def settings(self, **more: str) -> dict[str, str]:
        """Return the environment in which the fakes stand for Terraform and AWS."""
        return {
            "FAKE_HOME": str(self.home),
            "CUTLASS_TERRAFORM": str(self.home / "terraform"),
            "CUTLASS_TERRAFORM_MIRROR": str(self.home),
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "COLUMNS": "200",
            **more,
        }

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start `cutlass` in the checkout as a process of its own, to be interrupted or killed."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.checkouts", *arguments],
            cwd=self.root,
            env=os.environ | self.settings(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run `cutlass` in the checkout, in this process."""
        out, err, here = io.StringIO(), io.StringIO(), Path.cwd()
        os.chdir(self.root)
        try:
            with (
                mock.patch.dict(os.environ, self.settings(**settings)),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                faked(),
            ):
                code = command(list(arguments))
        finally:
            os.chdir(here)
        return subprocess.CompletedProcess(list(arguments), code, out.getvalue(), err.getvalue())

    def json(self, *arguments: str, **settings: str) -> dict[str, Any]:
        """Run a command with `--json` and return its last line."""
        done = self.run(*arguments, "--json", **settings)
        assert done.returncode in (0, 3), done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))


@contextlib.contextmanager
def faked() -> Iterator[None]:
    """Put the fake cloud in AWS's place, and take no time before a further try."""
    with contextlib.ExitStack() as patches:
        for module in (cloud, promotion, runs):
            patches.enter_context(mock.patch.object(module, "Cloud", FolderCloud))
        patches.enter_context(mock.patch.object(terraform, "RETRY_SECONDS", (0.0, 0.0, 0.0)))
        yield


if __name__ == "__main__":
    with faked():
        sys.exit(command())
