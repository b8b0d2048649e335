"""Each layer, planned in each workspace, makes what the inventory says, and nothing else."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.infra.plans import HOME, STEPS, Outcome, planner
from tests.support.terraform import LAYERS

INVENTORY = yaml.safe_load((Path(__file__).parent / "inventory.yaml").read_text(encoding="utf-8"))

EACH = [pytest.param(*step, id="-".join(step)) for step in STEPS]

pytestmark = pytest.mark.usefixtures("terraform")


def plan(layer: str, workspace: str) -> Outcome:
    outcome = planner().outcome(layer, workspace)
    assert not outcome.errors, "\n".join(message for messages in outcome.errors.values() for message in messages)
    return outcome


def expected(layer: str, workspace: str) -> Counter[str]:
    environment, _, region = workspace.partition("-")
    applies = {
        "all": True,
        "home": region == HOME,
        "elsewhere": region != HOME,
        "detailed": environment != "dev",
        "enhanced": environment == "prod",
        "protected_elsewhere": environment != "dev" and region != HOME,
    }
    parts = INVENTORY[layer]
    return sum((Counter(parts[name]) for name in parts if applies[name]), Counter[str]())


@pytest.mark.parametrize(("layer", "workspace"), EACH)
def test_the_plan_holds_the_layers_own_assertions_and_the_inventory(layer: str, workspace: str) -> None:
    assert plan(layer, workspace).counts() == expected(layer, workspace)


@pytest.mark.parametrize(("layer", "workspace"), EACH)
def test_names_tell_the_project_and_the_workspace(layer: str, workspace: str) -> None:
    environment = workspace.partition("-")[0]
    for resource in plan(layer, workspace).plan:
        name = resource.values.get("name") or resource.values.get("bucket")
        if resource.type in {
            "aws_s3_bucket",
            "aws_api_gateway_rest_api",
            "aws_api_gateway_usage_plan",
            "aws_cognito_user_pool",
            "aws_dynamodb_table",
            "aws_iam_role",
            "aws_kms_alias",
            "aws_security_group",
        }:
            assert "cutlass-tech-" in name, f"{resource.address} is called {name}"
            per_account = layer == "bootstrap"
            scope = environment if resource.type == "aws_dynamodb_table" else workspace
            assert per_account or scope in name, f"{resource.address} is called {name}, without {scope}"


def test_the_inventory_has_every_layer() -> None:
    assert sorted(INVENTORY) == sorted(LAYERS)


PARTS_OF_A_FUNCTION = {
    "aws_cloudwatch_log_group",
    "aws_cloudwatch_metric_alarm",
    "aws_iam_role",
    "aws_iam_role_policy",
    "aws_lambda_alias",
    "aws_lambda_function_event_invoke_config",
    "aws_s3_object",
}
"""A function is never without them, so that in a layer of functions they count as one."""


@pytest.mark.parametrize(("layer", "workspace"), EACH)
def test_a_state_stays_small(layer: str, workspace: str) -> None:
    counts = plan(layer, workspace).counts()
    parts = PARTS_OF_A_FUNCTION if counts["aws_lambda_function"] else set()
    counted = sum(count for kind, count in counts.items() if kind not in parts)
    assert counted < 100, "more than a hundred resources in one state: divide the layer"
