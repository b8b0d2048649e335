"""Reads what there is to deploy from `infra/` and `contracts/`.

Terraform's language is not evaluated: what a layer reads is taken from the text of `local.reads`. An entry whose
workspace is not understood counts as read in every region, so the order can only be stricter than needed.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from cutlass.contracts import load_topology
from cutlass.deploy.errors import DeployError
from cutlass.deploy.model import Backend, Layer, Project, Read, Scope, Workspace

ROOT_VARIABLE = "CUTLASS_ROOT"
"""The environment variable that names the checkout to deploy from."""

_LAYER_NAME = r"[0-9]{3}-[a-z0-9-]+"
_SETTING = re.compile(r'^\s*(\w+)\s*=\s*"([^"]*)"', re.MULTILINE)
_COMMENT = re.compile(r"^\s*(#|//).*$", re.MULTILINE)
_ENTRY = re.compile(rf'\blayer\s*=\s*"({_LAYER_NAME})"[\s,]*workspace\s*=\s*("(?:[^"\\]|\\.)*"|[\w.]+)')


def find_root() -> Path:
    """Return the checkout to deploy from: `CUTLASS_ROOT`, else where one is called from, else this package's own.

    Raises
    ------
    DeployError
        There is none: the package is installed without its checkout.
    """
    named = os.environ.get(ROOT_VARIABLE)
    here = Path.cwd()
    places = [Path(named)] if named else [here, *here.parents, *Path(__file__).resolve().parents]
    for place in places:
        if (place / "infra" / "shared").is_dir() and (place / "contracts").is_dir():
            return place.absolute()
    raise DeployError(
        f"there is no infra/ and contracts/ in {named or here}",
        hint=f"call it in a checkout of Cutlass, or name one in {ROOT_VARIABLE}",
    )


def load_project(root: Path) -> Project:
    """Return what the checkout deploys.

    Raises
    ------
    DeployError
        A variable or backend file lacks what it has to say.
    ContractError
        `contracts/regions.yaml` is wrong.
    """
    infra = root / "infra"
    names = sorted(path.name for path in infra.iterdir() if re.fullmatch(_LAYER_NAME, path.name) and path.is_dir())
    regions = tuple(load_topology(root / "contracts").regions)
    found = [_workspace(path) for path in sorted((infra / "shared" / "vars").glob("*.tfvars"))]
    known = [workspace for workspace in found if workspace.region in regions]
    order = {"dev": 0, "staging": 1, "prod": 2}
    known.sort(key=lambda one: (order.get(one.environment, 1), one.environment, regions.index(one.region)))
    return Project(
        layers={name: read_layer(infra / name, names) for name in names},
        regions=regions,
        workspaces={workspace.name: workspace for workspace in known},
        backends={one.environment: _backend(infra / "shared", one.environment) for one in known},
    )


def read_layer(folder: Path, names: list[str]) -> Layer:
    """Return the layer of a folder; `names` are those of all layers."""
    text = "\n".join(_texts(folder))
    blocks = " ".join(_blocks(text, re.compile(r"\breads\s*=\s*")))
    explicit = {Read(layer, _scope(workspace)) for layer, workspace in _ENTRY.findall(blocks)}
    named = {name for name in re.findall(rf'"({_LAYER_NAME})"', blocks) if name in names}
    unclear = {Read(name, Scope.EVERY) for name in named - {read.layer for read in explicit}}
    reads = sorted(explicit | unclear, key=lambda read: (read.layer, read.scope))
    return Layer(folder.name, tuple(reads))


def settings(path: Path) -> dict[str, str]:
    """Return the text settings of a variable or backend file by name."""
    return dict(_SETTING.findall(_COMMENT.sub("", path.read_text(encoding="utf-8"))))


def variables(path: Path) -> dict[str, str]:
    """Return every setting of a variable file by name, as it is written, text without its quotation marks."""
    found = re.findall(r"^(\w+)\s*=\s*(.+?)\s*$", _COMMENT.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {name: value.strip('"') for name, value in found}


def terraform_files(folder: Path) -> list[Path]:
    """Return the files Terraform reads of a folder, by name; overrides are the tool's own."""
    return sorted(path for path in folder.glob("*.tf") if not path.name.endswith("_override.tf"))


def _texts(folder: Path) -> Iterator[str]:
    for path in terraform_files(folder):
        yield _COMMENT.sub("", path.read_text(encoding="utf-8"))


def _scope(workspace: str) -> Scope:
    if workspace in ("local.workspace", "terraform.workspace", '"${var.environment}-${var.region}"'):
        return Scope.SAME
    return Scope.HOME if workspace == '"${var.environment}-${local.home}"' else Scope.EVERY


def _blocks(text: str, start: re.Pattern[str]) -> Iterator[str]:
    """Yield what follows each start, up to where its brackets close."""
    for found in start.finditer(text):
        depth = 0
        for place in range(found.end(), len(text)):
            depth += {"{": 1, "(": 1, "[": 1, "}": -1, ")": -1, "]": -1}.get(text[place], 0)
            if depth == 0 and text[place] in "})]\n":
                yield text[found.end() : place + 1]
                break


def _workspace(path: Path) -> Workspace:
    values = settings(path)
    names = ("environment", "region", "aws_region", "aws_account_id")
    missing = [name for name in names if name not in values]
    if missing:
        raise DeployError(f"{path.name} does not say {', '.join(missing)}", hint=f"add them to {path}")
    return Workspace(*(values[name] for name in names))


def _backend(shared: Path, environment: str) -> Backend:
    path = shared / f"backend-config-{environment}.hcl"
    if not path.exists():
        raise DeployError(
            f"{environment} has variable files and no {path.name}",
            hint=f"write {path}, as `cutlass scaffold environment` does",
        )
    values = settings(path)
    if not {"bucket", "region"} <= values.keys():
        raise DeployError(f"{path.name} does not say bucket and region")
    return Backend(values["bucket"], values["region"], values.get("dynamodb_table"))
