"""Changes to what is deployed: a function, a region, and a Terraform that is killed while it works."""

import os
import re
import signal
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from tests.deploy.harness import PACKAGES, Checkout
from tests.deploy.test_1_deploy import HOME, NO_CHANGES, OTHER

pytestmark = pytest.mark.timeout(1800)


def test_a_changed_function_is_planned_and_applied_in_its_layer_only(checkout: Checkout) -> None:
    with zipfile.ZipFile(checkout.root / PACKAGES / "balance.zip", "a") as package:
        package.writestr("one_line.py", "CHANGED = True\n")
    planned = checkout.json("plan", "dev", "--affected")
    assert {step["layer"] for step in planned["steps"]} == {"200-compute-layer"}
    assert {step["workspace"] for step in planned["steps"]} == {HOME, OTHER}
    # In each region the function and its alias; in the bucket the package has another name, and is another object.
    assert planned["totals"] == NO_CHANGES | {"change": 4, "replace": 2}
    applied = checkout.json("apply", f"{HOME}/200", "--yes")
    assert [step["outcome"] for step in applied["steps"]] == ["applied"]
    assert checkout.run("plan", f"{HOME}/200", "--detailed-exitcode").returncode == 0


def test_a_scaffolded_region_is_planned_without_an_edit(checkout: Checkout) -> None:
    assert checkout.run("scaffold", "region", "tokyo", "--aws-region", "ap-northeast-1").returncode == 0
    found = checkout.outcomes("plan", "dev", "--layer", "000", "--layer", "100")
    assert found["dev-tokyo/000-base-network"] == "planned"
    assert found["dev-london/100-data-layer"] == "waiting", "its replica needs Tokyo's key"
    checkout.git("checkout", "--quiet", ".")
    checkout.git("clean", "-fdq", "infra", "contracts")


def test_terraform_killed_in_mid_apply_leaves_a_lock_and_a_rerun_completes(checkout: Checkout) -> None:
    path = checkout.root / "infra/000-base-network/extra.tf"
    path.write_text(
        'resource "aws_kms_key" "extra" {\n  description = "slow to make"\n  enable_key_rotation = true\n}\n',
        encoding="utf-8",
    )
    process = checkout.start("deploy", f"{HOME}/000", "--yes")
    killed = kill_terraform(process)
    process.communicate(timeout=3000)
    assert killed
    assert process.returncode == 1
    refused = checkout.run("deploy", f"{HOME}/000", "--yes")
    assert refused.returncode == 1
    lock = re.search(r"cutlass unlock dev-london/000 ([0-9a-f-]+)", refused.stderr)
    assert lock, refused.stderr
    assert checkout.run("unlock", f"{HOME}/000", lock[1], "--yes").returncode == 0
    assert checkout.outcomes("deploy", f"{HOME}/000", "--yes")[f"{HOME}/000-base-network"] in (
        "applied",
        "unchanged",
    )
    path.unlink()


def kill_terraform(process: "subprocess.Popen[str]") -> bool:
    """Kill the apply that this process started, once it has begun; its own children are known by their parent."""
    while process.poll() is None:
        for children in Path(f"/proc/{process.pid}/task").glob("*/children"):
            for pid in children.read_text(encoding="utf-8").split() if children.exists() else []:
                command = Path(f"/proc/{pid}/cmdline")
                if command.exists() and b"\0apply\0" in command.read_bytes():
                    time.sleep(3)  # until it holds the lock and works
                    os.kill(int(pid), signal.SIGKILL)
                    return True
        time.sleep(0.05)
    return False
