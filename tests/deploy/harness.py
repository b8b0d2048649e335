"""Terraform against an emulator: what an operator types, per layer and workspace."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cutlass.contracts import load_topology
from cutlass.deploy.packages import Builder, Checkout
from cutlass.deploy.wheels import Architecture
from cutlass.platform.child import LIFELINE, socket_variable
from tests.support.terraform import LAYERS, ROOT, Terraform, TerraformError, once_per_environment

CHANGED = 2
"""The exit code of a plan that would change something."""


@contextmanager
def emulator(folder: Path) -> Iterator[str]:
    """Run the emulator on a free port of 127.0.0.1 and give its address."""
    folder.mkdir(parents=True)
    reading, writing = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as listening, (folder / "emulator.log").open("wb") as log:
        port = listening.getsockname()[1]
        environment = os.environ | {
            "CUTLASS_EMULATOR_FOLDER": str(folder),
            socket_variable("emulator"): str(listening.fileno()),
            LIFELINE: str(reading),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.deploy.emulator"],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=log,
            pass_fds=(listening.fileno(), reading),
        )
    os.close(reading)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.close(writing)
        process.wait(timeout=40)


def steps(environment: str) -> Iterator[tuple[str, str]]:
    """Give layers and workspaces in the order they are applied, the home region first."""
    workspaces = [f"{environment}-{region}" for region in load_topology().regions]
    for layer in LAYERS:
        for workspace in workspaces[:1] if once_per_environment(layer) else workspaces:
            yield layer, workspace


@dataclass(frozen=True)
class Deployment:
    """A copy of the layers that talks to an emulator with an account's credentials."""

    terraform: Terraform
    environment: str

    @classmethod
    def on(cls, endpoint: str, folder: Path, *, environment: str, account: str) -> "Deployment":
        """Copy the layers into `folder`."""
        settings = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_SECRET_ACCESS_KEY": "local",
            "NO_PROXY": "127.0.0.1",
        }
        copy = Terraform.copied(folder, settings)
        # The emulator runs functions on this machine: it gets packages for it where those for Lambda would be.
        packages = Builder(Checkout.of_this_code(), Architecture.LOCAL)
        packages.build()
        (folder / "build/lambda").mkdir(parents=True)
        (folder / "build/lambda/arm64").symlink_to(packages.folder)
        return cls(copy, environment).as_account(account)

    def as_account(self, account: str) -> "Deployment":
        """Return the same layers with other credentials: to the emulator a key of twelve digits is the account."""
        settings = {**self.terraform.environment, "AWS_ACCESS_KEY_ID": account}
        return replace(self, terraform=replace(self.terraform, environment=settings))

    def override(self, layer: str, name: str) -> None:
        """Copy an override the layer's README tells an operator to copy."""
        folder = self.terraform.layer(layer)
        shutil.copy(folder / f"{name}_override.tf.example", folder / f"{name}_override.tf")

    def open(self, layer: str, workspace: str) -> None:
        """Type what an operator types before planning: init and workspace."""
        self.terraform.init(layer, f"-backend-config=backend-config-{self.environment}.hcl", data=workspace)
        self.run(layer, workspace, "workspace", "select", "-or-create", workspace)

    def migrate(self, layer: str, workspace: str, backend: str) -> None:
        """Move the state to where another backend file says."""
        options = ("-migrate-state", "-force-copy", f"-backend-config={backend}")
        self.terraform.init(layer, *options, data=workspace)

    def apply(self, layer: str, workspace: str, *options: str) -> str:
        given = (f"-var-file=vars/{workspace}.tfvars", "-parallelism=40", *options)
        return self.run(layer, workspace, "apply", "-no-color", "-auto-approve", *given)

    def destroy(self, layer: str, workspace: str) -> None:
        variables = f"-var-file=vars/{workspace}.tfvars"
        # Nobody else touches what is on the emulator: it is as the state says, and need not be asked.
        self.run(layer, workspace, "destroy", "-no-color", "-auto-approve", "-refresh=false", variables)

    def changes(self, layer: str, workspace: str) -> dict[str, list[str]]:
        """Plan again and return, per address, the attributes that would change."""
        variables = f"-var-file=vars/{workspace}.tfvars"
        options = ("-no-color", "-detailed-exitcode", "-out=again.tfplan")
        done = self.terraform.attempt(layer, "plan", variables, *options, data=workspace)
        if done.returncode == 0:  # nothing to change, and nothing to read
            return {}
        if done.returncode != CHANGED:
            raise TerraformError(f"terraform plan failed in {layer} {workspace}:\n{done.stdout}\n{done.stderr}")
        plan = json.loads(self.run(layer, workspace, "show", "-json", "again.tfplan"))
        return {
            change["address"]: differing(change["change"])
            for change in plan.get("resource_changes", [])
            if change["mode"] == "managed" and change["change"]["actions"] != ["no-op"]
        }

    def outputs(self, layer: str, workspace: str) -> dict[str, Any]:
        shown = json.loads(self.run(layer, workspace, "output", "-json"))
        return {name: output["value"] for name, output in shown.items()}

    def run(self, layer: str, workspace: str, *arguments: str) -> str:
        return self.terraform.run(layer, *arguments, data=workspace)


def differing(change: dict[str, dict[str, object] | None]) -> list[str]:
    """Return the names of the attributes that differ before and after."""
    before, after = change["before"] or {}, change["after"] or {}
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
