"""What the tool keeps beside the checkout, under `.cutlass/deploy/`."""

from dataclasses import dataclass
from pathlib import Path

from cutlass.deploy.model import BOOTSTRAP, Step


@dataclass(frozen=True, slots=True)
class Folders:
    """Where each thing is; git ignores all of it."""

    root: Path

    @property
    def home(self) -> Path:
        """The folder of it all, for its owner alone: plans hold secrets."""
        return self.root / ".cutlass" / "deploy"

    def ensure(self) -> None:
        """Make the folders that are not there."""
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("data", "plans", "runs", "logs"):
            (self.home / name).mkdir(mode=0o700, exist_ok=True)

    def data(self, step: Step) -> Path:
        """Terraform's own data of a step (`TF_DATA_DIR`): none is shared, so steps run side by side."""
        return self.home / "data" / step.layer / step.workspace

    def plan(self, step: Step) -> Path:
        """The kept plan of a step."""
        return self.home / "plans" / step.workspace / step.layer

    def layer(self, step: Step) -> Path:
        """Where Terraform is called for a step. Bootstrap is called in a copy, for its backend changes."""
        if step.layer == BOOTSTRAP:
            return self.bootstrap(step) / "infra" / BOOTSTRAP
        return self.root / "infra" / step.layer

    def bootstrap(self, step: Step) -> Path:
        """The copy of what bootstrap reads, with its state until that is in the bucket."""
        return self.home / "bootstrap" / step.workspace

    def log(self, run: str, step: Step, command: str) -> Path:
        """What Terraform wrote in a run."""
        return self.home / "logs" / run / f"{step.workspace}.{step.layer}.{command}.jsonl"

    @property
    def runs(self) -> Path:
        """One file per run."""
        return self.home / "runs"

    @property
    def settings(self) -> Path:
        """Terraform's own settings, where a mirror of providers is named."""
        return self.home / "terraformrc"

    def lock(self, environment: str) -> Path:
        """Locked as long as a run changes the environment from this checkout."""
        return self.home / f"{environment}.lock"
