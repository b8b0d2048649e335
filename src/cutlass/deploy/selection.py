"""Which steps a change affects: by what each layer really reads."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cutlass.deploy.git import changed_since
from cutlass.deploy.inputs import differences, digests, packages, touched
from cutlass.deploy.model import Step

DEPLOYED = "deployed"
"""In the place of a commit: compare with what is deployed."""


def affected(
    root: Path, steps: Sequence[Step], base: str, notes: Mapping[Step, Mapping[str, Any] | None]
) -> dict[Step, list[str]]:
    """Return the steps that would be made from something else, with what differs, one line each.

    Parameters
    ----------
    root : Path
        The checkout.
    steps : sequence of Step
        Those to look at.
    base : str
        A commit to compare with, or `deployed`.
    notes : mapping
        What is deployed, by step. Packages of functions are not in git: they are always compared with these.

    Raises
    ------
    TargetError
        There is no such commit.
    """
    changed = None if base == DEPLOYED else changed_since(root, base)
    found = {}
    for step in steps:
        note = notes.get(step)
        before: Mapping[str, str] = note["files"] if note else {}
        now = digests(root, step)
        if changed is None:
            reasons = differences(before, now) if note else ["never deployed"]
        else:
            reasons = [f"{path} changed" for path in touched(root, step, changed)]
            reasons += differences(packages(before), packages(now))
        if reasons:
            found[step] = reasons
    return found
