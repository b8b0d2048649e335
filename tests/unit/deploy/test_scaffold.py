"""What `cutlass scaffold` writes is taken in by everything that reads the checkout, with no edit of code."""

import ipaddress
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cutlass.cli.main import main
from cutlass.contracts import load_topology, topology
from cutlass.deploy.errors import TargetError
from cutlass.deploy.model import Step
from cutlass.deploy.scaffold import environment_draft, layer_draft, region_draft
from cutlass.deploy.source import ROOT_VARIABLE, load_project, settings
from cutlass.domain.errors import UnavailableError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    left = shutil.ignore_patterns(".terraform*", "state")
    shutil.copytree(ROOT / "infra", tmp_path / "infra", symlinks=True, ignore=left)
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts")
    return tmp_path


def networks(root: Path) -> list[ipaddress.IPv4Network]:
    files = sorted((root / "infra/shared/vars").glob("*.tfvars"))
    return [ipaddress.IPv4Network(settings(path)["vpc_cidr"]) for path in files]


def test_a_region_is_an_entry_and_a_variable_file_per_environment(root: Path) -> None:
    before = load_topology(ROOT / "contracts")
    region_draft(root, load_project(root), "tokyo", "ap-northeast-1", "Tokyo").write()
    topology._load.cache_clear()  # a process reads a contract once
    project = load_project(root)
    assert project.regions == (*before.regions, "tokyo"), "the home region stays the first"
    assert [project.workspaces[f"{name}-tokyo"].aws_region for name in project.environments] == [
        "ap-northeast-1"
    ] * 3
    settled = {"CUTLASS_CONTRACTS": str(root / "contracts")}
    command = [sys.executable, "-m", "cutlass.contracts"]
    done = subprocess.run(command, env=os.environ | settled, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = networks(root)
    assert not [1 for place, one in enumerate(found) for other in found[:place] if one.overlaps(other)]
    values = settings(root / "infra/shared/vars/dev-tokyo.tfvars")
    assert values["domain_name"] == "api-dev-tokyo.your-domain.com"
    assert values["certificate_arn"].startswith("arn:aws:acm:ap-northeast-1:111111111111:")
    assert (
        Step("000-base-network", "dev-tokyo") in project.dependencies("dev")[Step("100-data-layer", "dev-london")]
    )


def test_an_environment_gets_an_account_addresses_and_a_backend_of_its_own(root: Path) -> None:
    environment_draft(root, load_project(root), "trial", "444444444444").write()
    project = load_project(root)
    assert {one.account for one in project.of("trial")} == {"444444444444"}
    assert "444444444444" in project.backends["trial"].bucket
    assert [one.region for one in project.of("trial")] == list(project.regions)
    assert (root / "infra/000-base-network/backend-config-trial.hcl").read_text().count("444444444444") == 1
    assert 'workspace_dir = "state/trial"' in (root / "infra/bootstrap/backend-config-trial.hcl").read_text()
    assert len(set(networks(root))) == len(networks(root))


def test_commands_that_read_tables_know_a_new_environment(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = []

    def open_stores(environment: str) -> None:
        opened.append(environment)
        raise UnavailableError("no table")

    monkeypatch.setattr("cutlass.platform.operator.open_stores", open_stores)
    command = ["reconcile", "--environment", "trial"]
    monkeypatch.setenv(ROOT_VARIABLE, str(root))
    assert main(command) == 2
    assert "there is no environment 'trial'" in capsys.readouterr().err
    environment_draft(root, load_project(root), "trial", "444444444444").write()
    assert main(command) == 1
    monkeypatch.setenv(ROOT_VARIABLE, str(root / "nowhere"))
    assert main(command) == 1, "without a checkout the tables themselves have to tell"
    assert opened == ["trial", "trial"]


def test_a_layer_has_what_every_layer_has(root: Path) -> None:
    layer_draft(root, load_project(root), "250-search").write()
    project = load_project(root)
    assert project.layers["250-search"].number == "250"
    folder = root / "infra/250-search"
    assert 'key = "layers/250-search/terraform.tfstate"' in (folder / "backend.tf").read_text()
    assert (folder / "variables.tf").resolve() == (root / "infra/shared/variables.tf").resolve()
    assert 'output "workspace"' in (folder / "outputs.tf").read_text()


def test_what_is_there_already_is_refused(root: Path) -> None:
    project = load_project(root)
    for draft in (
        lambda: region_draft(root, project, "london", "eu-west-1", "London"),
        lambda: region_draft(root, project, "dublin", "eu-west-2", "Dublin"),
        lambda: region_draft(root, project, "dublin", "Ireland", "Dublin"),
        lambda: region_draft(root, project, "Dublin", "eu-west-1", "Dublin"),
        lambda: environment_draft(root, project, "dev", "444444444444"),
        lambda: environment_draft(root, project, "trial", "111111111111"),
        lambda: environment_draft(root, project, "trial", "1"),
        lambda: layer_draft(root, project, "search"),
        lambda: layer_draft(root, project, "100-search"),
    ):
        with pytest.raises(TargetError):
            draft()
