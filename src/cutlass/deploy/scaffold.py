"""Writes what a new region, environment or layer needs, as those there are have it."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cutlass.contracts import load_topology
from cutlass.deploy.errors import DeployError, TargetError
from cutlass.deploy.model import Project
from cutlass.deploy.source import settings

_PLACEHOLDER = "00000000-0000-0000-0000-000000000000"


@dataclass(slots=True)
class Draft:
    """Files to write by path from the root, links by path with what they point at, and what is left to do."""

    root: Path
    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)

    def write(self) -> list[str]:
        """Write all, and return the paths; a file that is there already is changed only where that is meant.

        Raises
        ------
        DeployError
            A link is in the way.
        """
        for name, text in self.files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        for name, target in self.links.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_symlink() and str(path.readlink()) == target:
                continue
            if path.exists() or path.is_symlink():
                raise DeployError(f"{name} is there already, and is no link to {target}")
            path.symlink_to(target)
        return sorted([*self.files, *self.links])


def region_draft(root: Path, project: Project, name: str, aws_region: str, title: str) -> Draft:
    """Return a new region: an entry of the contract, and per environment a variable file with its own addresses.

    Raises
    ------
    TargetError
        The name or the AWS region is taken or is none.
    """
    _new_name(name, project.regions, "region")
    taken = {region.aws_region: region.name for region in load_topology(root / "contracts").regions.values()}
    if aws_region in taken:
        raise TargetError(f"{aws_region} is {taken[aws_region]} already")
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-[1-9]", aws_region):
        raise TargetError(f"{aws_region!r} is no AWS region", hint="such as ap-northeast-1")
    draft = Draft(root)
    contract = (root / "contracts" / "regions.yaml").read_text(encoding="utf-8")
    entry = f"  {name}:\n    title: {title}\n    aws_region: {aws_region}\n"
    draft.files["contracts/regions.yaml"] = _after_regions(contract, entry)
    interface = (root / "contracts" / "openapi.yaml").read_text(encoding="utf-8")
    # API Gateway reads the file itself, so the names are written there too, before `null` where that is one.
    names = r"(x-cutlass-names: regions\n\s*enum: \[.*?)(, null)?\]"
    draft.files["contracts/openapi.yaml"] = re.sub(names, rf"\1, {name}\2]", interface)
    used = _networks(root)
    for environment in project.environments:
        home = project.home(environment)
        network = _free_network(used)
        used.append(network)
        model = _variables(root, home.name)
        values = {
            "region": name,
            "aws_region": aws_region,
            "domain_name": settings(_path(root, home.name))["domain_name"].replace(home.region, name, 1),
            "certificate_arn": f"arn:aws:acm:{aws_region}:{home.account}:certificate/{_PLACEHOLDER}",
        }
        draft.files[_named(environment, name)] = _with(model, values, network)
    if "continents:" in contract:
        draft.left.append("say in contracts/regions.yaml which continents DNS sends there")
    draft.left += [
        f"set certificate_arn in vars/*-{name}.tfvars: a certificate in {aws_region}, one per account",
        "`cutlass plan dev` shows what the new region needs; the home region's data layer makes the replicas",
    ]
    return draft


def environment_draft(root: Path, project: Project, name: str, account: str) -> Draft:
    """Return a new environment, sized like the first there is: variable files, backend files, links to them.

    Raises
    ------
    TargetError
        The name or the account is taken or is none.
    """
    _new_name(name, project.environments, "environment")
    if not re.fullmatch(r"[0-9]{12}", account):
        raise TargetError(f"{account!r} is no account: twelve digits")
    if account in {workspace.account for workspace in project.workspaces.values()}:
        raise TargetError(f"account {account} is another environment's: each has one of its own")
    draft, used = Draft(root), _networks(root)
    model = project.environments[0]
    for workspace in project.of(model):
        network = _free_network(used)
        used.append(network)
        domain = settings(_path(root, workspace.name))["domain_name"]
        values = {
            "environment": name,
            "aws_account_id": account,
            "api_gateway_stage": name,
            "domain_name": domain.replace(f"-{model}-", f"-{name}-", 1),
            "global_domain_name": domain.replace(f"-{model}-{workspace.region}", f"-{name}", 1),
            "certificate_arn": f"arn:aws:acm:{workspace.aws_region}:{account}:certificate/{_PLACEHOLDER}",
        }
        draft.files[_named(name, workspace.region)] = _with(_variables(root, workspace.name), values, network)
    old = project.home(model).account
    for path in sorted((root / "infra").glob(f"*/backend-config-{model}.hcl")):
        place = path.with_name(f"backend-config-{name}.hcl").relative_to(root)
        if path.is_symlink():
            draft.links[str(place)] = os.fspath(path.readlink()).replace(f"-{model}.hcl", f"-{name}.hcl")
        else:
            text = path.read_text(encoding="utf-8").replace(old, account)
            draft.files[str(place)] = re.sub(rf"\b{model}\b", name, text)
    draft.left = [
        f"set domain_name, certificate_arn and the sizes in vars/{name}-*.tfvars",
        f"`cutlass bootstrap {name}`, then `cutlass deploy {name}`",
    ]
    return draft


def layer_draft(root: Path, project: Project, name: str) -> Draft:
    """Return a new layer: the links every layer has, its backend, and the output that tells it is applied.

    Raises
    ------
    TargetError
        The name has no number, or its number is taken.
    """
    if not re.fullmatch(r"[0-9]{3}-[a-z0-9-]+", name):
        raise TargetError(f"{name!r} is no layer's name", hint="a number of three digits and words, as 250-search")
    _new_name(name[:3], [layer.number for layer in project.layers.values()], "layer", pattern=r"[0-9]{3}")
    draft = Draft(root)
    folder = f"infra/{name}"
    model = root / "infra" / next(iter(project.layers))
    for path in sorted(model.iterdir()):
        if path.is_symlink() and path.name != "key_actions.tf":
            draft.links[f"{folder}/{path.name}"] = os.fspath(path.readlink())
    backend = (model / "backend.tf").read_text(encoding="utf-8")
    draft.files[f"{folder}/backend.tf"] = backend.replace(model.name, name)
    hint = "  # The states this layer reads: NAME = { layer = ..., workspace = local.workspace }\n"
    draft.files[f"{folder}/data.tf"] = f"locals {{\n{hint}  reads = {{}}\n}}\n"
    draft.files[f"{folder}/main.tf"] = "# What this layer makes.\n"
    draft.files[f"{folder}/outputs.tf"] = _block((model / "outputs.tf").read_text(encoding="utf-8"), "workspace")
    draft.files[f"{folder}/README.md"] = (
        f"# {name}\n\nWhat this layer makes, and why here.\n\n<!-- begin: make infra-docs -->\n<!-- end -->\n"
    )
    draft.left = [
        "write tests/layer.tftest.hcl as the other layers have it, and its part of tests/infra/inventory.yaml",
        "say in README.md and in the table of infra/README.md what it makes; `make infra-docs` writes the rest",
    ]
    return draft


def _new_name(
    name: str, known: "tuple[str, ...] | list[str]", kind: str, pattern: str = r"[a-z][a-z0-9]*"
) -> None:
    if not re.fullmatch(pattern, name):
        raise TargetError(f"{name!r} is no name of a {kind}", hint="lower-case letters and digits, a letter first")
    if name in known:
        raise TargetError(f"there is a {kind} {name} already", hint=f"there are: {', '.join(known)}")


def _after_regions(text: str, entry: str) -> str:
    """Return the contract with an entry after the last region: the first one is home, so order matters."""
    lines = text.splitlines(keepends=True)
    start = next(place for place, line in enumerate(lines) if line.startswith("regions:"))
    end = start + 1
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    return "".join([*lines[:end], entry, *lines[end:]])


def _path(root: Path, workspace: str) -> Path:
    return root / "infra" / "shared" / "vars" / f"{workspace}.tfvars"


def _named(environment: str, region: str) -> str:
    return f"infra/shared/vars/{environment}-{region}.tfvars"


def _variables(root: Path, workspace: str) -> str:
    return _path(root, workspace).read_text(encoding="utf-8")


def _with(text: str, values: Mapping[str, str], network: ipaddress.IPv4Network) -> str:
    """Return a variable file with other values, and the subnets of the model in another network."""
    for name, value in values.items():
        text = re.sub(rf'^({name}\s*=\s*)".*"$', rf'\g<1>"{value}"', text, flags=re.MULTILINE)
    old = re.search(r'^vpc_cidr\s*=\s*"([0-9]+\.[0-9]+)\.', text, re.M)
    if old is None:
        raise DeployError("the variable file to copy has no vpc_cidr")
    new = ".".join(str(network.network_address).split(".")[:2])
    return re.sub(rf'"{re.escape(old[1])}\.', f'"{new}.', text)


def _networks(root: Path) -> list[ipaddress.IPv4Network]:
    files = (root / "infra" / "shared" / "vars").glob("*.tfvars")
    return [ipaddress.IPv4Network(settings(path)["vpc_cidr"]) for path in sorted(files)]


def _free_network(used: list[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    for network in ipaddress.IPv4Network("10.0.0.0/8").subnets(new_prefix=16):
        if not any(network.overlaps(one) for one in used):
            return network
    raise DeployError("no /16 of 10.0.0.0/8 is free", hint="give the new workspaces addresses by hand")


def _block(text: str, output: str) -> str:
    found = re.search(rf'^output "{output}" {{.*?^}}\n', text, re.M | re.S)
    if found is None:
        raise DeployError(f"the layer to copy has no output {output!r}")
    return found[0]
