"""Layers, environments, regions and workspaces, and the steps a deployment is made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

BOOTSTRAP = "bootstrap"
"""The layer that makes the bucket of all state: once per account, by its own command."""

FIRST_GLOBAL_NUMBER = 900
"""Layers from this number on are applied once per environment, in the home region's workspace."""

OPEN_ENVIRONMENT = "dev"
"""The one environment whose data Terraform does not protect; the others ask for their name before a change."""

CLEAN_ENVIRONMENT = "prod"
"""Where only what is committed is applied."""


class Scope(StrEnum):
    """Of which regions a layer reads the states of another."""

    SAME = "same"
    HOME = "home"
    EVERY = "every"


@dataclass(frozen=True, slots=True)
class Read:
    """One entry of a layer's `local.reads`."""

    layer: str
    scope: Scope


@dataclass(frozen=True, slots=True)
class Layer:
    """A folder of `infra/` with a number. One that reads itself is applied in the home region first."""

    name: str
    reads: tuple[Read, ...] = ()

    @property
    def number(self) -> str:
        """The three digits the name begins with."""
        return self.name[:3]

    @property
    def is_global(self) -> bool:
        """Whether it is applied in the home region's workspace only."""
        return int(self.number) >= FIRST_GLOBAL_NUMBER


@dataclass(frozen=True, slots=True)
class Workspace:
    """One variable file: an environment in a region, with the account and AWS's name of the region."""

    environment: str
    region: str
    aws_region: str
    account: str

    @property
    def name(self) -> str:
        """As Terraform's workspace is called."""
        return f"{self.environment}-{self.region}"


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """A layer in a workspace: one Terraform state."""

    layer: str
    workspace: str

    def __str__(self) -> str:
        return f"{self.workspace}/{self.layer}"

    @property
    def state_key(self) -> str:
        """The state's key in the account's bucket."""
        return f"env/{self.workspace}/layers/{self.layer}/terraform.tfstate"


@dataclass(frozen=True, slots=True)
class Backend:
    """Where an environment keeps its states."""

    bucket: str
    aws_region: str
    lock_table: str | None


@dataclass(frozen=True, slots=True)
class Project:
    """Everything there is to deploy, in order: layers by number, regions as the contract lists them."""

    layers: Mapping[str, Layer]
    regions: tuple[str, ...]
    workspaces: Mapping[str, Workspace]
    backends: Mapping[str, Backend]

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments there are variable files for."""
        return tuple(dict.fromkeys(workspace.environment for workspace in self.workspaces.values()))

    def of(self, environment: str) -> list[Workspace]:
        """Return an environment's workspaces, the home region's first."""
        found = [one for one in self.workspaces.values() if one.environment == environment]
        return sorted(found, key=lambda one: self.regions.index(one.region))

    def home(self, environment: str) -> Workspace:
        """Return the workspace of an environment's home region."""
        return self.of(environment)[0]

    def environment_of(self, step: Step) -> str:
        """Return the environment a step is in."""
        return self.workspaces[step.workspace].environment

    def steps(self, environment: str) -> list[Step]:
        """Return all steps of an environment but bootstrap: by layer, then by region."""
        home, *others = [workspace.name for workspace in self.of(environment)]
        return [
            Step(layer.name, workspace)
            for layer in self.layers.values()
            for workspace in ([home] if layer.is_global else [home, *others])
        ]

    def dependencies(self, environment: str) -> dict[Step, frozenset[Step]]:
        """Return for every step of an environment those whose state it reads."""
        steps = self.steps(environment)
        home = self.home(environment).name
        found: dict[Step, frozenset[Step]] = {}
        for step in steps:
            layer = self.layers[step.layer]
            wanted = {one for read in layer.reads for one in steps if _matches(read, one, step, home)}
            found[step] = frozenset(wanted - {step})
        return found


def _matches(read: Read, one: Step, reader: Step, home: str) -> bool:
    if one.layer != read.layer:
        return False
    if read.scope is Scope.SAME:
        # A global layer is in the home workspace whoever reads it.
        return one.workspace == reader.workspace
    return read.scope is Scope.EVERY or one.workspace == home
