"""Terraform for the tests: on a copy of `infra/` and `contracts/`, with the provider of a mirror."""

import functools
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"

MIRROR_VARIABLE = "CUTLASS_TERRAFORM_MIRROR"

LAYERS = sorted(
    (path.parent.name for path in INFRA.glob("*/versions.tf")), key=lambda name: (name[0].isdigit(), name)
)
"""The layers in the order they are applied: bootstrap, then by number."""
LAYERS = [name for name in LAYERS if name not in {"shared", "modules"}]

ENVIRONMENTS = ("dev", "staging", "prod")
BOOTSTRAP = "bootstrap"


def once_per_environment(layer: str) -> bool:
    """Whether a layer is applied in the home region only, for all regions; the others are applied in each."""
    return layer == BOOTSTRAP or layer.startswith("9")


def binary() -> str | None:
    return shutil.which("terraform")


@functools.cache
def mirror() -> Path | None:
    """The folder with unpacked providers: that of the variable, or one of those Terraform looks in by itself."""
    named = os.environ.get(MIRROR_VARIABLE)
    shares = (Path("/usr/local/share"), Path("/usr/share"), Path.home() / ".local/share")
    usual = [Path.home() / ".terraform.d/plugins", *(share / "terraform/plugins" for share in shares)]
    places = [Path(named)] if named else [*usual, *sorted(Path("/opt").glob("*"))]
    return next((place for place in places if any(place.glob("*/hashicorp/aws"))), None)


def missing() -> str | None:
    """What has to be installed before Terraform can run here, or nothing."""
    if binary() is None:
        return "terraform is not installed: put Terraform 1.11 or newer on the PATH"
    if mirror() is None:
        return f"there is no mirror of the AWS provider (unpacked): name its folder in {MIRROR_VARIABLE}"
    return None


class TerraformError(AssertionError):
    """A command of Terraform's failed."""


@dataclass(frozen=True)
class Terraform:
    """A copy of the infrastructure in `folder`, and commands in it."""

    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def copied(cls, folder: Path, environment: Mapping[str, str] | None = None) -> "Terraform":
        """Copy what Terraform reads into `folder`, so that nothing is left behind in the repository."""
        left = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf")
        shutil.copytree(INFRA, folder / "infra", symlinks=True, ignore=left)
        shutil.copytree(ROOT / "contracts", folder / "contracts")
        return cls._in(folder, environment)

    @classmethod
    def beside(cls, root: Path, folder: Path, environment: Mapping[str, str]) -> "Terraform":
        """Work on the layers of `root`, and keep what belongs to Terraform in `folder`."""
        for name in ("infra", "contracts"):
            (folder / name).symlink_to(root / name)
        return cls._in(folder, environment)

    @classmethod
    def _in(cls, folder: Path, environment: Mapping[str, str] | None) -> "Terraform":
        source = f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror()}"\n  }}\n}}\n'
        (folder / "terraformrc").write_text(source, encoding="utf-8")
        return cls(folder, environment or {})

    def layer(self, name: str) -> Path:
        return self.folder / "infra" / name

    def run(self, layer: str, *arguments: str, workspace: str = "", data: str = "") -> str:
        """Run a command in a layer's folder and return its output; TerraformError if it fails."""
        done = self.attempt(layer, *arguments, workspace=workspace, data=data)
        if done.returncode:
            command = " ".join(arguments)
            raise TerraformError(
                f"terraform {command} failed in {layer} {workspace}:\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
            )
        return done.stdout

    def attempt(
        self, layer: str, *arguments: str, workspace: str = "", data: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command and return how it ended. `data` keeps what workspaces side by side must not share."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        environment = kept | {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CHECKPOINT_DISABLE": "1",
            "GOGC": "400",  # a third less CPU time, as in cutlass.deploy.terraform
            "TF_CLI_CONFIG_FILE": str(self.folder / "terraformrc"),
            "TF_DATA_DIR": str(self.folder / "data" / layer / (data or "all")),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            **({"TF_WORKSPACE": workspace} if workspace else {}),
            **self.environment,
        }
        return subprocess.run(
            [str(binary()), *arguments],
            cwd=self.layer(layer),
            env=environment,
            capture_output=True,
            text=True,
            timeout=550,
            check=False,
        )

    def init(self, layer: str, *arguments: str, data: str = "") -> None:
        self.run(layer, "init", "-no-color", *arguments, data=data)
