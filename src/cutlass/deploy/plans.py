"""Kept plans: the plan file, and everything it was made from, so that what was reviewed is what is applied."""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutlass.deploy.changes import Change, words
from cutlass.deploy.errors import StalePlanError
from cutlass.deploy.inputs import Digests, differences, digest
from cutlass.deploy.model import Step
from cutlass.deploy.records import cannot_write
from cutlass.deploy.states import State

PLAN_FILE = "tfplan"
_FACTS = "plan.json"


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan is made from: the layer's files, its own state, and the outputs of the states it reads."""

    files: Digests
    own: str
    """Lineage and serial of the step's own state; empty before there is one."""
    outputs: Digests
    """By step: the SHA-256 of its outputs."""
    options: tuple[str, ...] = ()
    """Options of the plan that decide what it does, such as -destroy."""

    def changed_to(self, now: "Basis") -> list[str]:
        """Return what a plan would now be made from that this one was not, one line each."""
        lines = differences(self.files, now.files)
        if self.own != now.own:
            lines.append("its state was changed by another apply")
        lines += [
            f"the outputs of {step} changed"
            for step, sha in sorted(now.outputs.items())
            if self.outputs.get(step) != sha
        ]
        return lines


@dataclass(frozen=True, slots=True)
class KeptPlan:
    """A plan that waits to be applied."""

    step: Step
    path: Path
    sha256: str
    commit: str | None
    account: str
    made: str
    """When, in RFC 3339."""
    by: str
    basis: Basis
    changes: tuple[Change, ...]
    pending: bool
    """Whether there is anything to apply: outputs may change though no resource does."""

    @property
    def words(self) -> str:
        """What it would do, in words."""
        return words(self.changes) if self.changes or not self.pending else "outputs to change"

    @property
    def destroys(self) -> bool:
        """Whether it is a plan to destroy everything."""
        return "-destroy" in self.basis.options

    def check(self, now: Basis) -> None:
        """Refuse the plan if it is not the one that was reviewed, or what it was made from has changed.

        Raises
        ------
        StalePlanError
            It is stale; the message lists what changed.
        """
        target = f"cutlass plan {self.step.workspace}/{self.step.layer[:3]}"
        hint = f"look at a new one: `{target}`"
        if not self.path.exists() or digest(self.path) != self.sha256:
            raise StalePlanError(f"the plan file of {self.step} is not the one that was reviewed", hint=hint)
        lines = self.basis.changed_to(now)
        if lines:
            shown = "; ".join(lines[:6]) + (f"; and {len(lines) - 6} more" if len(lines) > 6 else "")
            by_reading = self.basis.files == now.files and self.basis.own == now.own
            message = f"the plan of {self.step} made at {self.made} is stale: {shown}"
            raise StalePlanError(message, hint=hint, by_reading=by_reading)


def own_state(state: State | None) -> str:
    """Return what tells a state from an earlier one. An empty one that `plan` has made counts as none."""
    return "" if state is None or (state.serial <= 1 and state.empty) else f"{state.lineage}/{state.serial}"


def keep(
    folder: Path,
    made: Path,
    *,
    step: Step,
    commit: str | None,
    account: str,
    moment: str,
    by: str,
    basis: Basis,
    changes: list[Change],
    pending: bool,
) -> KeptPlan:
    """Move a plan file that was made in a folder beside `folder` to its place, with its facts.

    The facts come with the plan file, so whoever reads it, or a crash at any moment, sees a plan whole or none.

    Raises
    ------
    DeployError
        The disk is full.
    """
    facts = {
        "step": [step.layer, step.workspace],
        "sha256": digest(made / PLAN_FILE),
        "commit": commit,
        "account": account,
        "made": moment,
        "by": by,
        "basis": {
            "files": dict(basis.files),
            "own": basis.own,
            "outputs": dict(basis.outputs),
            "options": list(basis.options),
        },
        "changes": [change.as_dict() for change in changes],
        "pending": pending,
    }
    try:
        (made / _FACTS).write_text(json.dumps(facts), encoding="utf-8")
        drop(folder)
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from None
    return _kept(folder, facts)


def workplace(folder: Path) -> Path:
    """Return an empty folder beside `folder` to make a plan in; what a crash left there is removed."""
    place = folder.with_name(f".{folder.name}.{os.getpid()}")
    for left in folder.parent.glob(f".{folder.name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    try:
        place.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise cannot_write(place, error) from None
    return place


def kept_plan(folder: Path) -> KeptPlan | None:
    """Return the plan that is kept in a folder; None if there is none."""
    try:
        return _kept(folder, json.loads((folder / _FACTS).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError):
        return None


def drop(folder: Path) -> None:
    """Forget a kept plan."""
    shutil.rmtree(folder, ignore_errors=True)


def _kept(folder: Path, facts: Mapping[str, Any]) -> KeptPlan:
    basis = facts["basis"]
    return KeptPlan(
        step=Step(*facts["step"]),
        path=folder / PLAN_FILE,
        sha256=facts["sha256"],
        commit=facts["commit"],
        account=facts["account"],
        made=facts["made"],
        by=facts["by"],
        basis=Basis(basis["files"], basis["own"], basis["outputs"], tuple(basis["options"])),
        changes=tuple(Change.from_dict(change) for change in facts["changes"]),
        pending=facts["pending"],
    )
