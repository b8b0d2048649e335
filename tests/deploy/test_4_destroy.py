"""Taken down again, in reverse; data and state only in steps of their own."""

from pathlib import Path

import boto3
import pytest

from cutlass.contracts import load_topology
from cutlass.deploy.source import load_project
from tests.deploy.harness import ACCOUNT, Checkout, Operator
from tests.deploy.test_1_deploy import HOME
from tests.support.terraform import BOOTSTRAP, TerraformError

pytestmark = pytest.mark.timeout(1800)


def test_all_state_is_in_the_bucket(checkout: Checkout, endpoint: str) -> None:
    topology = load_topology()
    bucket = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=topology.regions[HOME.partition("-")[2]].aws_region,
        aws_access_key_id=ACCOUNT,
        aws_secret_access_key="local",
    )
    listed = bucket.list_objects_v2(Bucket=f"cutlass-tech-terraform-state-{ACCOUNT}")["Contents"]
    keys = {kept["Key"] for kept in listed}
    assert {step.state_key for step in load_project(checkout.root).steps("dev")} <= keys


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
