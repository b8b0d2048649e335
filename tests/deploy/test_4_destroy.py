"""Taken down again, in reverse; data and state only in steps of their own."""

from pathlib import Path

import pytest

from tests.deploy.harness import Checkout, Operator
from tests.deploy.test_1_deploy import HOME
from tests.support.terraform import BOOTSTRAP, TerraformError

pytestmark = pytest.mark.timeout(1800)


def test_all_is_destroyed_in_reverse_once_data_is_named(checkout: Checkout) -> None:
    refused = checkout.run("destroy", "dev", "--yes")
    assert (refused.returncode, "loses data" in refused.stderr) == (1, True)
    assert set(checkout.outcomes("destroy", "dev", "--yes", "--destroy-data").values()) == {"applied"}
    states = {step["state"] for step in checkout.json("envs", "--env", "dev")["steps"]}
    assert states == {"never deployed", "waiting"}


def test_state_is_given_up_in_two_steps(checkout: Checkout, tmp_path: Path) -> None:
    operator = Operator.in_(checkout, tmp_path)
    operator.override(BOOTSTRAP, "backend")
    operator.terraform.init(BOOTSTRAP, "-backend-config=../shared/backend-config-dev.hcl", data=HOME)
    operator.run(BOOTSTRAP, HOME, "workspace", "select", HOME)
    (operator.terraform.layer(BOOTSTRAP) / "backend_override.tf").unlink()
    moved = ("-migrate-state", "-force-copy", "-backend-config=backend-config-dev.hcl")
    operator.terraform.init(BOOTSTRAP, *moved, data=HOME)
    with pytest.raises(TerraformError, match="Instance cannot be destroyed"):
        operator.with_variables(BOOTSTRAP, HOME, "destroy", "-auto-approve")
    operator.override(BOOTSTRAP, "destroy")
    operator.with_variables(BOOTSTRAP, HOME, "apply", "-auto-approve")
    operator.with_variables(BOOTSTRAP, HOME, "destroy", "-auto-approve")
