"""What the deployment reads from the repository's own infra/, and from layers written otherwise."""

from pathlib import Path

import pytest

from cutlass.deploy.errors import DeployError, TargetError
from cutlass.deploy.inputs import digests, read_by, touched
from cutlass.deploy.model import Read, Scope, Step
from cutlass.deploy.source import load_project, read_layer
from cutlass.deploy.targets import parse_target
from tests.support.checkouts import Checkout

ROOT = Path(__file__).parents[3]
PROJECT = load_project(ROOT)
LONDON, SYDNEY = "dev-london", "dev-sydney"


def test_the_repository_is_three_accounts_in_the_regions_of_the_contract() -> None:
    assert PROJECT.environments == ("dev", "staging", "prod")
    assert PROJECT.regions[:2] == ("london", "sydney")
    assert len({PROJECT.home(name).account for name in PROJECT.environments}) == 3
    assert all(PROJECT.home(name).account in PROJECT.backends[name].bucket for name in PROJECT.environments)
    assert "bootstrap" not in PROJECT.layers


def test_the_data_layer_needs_every_network_and_london_goes_first() -> None:
    graph = PROJECT.dependencies("dev")
    networks = {Step("000-base-network", LONDON), Step("000-base-network", SYDNEY)}
    assert graph[Step("100-data-layer", LONDON)] == networks
    assert graph[Step("100-data-layer", SYDNEY)] == networks | {Step("100-data-layer", LONDON)}


@pytest.mark.parametrize(
    ("reads", "found"),
    [
        ("{}", []),
        ('{ a = { layer = "000-a", workspace = local.workspace } }', [Read("000-a", Scope.SAME)]),
        (
            '{\n  a = {\n    layer = "000-a"\n    workspace = "${var.environment}-${local.home}"\n  }\n}',
            [Read("000-a", Scope.HOME)],
        ),
        (
            '{ for n in local.peers : n => { layer = "000-a", workspace = "${var.environment}-${n}" } }',
            [Read("000-a", Scope.EVERY)],
        ),
        (
            '{ for n in ["000-a", "100-b"] : n => { layer = n, workspace = local.workspace } }',
            [Read("000-a", Scope.EVERY), Read("100-b", Scope.EVERY)],
        ),
        ('merge({ a = { layer = "000-a", workspace = anything(1) } }, {})', [Read("000-a", Scope.EVERY)]),
        ('{\n  # a = { layer = "000-a" }\n  // "100-b"\n}', []),
    ],
)
def test_what_a_layer_reads_is_understood_or_taken_for_more(tmp_path: Path, reads: str, found: list[Read]) -> None:
    (tmp_path / "data.tf").write_text(f'locals {{\n  reads = {reads}\n  other = "100-b"\n}}\n', encoding="utf-8")
    assert list(read_layer(tmp_path, ["000-a", "100-b"]).reads) == found


def test_a_layer_is_made_from_its_files_through_links_and_its_own_variables() -> None:
    found = {str(path.relative_to(ROOT)) for path in read_by(ROOT, Step("100-data-layer", SYDNEY))}
    assert {
        "infra/100-data-layer/main.tf",
        "infra/shared/states.tf",
        "infra/shared/vars/dev-sydney.tfvars",
        "infra/shared/backend-config-dev.hcl",
        "infra/modules/bucket/main.tf",
        "contracts/tables.yaml",
        "contracts/regions.yaml",
    } <= found
    assert not [path for path in found if path.endswith((".md", ".tftest.hcl", "dev-london.tfvars"))]
    network = {str(path.relative_to(ROOT)) for path in read_by(ROOT, Step("000-base-network", SYDNEY))}
    assert "contracts/tables.yaml" not in network


def test_packages_are_read_where_their_path_is_computed(tmp_path: Path) -> None:
    checkout = Checkout.make(tmp_path, {"200-code": "{}"})
    code = checkout.root / "infra/200-code/main.tf"
    code.write_text(
        'locals { zip = "${path.module}/../../build/lambda/arm64/${each.key}.zip" }\n', encoding="utf-8"
    )
    folder = checkout.root / "build/lambda/arm64"
    folder.mkdir(parents=True)
    (folder / "check.zip").write_bytes(b"one")
    step = Step("200-code", LONDON)
    before = digests(checkout.root, step)
    assert "build/lambda/arm64/check.zip" in before
    (folder / "check.zip").write_bytes(b"two")
    assert digests(checkout.root, step)["build/lambda/arm64/check.zip"] != before["build/lambda/arm64/check.zip"]


def test_a_change_touches_the_layers_that_read_it() -> None:
    changed = ["contracts/tables.yaml", "infra/shared/vars/dev-sydney.tfvars", "README.md"]
    assert touched(ROOT, Step("100-data-layer", LONDON), changed) == ["contracts/tables.yaml"]
    assert touched(ROOT, Step("000-base-network", SYDNEY), changed) == ["infra/shared/vars/dev-sydney.tfvars"]
    assert touched(ROOT, Step("000-base-network", LONDON), changed) == []
    gone = ["infra/000-base-network/gone.tf"]
    assert touched(ROOT, Step("000-base-network", LONDON), gone) == gone


def test_targets_name_environments_workspaces_and_layers() -> None:
    assert set(parse_target("dev", PROJECT).steps) == set(PROJECT.steps("dev"))
    assert {step.workspace for step in parse_target("dev-sydney", PROJECT).steps} == {SYDNEY}
    assert parse_target("dev-london/100", PROJECT).steps == (Step("100-data-layer", LONDON),)
    assert parse_target("dev-london/100-data-layer", PROJECT).steps == (Step("100-data-layer", LONDON),)
    assert {step.layer for step in parse_target("dev", PROJECT, ["000"]).steps} == {"000-base-network"}
    for wrong in ("", "paris", "dev-paris", "dev/555", "dev-london/", "dev/bootstrap"):
        with pytest.raises(TargetError):
            parse_target(wrong, PROJECT)


def test_a_variable_file_that_says_too_little_is_named(tmp_path: Path) -> None:
    checkout = Checkout.make(tmp_path, {"000-net": "{}"})
    path = checkout.root / "infra/shared/vars/dev-london.tfvars"
    path.write_text('environment = "dev"\n', encoding="utf-8")
    with pytest.raises(DeployError, match=r"dev-london\.tfvars does not say region, aws_region, aws_account_id"):
        load_project(checkout.root)
