"""A checkout whose AWS is an emulator, and `cutlass` in it as an operator types it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from cutlass.contracts import load_topology
from cutlass.deploy.packages import Builder
from cutlass.deploy.packages import Checkout as Packaged
from cutlass.deploy.wheels import Architecture
from cutlass.platform.child import LIFELINE, socket_variable
from tests.support.terraform import ROOT, Terraform, mirror

ACCOUNT = "111111111111"
PACKAGES = "build/lambda/arm64"


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


@dataclass(frozen=True)
class Checkout:
    """A checkout of its own in `root`, whose AWS is the emulator at `endpoint`."""

    root: Path
    endpoint: str

    @classmethod
    def make(cls, root: Path, endpoint: str) -> "Checkout":
        """Copy what is deployed into `root`, build the packages, and commit all."""
        left = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf", "state")
        shutil.copytree(ROOT / "infra", root / "infra", symlinks=True, ignore=left)
        shutil.copytree(ROOT / "contracts", root / "contracts")
        # The emulator runs functions on this machine: it gets packages for it where those for Lambda would be.
        packages = Builder(Packaged.of_this_code(), Architecture.LOCAL)
        packages.build()
        shutil.copytree(packages.folder, root / PACKAGES)
        shutil.copy(ROOT / ".gitignore", root)
        made = cls(root, endpoint)
        made.git("init", "--quiet")
        made.git("add", "--all")
        made.git("commit", "--quiet", "--message", "begin")
        return made

    def start(self, *arguments: str, account: str = ACCOUNT) -> "subprocess.Popen[str]":
        """Start `cutlass` with these arguments and an account's credentials."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        return subprocess.Popen(
            [sys.executable, "-m", "cutlass.cli.main", *arguments],
            cwd=self.root,
            env=kept
            | self.credentials(account)
            | {
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
                "CUTLASS_TERRAFORM_MIRROR": str(mirror()),
                "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, account: str = ACCOUNT) -> "subprocess.CompletedProcess[str]":
        """Run `cutlass` to its end."""
        process = self.start(*arguments, account=account)
        out, err = process.communicate(timeout=1500)
        return subprocess.CompletedProcess(list(arguments), process.returncode, out, err)

    def json(self, *arguments: str) -> dict[str, Any]:
        """Run `cutlass` with `--json` and return the last line of what it printed."""
        done = self.run(*arguments, "--json")
        assert done.returncode in (0, 3), f"{' '.join(arguments)}: {done.stderr[-3000:]}"
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def outcomes(self, *arguments: str) -> dict[str, str]:
        """Run `cutlass` and return how each step ended."""
        steps = self.json(*arguments)["steps"]
        return {f"{step['workspace']}/{step['layer']}": step["outcome"] for step in steps}

    def output(self, target: str, name: str) -> Any:
        """Return one output of a deployed layer."""
        done = self.run("outputs", target, "--name", name, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def state(self, key: str) -> str:
        """Return the text of a state as it lies in the bucket of the account."""
        home = next(iter(load_topology().regions.values()))
        bucket = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=home.aws_region,
            aws_access_key_id=ACCOUNT,
            aws_secret_access_key="local",
        )
        found = bucket.get_object(Bucket=f"cutlass-tech-terraform-state-{ACCOUNT}", Key=key)
        return str(found["Body"].read().decode())

    def git(self, *arguments: str) -> None:
        """Run git in the checkout, as somebody."""
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)

    def credentials(self, account: str = ACCOUNT) -> dict[str, str]:
        """Return what makes the emulator the AWS of a process: to it a key of twelve digits is the account."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": account,
            "AWS_SECRET_ACCESS_KEY": "local",
            "NO_PROXY": "127.0.0.1",
        }


@dataclass(frozen=True)
class Operator:
    """Terraform typed by hand in the same checkout, as the READMEs of infra/ have it, with data of its own."""

    terraform: Terraform

    @classmethod
    def in_(cls, checkout: Checkout, folder: Path, *, account: str = ACCOUNT) -> "Operator":
        """Work on the checkout with these credentials; what Terraform keeps goes into `folder`."""
        return cls(Terraform.beside(checkout.root, folder, checkout.credentials(account)))

    def open(self, layer: str, workspace: str) -> None:
        """Type what comes before a plan: init and workspace."""
        environment = workspace.partition("-")[0]
        self.terraform.init(layer, f"-backend-config=backend-config-{environment}.hcl", data=workspace)
        self.run(layer, workspace, "workspace", "select", "-or-create", workspace)

    def override(self, layer: str, name: str) -> None:
        """Copy an override the layer's README tells an operator to copy."""
        folder = self.terraform.layer(layer)
        shutil.copy(folder / f"{name}_override.tf.example", folder / f"{name}_override.tf")

    def with_variables(self, layer: str, workspace: str, command: str, *options: str) -> str:
        """Type `terraform COMMAND -var-file=vars/WORKSPACE.tfvars`."""
        return self.run(layer, workspace, command, "-no-color", f"-var-file=vars/{workspace}.tfvars", *options)

    def run(self, layer: str, workspace: str, *arguments: str) -> str:
        """Type a command in the layer's folder; `TerraformError` if it fails."""
        return self.terraform.run(layer, *arguments, data=workspace)
