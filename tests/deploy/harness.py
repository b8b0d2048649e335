"""All layers of some workspaces on an emulator: applied in order, planned again, destroyed in reverse."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cutlass.contracts import load_topology
from cutlass.platform.child import LIFELINE, socket_variable
from tests.support.terraform import LAYERS, ROOT, Terraform

BOOTSTRAP = "bootstrap"


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


class Deployment:
    """The layers of one environment's workspaces, home region first."""

    def __init__(self, terraform: Terraform, environment: str) -> None:
        self.terraform = terraform
        self.environment = environment
        self.workspaces = [f"{environment}-{region}" for region in load_topology().regions]

    @classmethod
    def on(cls, endpoint: str, folder: Path, *, environment: str, account: str) -> "Deployment":
        """Prepare a copy of the layers that talks to the emulator as `account`."""
        settings = {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": account,  # the emulator takes a key of twelve digits for the account
            "AWS_SECRET_ACCESS_KEY": "local",
            "NO_PROXY": "127.0.0.1",
        }
        return cls(Terraform.copied(folder, settings), environment)

    def steps(self) -> Iterator[tuple[str, str]]:
        """Give layers and workspaces in the order they are applied."""
        for layer in LAYERS:
            for workspace in self.workspaces[:1] if layer == BOOTSTRAP else self.workspaces:
                yield layer, workspace

    def open(self, layer: str, workspace: str) -> None:
        """Type what an operator types before planning: init and workspace."""
        self.terraform.init(layer, f"-backend-config=backend-config-{self.environment}.hcl", data=workspace)
        self.run(layer, workspace, "workspace", "select", "-or-create", workspace)

    def apply(self, layer: str, workspace: str, *options: str) -> str:
        variables = f"-var-file=vars/{workspace}.tfvars"
        return self.run(layer, workspace, "apply", "-no-color", "-auto-approve", variables, *options)

    def destroy(self, layer: str, workspace: str) -> None:
        variables = f"-var-file=vars/{workspace}.tfvars"
        self.run(layer, workspace, "destroy", "-no-color", "-auto-approve", variables)

    def changes(self, layer: str, workspace: str) -> dict[str, list[str]]:
        """Plan again and return, per address, the attributes that would change."""
        variables = f"-var-file=vars/{workspace}.tfvars"
        self.run(layer, workspace, "plan", "-no-color", variables, "-out=again.tfplan")
        plan = json.loads(self.run(layer, workspace, "show", "-json", "again.tfplan"))
        return {
            change["address"]: differing(change["change"])
            for change in plan.get("resource_changes", [])
            if change["mode"] == "managed" and change["change"]["actions"] != ["no-op"]
        }

    def outputs(self, layer: str, workspace: str) -> dict[str, object]:
        shown = json.loads(self.run(layer, workspace, "output", "-json"))
        return {name: output["value"] for name, output in shown.items()}

    def run(self, layer: str, workspace: str, *arguments: str) -> str:
        return self.terraform.run(layer, *arguments, data=workspace)


def differing(change: dict[str, dict[str, object] | None]) -> list[str]:
    """Return the names of the attributes that differ before and after."""
    before, after = change["before"] or {}, change["after"] or {}
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
