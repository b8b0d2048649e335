"""`cutlass` deploys dev to an emulator with the real Terraform: these tests build on each other, in this order.

Layers are those there are; a region and a layer that fail are added on the way.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cutlass.deploy.packages import Builder
from cutlass.deploy.packages import Checkout as Packaged
from cutlass.deploy.source import load_project
from cutlass.deploy.wheels import Architecture
from tests.deploy.conftest import ACCOUNT
from tests.deploy.harness import emulator
from tests.support.terraform import ROOT, mirror, missing

HOME, OTHER = "dev-london", "dev-sydney"
PACKAGES = "build/lambda/arm64"

pytestmark = pytest.mark.timeout(3600)


@dataclass(frozen=True)
class Checkout:
    """A checkout of its own whose AWS is the emulator."""

    root: Path
    endpoint: str

    def start(self, *arguments: str, account: str = ACCOUNT) -> "subprocess.Popen[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        return subprocess.Popen(
            [sys.executable, "-m", "cutlass.cli.main", *arguments],
            cwd=self.root,
            env=kept
            | {
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_ACCESS_KEY_ID": account,
                "AWS_SECRET_ACCESS_KEY": "local",
                "AWS_CONFIG_FILE": os.devnull,
                "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
                "AWS_EC2_METADATA_DISABLED": "true",
                "NO_PROXY": "127.0.0.1",
                "CUTLASS_TERRAFORM_MIRROR": str(mirror()),
                "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, account: str = ACCOUNT) -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, account=account)
        out, err = process.communicate(timeout=3000)
        return subprocess.CompletedProcess(list(arguments), process.returncode, out, err)

    def json(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments, "--json")
        assert done.returncode in (0, 3), f"{' '.join(arguments)}: {done.stderr[-3000:]}"
        return dict(json.loads(done.stdout.splitlines()[-1]))

    def outcomes(self, *arguments: str) -> dict[str, str]:
        steps = self.json(*arguments)["steps"]
        return {f"{step['workspace']}/{step['layer']}": step["outcome"] for step in steps}

    def git(self, *arguments: str) -> None:
        who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com"]
        subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    reason = missing()
    if reason:
        pytest.skip(reason)
    root = tmp_path_factory.mktemp("checkout")
    left = shutil.ignore_patterns(".terraform*", "*.tfstate*", "*_override.tf", "state")
    shutil.copytree(ROOT / "infra", root / "infra", symlinks=True, ignore=left)
    shutil.copytree(ROOT / "contracts", root / "contracts")
    # The emulator runs functions on this machine: it gets packages for it where those for Lambda would be.
    packages = Builder(Packaged.of_this_code(), Architecture.LOCAL)
    packages.build()
    shutil.copytree(packages.folder, root / PACKAGES)
    shutil.copy(ROOT / ".gitignore", root)
    with emulator(tmp_path_factory.mktemp("emulator") / "state") as endpoint:
        made = Checkout(root, endpoint)
        made.git("init", "--quiet")
        made.git("add", "--all")
        made.git("commit", "--quiet", "--message", "begin")
        yield made


def test_nothing_goes_before_bootstrap_or_with_another_account(checkout: Checkout) -> None:
    done = checkout.run("plan", "dev")
    assert (done.returncode, "`cutlass bootstrap dev`" in done.stderr) == (1, True)
    done = checkout.run("bootstrap", "dev", "--yes", account="222222222222")
    assert (done.returncode, "the credentials are of account 222222222222" in done.stderr) == (1, True)


def test_bootstrap_moves_its_state_into_the_bucket_and_may_be_repeated(checkout: Checkout) -> None:
    assert checkout.outcomes("bootstrap", "dev", "--yes") == {f"{HOME}/bootstrap": "applied"}
    assert not list((checkout.root / "infra").rglob("*.tfstate")), "no state is left in the checkout"
    assert checkout.outcomes("bootstrap", "dev", "--yes") == {f"{HOME}/bootstrap": "unchanged"}


def test_deploy_goes_from_nothing_to_two_regions(checkout: Checkout) -> None:
    steps = {str(step) for step in load_project(checkout.root).steps("dev")}
    assert checkout.outcomes("deploy", "dev", "--yes") == dict.fromkeys(steps, "applied")
    assert {step["state"] for step in checkout.json("envs", "--env", "dev")["steps"]} == {"deployed"}


def test_the_graph_has_what_terraform_read(checkout: Checkout) -> None:
    project = load_project(checkout.root)
    for step, known in project.dependencies("dev").items():
        folder = checkout.root / ".cutlass/deploy/data" / step.layer / step.workspace
        done = subprocess.run(
            ["terraform", "state", "pull"],
            cwd=checkout.root / "infra" / step.layer,
            env=os.environ
            | {
                "TF_DATA_DIR": str(folder),
                "TF_WORKSPACE": step.workspace,
                "TF_CLI_CONFIG_FILE": str(checkout.root / ".cutlass/deploy/terraformrc"),
                "AWS_ENDPOINT_URL": checkout.endpoint,
                "AWS_ACCESS_KEY_ID": ACCOUNT,
                "AWS_SECRET_ACCESS_KEY": "local",
                "NO_PROXY": "127.0.0.1",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        read = set(re.findall(r'"prefix": "env/([a-z-]+)/layers/([0-9a-z-]+)/terraform\.tfstate"', done.stdout))
        assert read == {(one.workspace, one.layer) for one in known}, (
            f"{step} waits for other states than it reads"
        )


def test_a_second_plan_and_a_look_for_drift_find_nothing(checkout: Checkout) -> None:
    planned = checkout.json("plan", "dev")
    assert planned["totals"] == {"add": 0, "change": 0, "replace": 0, "destroy": 0, "move": 0}
    assert checkout.run("drift", "dev").returncode == 0


def test_what_a_caller_sees_is_right_in_both_regions(checkout: Checkout) -> None:
    addresses = []
    for region in ("london", "sydney"):
        api = json.loads(checkout.run("outputs", f"dev-{region}", "--name", "api").stdout)
        url = f"{checkout.endpoint}/_aws/execute-api/{api['id']}/{api['stage']}"
        addresses += ["--url", f"{region}={url}"]
    done = checkout.run("smoke", "dev", *addresses)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("passed") == 15


def test_a_changed_function_is_planned_and_applied_in_its_layer_only(checkout: Checkout) -> None:
    with zipfile.ZipFile(checkout.root / PACKAGES / "balance.zip", "a") as package:
        package.writestr("one_line.py", "CHANGED = True\n")
    planned = checkout.json("plan", "dev", "--affected")
    assert {step["layer"] for step in planned["steps"]} == {"200-compute-layer"}
    assert {step["workspace"] for step in planned["steps"]} == {HOME, OTHER}
    assert planned["totals"]["change"] >= 1
    assert planned["totals"]["destroy"] + planned["totals"]["replace"] == 0
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
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        candidates = [*Path(f"/proc/{process.pid}/task").glob("*/children"), children]
        for pids in candidates:
            for pid in pids.read_text(encoding="utf-8").split() if pids.exists() else []:
                command = Path(f"/proc/{pid}/cmdline")
                if command.exists() and b"\0apply\0" in command.read_bytes():
                    time.sleep(3)  # until it holds the lock and works
                    os.kill(int(pid), signal.SIGKILL)
                    return True
        time.sleep(0.05)
    return False


def test_all_is_destroyed_in_reverse_once_data_is_named(checkout: Checkout) -> None:
    refused = checkout.run("destroy", "dev", "--yes")
    assert (refused.returncode, "loses data" in refused.stderr) == (1, True)
    assert set(checkout.outcomes("destroy", "dev", "--yes", "--destroy-data").values()) == {"applied"}
    states = {step["state"] for step in checkout.json("envs", "--env", "dev")["steps"]}
    assert states == {"never deployed", "waiting"}
