"""The repository's own files, as its checks see them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]

_TEXT = {
    ".md",
    ".py",
    ".toml",
    ".txt",
    ".yaml",
    ".yml",
    ".json",
    ".cfg",
    ".sh",
    ".tf",
    ".hcl",
    ".tfvars",
    ".example",
    ".html",
    ".j2",
    ".mjml",
}
_TEXT_NAMES = {"Makefile", "run", ".gitignore", "LICENSE"}
_NOT_OURS = {
    ".git",
    ".venv",
    ".cutlass",
    ".hypothesis",
    ".schemathesis",
    "__pycache__",
    "build",
    "dist",
    "node_modules",
}


def files() -> list[Path]:
    """Return the files under version control, and those that would be added to it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:  # an unpacked archive has no git
        found = [path for path in ROOT.rglob("*") if not _NOT_OURS & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.is_file())


def texts() -> Iterator[tuple[str, str]]:
    """Give every text file: its path from the root, and what it holds."""
    for path in files():
        if path.suffix in _TEXT or path.name in _TEXT_NAMES:
            yield str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")
