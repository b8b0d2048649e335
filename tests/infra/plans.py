"""Every layer's plan in every workspace, made by `terraform test` with a mocked AWS."""

import functools
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cutlass.contracts import load_functions, load_topology
from tests.support.terraform import ENVIRONMENTS, LAYERS, Terraform, once_per_environment

REGIONS = tuple(load_topology().regions)
HOME = REGIONS[0]
WORKSPACES = [f"{environment}-{region}" for environment in ENVIRONMENTS for region in REGIONS]


def workspaces(layer: str) -> list[str]:
    """Return where a layer is applied: in every workspace, or once per environment, in its home region."""
    home = [name for name in WORKSPACES if name.endswith(f"-{HOME}")]
    return home if once_per_environment(layer) else WORKSPACES


STEPS = [(layer, workspace) for layer in LAYERS for workspace in workspaces(layer)]


@dataclass(frozen=True)
class Resource:
    """A resource a plan makes: attributes known while planning, and the names of those that are not."""

    address: str
    type: str
    values: Mapping[str, Any]
    unknown: frozenset[str]


@dataclass
class Outcome:
    """What one call of `terraform test` told."""

    plans: dict[str, list[Resource]] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)
    """By run: the messages of what failed."""

    @property
    def plan(self) -> list[Resource]:
        """The first plan: with the values of the variable file alone."""
        return next(iter(self.plans.values()))

    def counts(self) -> Counter[str]:
        return Counter(resource.type for resource in self.plan)


class Planner:
    """Initialises each layer once, and plans it in each workspace once."""

    def __init__(self, folder: Path) -> None:
        self.terraform = Terraform.copied(folder)
        # What Terraform plans to upload it only hashes: any bytes do.
        zips = folder / "build" / "lambda" / "arm64"
        zips.mkdir(parents=True)
        for name in load_functions():
            (zips / f"{name}.zip").write_text(name, encoding="utf-8")
        self.ready = functools.cache(self._ready)
        self.outcome = functools.cache(self._outcome)

    def _ready(self, layer: str) -> None:
        self.terraform.init(layer, "-backend=false")

    def _outcome(self, layer: str, workspace: str) -> Outcome:
        return self.test(layer, workspace)

    def test(self, layer: str, workspace: str, *options: str, verbose: bool = True) -> Outcome:
        """Run the tests of a layer in a workspace; `verbose` for the plans too, not only for what failed."""
        self.ready(layer)
        variables = f"-var-file=vars/{workspace}.tfvars"
        done = self.terraform.attempt(
            layer, "test", "-json", variables, *options, *["-verbose"] * verbose, workspace=workspace
        )
        outcome = Outcome()
        for event in map(json.loads, done.stdout.splitlines()):
            if event["type"] == "test_plan":
                changes = event["test_plan"].get("resource_changes", [])
                outcome.plans[event["@testrun"]] = list(planned(changes))
            elif event["type"] == "diagnostic" and event["diagnostic"]["severity"] == "error":
                told = f"{event['diagnostic']['summary']}: {event['diagnostic']['detail']}"
                outcome.errors.setdefault(event.get("@testrun", ""), []).append(told)
        assert done.returncode == 0 or outcome.errors, done.stdout[-2000:] + done.stderr
        return outcome


@functools.cache
def planner() -> Planner:
    """Return the planner of this process."""
    return Planner(Path(tempfile.mkdtemp(prefix="cutlass-infra-")))


def planned(changes: list[dict[str, Any]]) -> Iterator[Resource]:
    for change in changes:
        if change["mode"] == "managed":
            unknown = frozenset(name for name, value in change["change"]["after_unknown"].items() if value)
            yield Resource(change["address"], change["type"], change["change"]["after"], unknown)
