"""Where every step of an environment stands."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from cutlass.deploy.cloud import Cloud
from cutlass.deploy.inputs import differences, digests
from cutlass.deploy.model import Project, Step
from cutlass.deploy.records import now
from cutlass.deploy.runs import check_credentials


class Stand(StrEnum):
    """What became of a step."""

    NEVER = "never deployed"
    WAITING = "waiting"
    PARTLY = "applied in part"
    DEPLOYED = "deployed"
    CHANGED = "deployed, changed since"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True)
class Standing:
    """A step with what is known of it; `detail` says of what it waits, or what changed."""

    step: Step
    stand: Stand
    detail: str
    commit: str | None
    at: str | None
    by: str | None
    lock: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "workspace": self.step.workspace,
            "layer": self.step.layer,
            "state": str(self.stand),
            "detail": self.detail,
            "commit": self.commit,
            "at": self.at,
            "by": self.by,
            "lock": self.lock,
        }


def standings(root: Path, project: Project, environment: str, cloud: Cloud) -> list[Standing]:
    """Return where every step of an environment stands.

    Raises
    ------
    RefusedError
        The credentials are another account's.
    CloudError
        AWS cannot be asked.
    """
    check_credentials(cloud, project, environment)
    backend = project.backends[environment]
    reads = project.dependencies(environment)
    states = {step: cloud.state(backend, step) for step in reads}
    applied = {step: state is not None and state.applied for step, state in states.items()}
    found = []
    for step in reads:
        note = cloud.read_note(backend, f"{step.workspace}/{step.layer}") or {}
        drift = cloud.read_note(backend, f"{step.workspace}/{step.layer}.drift") or {}
        lock = cloud.lock(backend, step)
        state = states[step]
        missing = [str(one) for one in sorted(reads[step]) if not applied[one]]
        if not applied[step] and state is not None and not state.empty:
            stand, detail = Stand.PARTLY, "the last apply did not end: apply again"
        elif not applied[step]:
            stand = Stand.WAITING if missing else Stand.NEVER
            detail = f"for {', '.join(missing)}" if missing else ""
        else:
            stand, detail = _deployed(root, step, note, drift)
        found.append(
            Standing(
                step,
                stand,
                detail,
                commit=note.get("commit"),
                at=note.get("at"),
                by=note.get("by"),
                lock=lock.words(now()) if lock else None,
            )
        )
    return found


def _deployed(root: Path, step: Step, note: dict[str, Any], drift: dict[str, Any]) -> tuple[Stand, str]:
    if drift.get("changes") and drift.get("at", "") >= note.get("at", ""):
        return Stand.DRIFTED, f"{len(drift['changes'])} resources, seen {drift['at']}"
    if not note:
        return Stand.DEPLOYED, "by other means: no record of a commit"
    changed = differences(note["files"], digests(root, step))
    if changed:
        more = f" and {len(changed) - 2} more" if len(changed) > 2 else ""
        return Stand.CHANGED, "; ".join(changed[:2]) + more
    details = [] if note.get("clean") else ["from a checkout with changes"]
    details += [f"with {option}" for option in note.get("options", [])]
    return Stand.DEPLOYED, ", ".join(details)
