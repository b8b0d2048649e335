"""What git says of the checkout."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from cutlass.deploy.errors import DeployError, TargetError


@dataclass(frozen=True, slots=True)
class Revision:
    """The commit that is checked out, None outside git; `changed` are the paths that differ from it."""

    commit: str | None
    changed: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether the checkout is the commit and nothing else."""
        return self.commit is not None and not self.changed

    @property
    def words(self) -> str:
        """The commit as people write it, with a mark where there are changes."""
        if self.commit is None:
            return "no commit"
        return self.commit[:12] + ("" if self.clean else " and changes")


def revision(root: Path) -> Revision:
    """Return what is checked out."""
    head = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if head.returncode != 0:
        return Revision(None, ())
    # Entries end with a zero byte, for names may hold anything else; a renamed file is told as gone and new.
    status = _git(root, "status", "--porcelain", "--no-renames", "-z").stdout
    return Revision(head.stdout.strip(), tuple(entry[3:] for entry in status.split("\0") if entry))


def changed_since(root: Path, base: str) -> list[str]:
    """Return the paths that differ between a commit and the checkout, what is not yet added too.

    Raises
    ------
    TargetError
        There is no such commit.
    """
    known = _git(root, "rev-parse", "--verify", "--quiet", f"{base}^{{commit}}")
    if known.returncode != 0:
        raise TargetError(f"there is no commit {base!r}", hint="name a branch, a tag or a commit of this checkout")
    changed = _git(root, "diff", "--name-only", "--no-renames", "-z", known.stdout.strip()).stdout
    added = _git(root, "ls-files", "--others", "--exclude-standard", "-z").stdout
    return sorted({path for path in (changed + added).split("\0") if path})


def _git(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise DeployError("git is not installed", hint="what is deployed is known by its commit") from None
