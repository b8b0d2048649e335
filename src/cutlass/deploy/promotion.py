"""What one environment runs, so that another gets exactly that."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutlass.deploy.cloud import Cloud
from cutlass.deploy.errors import RefusedError
from cutlass.deploy.git import Revision
from cutlass.deploy.inputs import differences, digests, packages
from cutlass.deploy.model import Project, Step
from cutlass.deploy.runs import check_credentials


@dataclass(frozen=True, slots=True)
class Release:
    """A commit and the packages of its functions, as an environment runs them."""

    environment: str
    commit: str
    packages: Mapping[str, str]
    smoked_at: str


def running_in(project: Project, environment: str, *, profile: str | None) -> Release:
    """Return what an environment runs.

    Raises
    ------
    RefusedError
        It does not run one commit in all layers and regions, or has not passed smoke since.
    """
    cloud = Cloud(profile)
    check_credentials(cloud, project, environment)
    backend = project.backends[environment]
    notes = {
        step: cloud.read_note(backend, f"{step.workspace}/{step.layer}") for step in project.steps(environment)
    }
    return release_of(environment, notes, cloud.read_note(backend, smoke_note(environment)))


def smoke_note(environment: str) -> str:
    """Return the name of the note of the last smoke test of an environment."""
    return f"{environment}.smoke"


def release_of(
    environment: str, notes: Mapping[Step, Mapping[str, Any] | None], smoke: Mapping[str, Any] | None
) -> Release:
    """Return the release that the notes of an environment tell: pure.

    Raises
    ------
    RefusedError
        It is none that could be promoted; the message says why.
    """
    redeploy = f"`cutlass deploy {environment}` brings every layer to one commit"
    missing = [str(step) for step, note in notes.items() if note is None]
    if missing:
        raise RefusedError(f"{', '.join(missing)} is not deployed by this tool", hint=redeploy)
    commits = {note["commit"] for note in notes.values() if note is not None}
    dirty = [str(step) for step, note in notes.items() if note is not None and not note["clean"]]
    if dirty or None in commits:
        raise RefusedError(
            f"{environment} runs what is not committed, in {', '.join(dirty)}",
            hint=f"commit it, and `cutlass deploy {environment}`",
        )
    special = sorted({option for note in notes.values() if note is not None for option in note.get("options", ())})
    if special:
        raise RefusedError(f"{environment} was deployed with {', '.join(special)}", hint=redeploy)
    if len(commits) != 1:
        shown = ", ".join(sorted(commit[:12] for commit in commits))
        raise RefusedError(f"{environment} runs several commits: {shown}", hint=redeploy)
    last = max(str(note["at"]) for note in notes.values() if note is not None)
    if smoke is None or not smoke["passed"] or str(smoke["at"]) < last:
        state = "has not passed smoke" if smoke is None or not smoke["passed"] else "was deployed after its smoke"
        raise RefusedError(f"{environment} {state}", hint=f"`cutlass smoke {environment}`")
    found: dict[str, str] = {}
    for note in notes.values():
        found |= note["packages"] if note is not None else {}
    return Release(environment, commits.pop(), found, str(smoke["at"]))


def check_checkout(root: Path, project: Project, environment: str, release: Release, revision: Revision) -> None:
    """Refuse unless the checkout is the release: the same commit, no change, the same packages.

    Raises
    ------
    RefusedError
        The message says what differs.
    """
    if revision.commit != release.commit or not revision.clean:
        raise RefusedError(
            f"the checkout is {revision.words}, and {release.environment} runs {release.commit[:12]}",
            hint=f"`git checkout {release.commit[:12]}`, with no changes",
        )
    here: dict[str, str] = {}
    for step in project.steps(environment):
        here |= packages(digests(root, step))
    different = differences(release.packages, here)
    if different:
        raise RefusedError(
            f"the packages here are not those of {release.environment}: {'; '.join(different[:4])}",
            hint="`cutlass package` makes the same bytes from the same commit",
        )
