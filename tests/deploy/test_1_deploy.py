"""`cutlass` deploys dev to an emulator with the real Terraform, from nothing to two regions."""

import re
from pathlib import Path

import pytest

from cutlass.contracts import load_topology
from cutlass.deploy.source import load_project
from tests.deploy.harness import Checkout, Operator
from tests.support.terraform import BOOTSTRAP, TerraformError

HOME, OTHER = (f"dev-{region}" for region in list(load_topology().regions)[:2])
DATA = "100-data-layer"
NO_CHANGES = {"add": 0, "change": 0, "replace": 0, "destroy": 0, "move": 0}

pytestmark = pytest.mark.timeout(1800)


def test_nothing_goes_before_bootstrap_or_with_another_account(checkout: Checkout) -> None:
    done = checkout.run("plan", "dev")
    assert (done.returncode, "`cutlass bootstrap dev`" in done.stderr) == (1, True)
    done = checkout.run("bootstrap", "dev", "--yes", account="222222222222")
    assert (done.returncode, "the credentials are of account 222222222222" in done.stderr) == (1, True)


def test_terraform_itself_refuses_credentials_of_another_account(checkout: Checkout, tmp_path: Path) -> None:
    operator = Operator.in_(checkout, tmp_path, account="222222222222")
    operator.open(BOOTSTRAP, HOME)
    with pytest.raises(TerraformError, match="AWS account ID not allowed: 222222222222"):
        operator.with_variables(BOOTSTRAP, HOME, "plan")


def test_bootstrap_moves_its_state_into_the_bucket_and_may_be_repeated(checkout: Checkout) -> None:
    assert checkout.outcomes("bootstrap", "dev", "--yes") == {f"{HOME}/bootstrap": "applied"}
    assert not list((checkout.root / "infra").rglob("*.tfstate")), "no state is left in the checkout"
    assert checkout.outcomes("bootstrap", "dev", "--yes") == {f"{HOME}/bootstrap": "unchanged"}


def test_a_region_before_its_home_is_told_to_wait_by_terraform_itself(checkout: Checkout, tmp_path: Path) -> None:
    operator = Operator.in_(checkout, tmp_path)
    operator.open(DATA, OTHER)
    with pytest.raises(TerraformError, match=f"workspace select -or-create {HOME}"):
        operator.with_variables(DATA, OTHER, "plan")


def test_deploy_goes_from_nothing_to_two_regions(checkout: Checkout) -> None:
    steps = {str(step) for step in load_project(checkout.root).steps("dev")}
    assert checkout.outcomes("deploy", "dev", "--yes") == dict.fromkeys(steps, "applied")
    assert {step["state"] for step in checkout.json("envs", "--env", "dev")["steps"]} == {"deployed"}


def test_a_second_plan_finds_nothing_to_change(checkout: Checkout) -> None:
    planned = checkout.json("plan", "dev")
    assert planned["totals"] == NO_CHANGES, [step for step in planned["steps"] if step["outcome"] == "planned"]
    assert checkout.run("drift", f"{HOME}/000").returncode == 0


def test_what_the_command_applied_an_operator_finds_by_hand(checkout: Checkout, tmp_path: Path) -> None:
    operator = Operator.in_(checkout, tmp_path)
    operator.open(DATA, OTHER)
    assert "No changes." in operator.with_variables(DATA, OTHER, "plan")


def test_the_graph_has_what_terraform_read(checkout: Checkout) -> None:
    for step, known in load_project(checkout.root).dependencies("dev").items():
        state = checkout.state(step.state_key)
        read = set(re.findall(r'"prefix": "env/([a-z-]+)/layers/([0-9a-z-]+)/terraform\.tfstate"', state))
        found = {(one.workspace, one.layer) for one in known}
        assert read == found, f"{step} waits for other states than it reads"
