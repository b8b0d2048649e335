"""checkov finds nothing in the sources; what it is told to skip stands beside the resource, with the reason."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.terraform import INFRA, ROOT

HINT = (
    "checkov is not installed: python3 -m venv build/checkov && "
    "build/checkov/bin/pip install --require-hashes -r requirements/checkov.txt"
)


def checkov() -> str:
    """Where checkov is: on the PATH, or in an environment of its own (its pins are not ours)."""
    found = shutil.which("checkov") or shutil.which(ROOT / "build/checkov/bin/checkov")
    if found is None:
        pytest.skip(HINT)
    return found


def failures(folder: Path) -> tuple[int, list[str]]:
    """Return how many checks passed, and those that failed."""
    command = [
        checkov(),
        "-d",
        str(folder),
        "--framework",
        "terraform",
        "-o",
        "json",
        "--skip-download",
        "--quiet",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=220)
    report = json.loads(done.stdout)
    failed = [
        f"{check['check_id']} {check['check_name']}: {check['resource']} ({check['file_path']})"
        for check in report.get("results", {}).get("failed_checks", [])
    ]
    return report.get("summary", report).get("passed", 0), failed


def test_checkov_finds_nothing() -> None:
    passed, failed = failures(INFRA)
    assert not failed, "\n".join(failed)
    assert passed > 100, f"checkov looked at next to nothing: {passed} checks"


def test_checkov_would_find_an_open_bucket(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(
        'resource "aws_s3_bucket" "open" {\n  bucket = "open"\n}\n', encoding="utf-8"
    )
    _, failed = failures(tmp_path)
    assert any("CKV2_AWS_6" in failure for failure in failed), failed


def test_every_skip_has_a_reason() -> None:
    skips = [
        (path, reason)
        for path in INFRA.rglob("*.tf")
        if not path.is_symlink()
        for reason in re.findall(r"checkov:skip=\w+(.*)", path.read_text(encoding="utf-8"))
    ]
    assert skips
    bare = [str(path.relative_to(ROOT)) for path, reason in skips if len(reason.split()) < 4]
    assert not bare, f"a skip without a reason in {bare}"
