"""checkov finds nothing in sources and plans; what it is to skip stands beside the resource, with the reason."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.infra.plans import Resource, workspaces
from tests.infra.test_plans import plan
from tests.support.terraform import INFRA, LAYERS, ROOT

BY_REFERENCE = "CKV2_*,CKV_AWS_21,CKV_AWS_145"
"""What looks for one resource beside another follows references, and a mocked plan tells none: the sources are
checked for that, and tests/infra/test_policies.py holds every bucket of a plan to encryption."""

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


def failures(*where: str | Path) -> tuple[int, list[str]]:
    """Return how many checks passed, and those that failed."""
    command = [checkov(), *map(str, where), "-o", "json", "--skip-download", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=220)
    report = json.loads(done.stdout)
    failed = [
        f"{check['check_id']} {check['check_name']}: {check['resource']} ({check['file_path']})"
        for check in report.get("results", {}).get("failed_checks", [])
    ]
    return report.get("summary", report).get("passed", 0), failed


def as_shown(resources: Iterable[Resource]) -> dict[str, Any]:
    """Return a plan as `terraform show -json` tells it, without the references between its resources."""
    modules: dict[str, list[dict[str, Any]]] = {}
    changes = []
    for resource in resources:
        module, _, name = resource.address.rpartition(f"{resource.type}.")
        facts = {
            "address": resource.address,
            "mode": "managed",
            "type": resource.type,
            "name": name.partition("[")[0],
        }
        modules.setdefault(module.rstrip("."), []).append({**facts, "values": resource.values})
        change = {"actions": ["create"], "before": None, "after": resource.values, "after_unknown": {}}
        changes.append({**facts, "change": change})
    root = {
        "resources": modules.pop("", []),
        "child_modules": [{"address": address, "resources": inside} for address, inside in modules.items()],
    }
    return {
        "format_version": "1.2",
        "terraform_version": "1.11.0",
        "planned_values": {"root_module": root},
        "resource_changes": changes,
        "configuration": {"root_module": {}},
    }


def test_checkov_finds_nothing() -> None:
    passed, failed = failures("-d", INFRA, "--framework", "terraform")
    assert not failed, "\n".join(failed)
    assert passed > 100, f"checkov looked at next to nothing: {passed} checks"


def test_checkov_would_find_an_open_bucket(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(
        'resource "aws_s3_bucket" "open" {\n  bucket = "open"\n}\n', encoding="utf-8"
    )
    _, failed = failures("-d", tmp_path, "--framework", "terraform")
    assert any("CKV2_AWS_6" in failure for failure in failed), failed


@pytest.mark.usefixtures("terraform")
@pytest.mark.parametrize("layer", LAYERS)
def test_checkov_finds_nothing_in_a_plan(layer: str, tmp_path: Path) -> None:
    of_prod = [workspace for workspace in workspaces(layer) if workspace.startswith("prod-")][:1]
    for workspace in of_prod:
        shown = json.dumps(as_shown(plan(layer, workspace).plan))
        (tmp_path / f"{workspace}.json").write_text(shown, encoding="utf-8")
    files = [part for workspace in of_prod for part in ("-f", tmp_path / f"{workspace}.json")]
    options = ("--framework", "terraform_plan", "--skip-check", BY_REFERENCE)
    passed, failed = failures(*files, *options, "--repo-root-for-plan-enrichment", INFRA / layer)
    assert not failed, "\n".join(failed)
    assert passed, "checkov looked at nothing"


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
