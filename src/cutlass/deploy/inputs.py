"""What a layer really reads: its files through links, its modules, contracts, and the packages of functions."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from cutlass.deploy.model import Step
from cutlass.deploy.source import terraform_files

PACKAGES = "build/"
"""Where the packages of functions are: made, not kept in git."""

_MODULE = re.compile(r'^\s*source\s*=\s*"(\.\.?/[^"]+)"', re.MULTILINE)
_REFERENCE = re.compile(r"\$\{path\.module\}/([^\"]*)")

Digests = Mapping[str, str]
"""SHA-256 in hex by path from the root."""


def read_by(root: Path, step: Step) -> list[Path]:
    """Return the files a plan of the step is made from, in order of their paths.

    The variable files of other workspaces are left out: every layer compares its own with them, and takes nothing.
    """
    folder = root / "infra" / step.layer
    environment = step.workspace.partition("-")[0]
    own = [folder / "vars" / f"{step.workspace}.tfvars", folder / f"backend-config-{environment}.hcl"]
    return sorted({_place(root, path) for path in [*_closure(root, folder), *own] if path.is_file()})


def digests(root: Path, step: Step) -> dict[str, str]:
    """Return the SHA-256 of every file the step is made from."""
    resolved = root.resolve()
    return {str(path.relative_to(resolved)): digest(path) for path in read_by(root, step)}


def _place(root: Path, path: Path) -> Path:
    """Return where a file is in the checkout: what a link leads to, unless that is outside."""
    target, resolved = path.resolve(), root.resolve()
    return target if target.is_relative_to(resolved) else resolved / os.path.relpath(path, root)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(before: Digests, now: Digests) -> list[str]:
    """Return what became of the files, one line each."""
    lines = []
    for path in sorted(before.keys() | now.keys()):
        if path not in now:
            lines.append(f"{path} is gone")
        elif path not in before:
            lines.append(f"{path} is new")
        elif before[path] != now[path]:
            lines.append(f"{path} changed")
    return lines


def packages(found: Digests) -> dict[str, str]:
    """Return the part that is packages of functions."""
    return {path: sha256 for path, sha256 in found.items() if path.startswith(PACKAGES)}


def touched(root: Path, step: Step, changed: Iterable[str]) -> list[str]:
    """Return those of the changed paths that the step reads; one that is gone counts where its folder is read."""
    resolved = root.resolve()
    read = {str(path.relative_to(resolved)) for path in read_by(root, step)}
    folders = {str(Path(path).parent) for path in read}
    return sorted(
        path
        for path in changed
        if path in read or (not (root / path).exists() and str(Path(path).parent) in folders and _counts(path))
    )


def module_sources(folder: Path) -> list[str]:
    """Return the local modules a folder calls, as it names them."""
    return sorted({name for path in terraform_files(folder) for name in _MODULE.findall(path.read_text("utf-8"))})


def _counts(path: str) -> bool:
    return path.endswith((".tf", ".yaml", ".zip", ".json"))


def _closure(root: Path, folder: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        if here in seen:
            continue
        seen.add(here)
        for path in terraform_files(here):
            yield path
            text = path.read_text(encoding="utf-8")
            waiting += [(here / source).resolve() for source in _MODULE.findall(text)]
            for reference in _REFERENCE.findall(text):
                yield from _referred(root, here, reference)


def _referred(root: Path, folder: Path, reference: str) -> Iterator[Path]:
    """Yield the files a path in the text may mean: where it is computed, all that begin like it."""
    fixed, computed, _ = reference.partition("${")
    if fixed.split("/")[0] == "vars":
        return
    # Only "..": the whole checkout would be read, and every change touch every layer.
    place = Path(os.path.normpath(folder / fixed))
    if not place.is_relative_to(root) or place == root:
        return
    if not computed and place.is_file():
        yield place
    elif place.is_dir():
        yield from (path for path in sorted(place.rglob("*")) if path.is_file())
    elif computed and place.parent.is_dir():
        yield from (path for path in sorted(place.parent.glob(f"{place.name}*")) if path.is_file())
