"""The sources of infra/: their form, what they share, and what keeps a third region from needing code."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from cutlass.contracts import load_topology
from tests.infra import readme
from tests.infra.plans import WORKSPACES, Planner, planner
from tests.support.terraform import ENVIRONMENTS, INFRA, LAYERS, ROOT, binary

SOURCES = sorted(
    path for path in INFRA.rglob("*") if path.suffix in {".tf", ".hcl", ".tfvars"} and not path.is_symlink()
)
SHARED = ("key_actions.tf", "names.tf", "providers.tf", "states.tf", "variables.tf", "versions.tf", "vars")
ACCOUNTS = {"dev": "111111111111", "staging": "222222222222", "prod": "333333333333"}

SIZES = {
    "dev": {"lambda_memory_size": "256", "log_retention_days": "7", "enable_detailed_monitoring": "false"},
    "staging": {"lambda_memory_size": "512", "log_retention_days": "14", "enable_detailed_monitoring": "true"},
    "prod": {"lambda_memory_size": "1024", "log_retention_days": "30", "enable_detailed_monitoring": "true"},
}


def assigned(path: Path) -> dict[str, str]:
    """Return the assignments of a variable or backend file, without quotation marks."""
    found = re.findall(r'^(\w+) += "?(.*?)"?$', path.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(found)


@pytest.mark.usefixtures("terraform")
def test_sources_are_formatted() -> None:
    command = [str(binary()), "fmt", "-check", "-recursive", "-list=true", str(INFRA)]
    quiet = os.environ | {"TF_CLI_CONFIG_FILE": os.devnull}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=quiet)
    assert done.returncode == 0, f"run `terraform fmt -recursive infra`: {done.stdout}{done.stderr}"


@pytest.mark.usefixtures("terraform")
@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_valid(layer: str) -> None:
    planner().ready(layer)
    planner().terraform.run(layer, "validate", "-no-color")


@pytest.mark.parametrize("layer", LAYERS)
def test_what_layers_share_is_linked_not_copied(layer: str) -> None:
    folder = INFRA / layer
    copies = [name for name in SHARED if (folder / name).exists() and not (folder / name).is_symlink()]
    assert not copies, f"{layer} has its own {copies}; link ../shared instead"
    wanted = {"names.tf", "providers.tf", "variables.tf", "versions.tf", "vars"}
    wanted |= {"states.tf", "data.tf"} if layer != "bootstrap" else set()
    own = {"main.tf", "backend.tf", "outputs.tf", "README.md"}
    missing = [name for name in wanted | own if not (folder / name).exists()]
    assert not missing, f"{layer} lacks {missing}"


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_layer_has_the_backend_file_of_each_environment(layer: str, environment: str) -> None:
    told = assigned(INFRA / layer / f"backend-config-{environment}.hcl")
    if layer == "bootstrap":
        assert told == {"workspace_dir": f"state/{environment}"}
        return
    assert f'key = "layers/{layer}/terraform.tfstate"' in (INFRA / layer / "backend.tf").read_text(
        encoding="utf-8"
    )
    assert told == {
        "bucket": f"cutlass-tech-terraform-state-{ACCOUNTS[environment]}",
        "region": next(iter(load_topology().regions.values())).aws_region,
        "workspace_key_prefix": "env",
        "encrypt": "true",
        "kms_key_id": "alias/cutlass-tech-terraform-state",
        "dynamodb_table": "cutlass-tech-terraform-locks",
        "use_lockfile": "true",
    }


def test_every_workspace_has_a_variable_file() -> None:
    assert sorted(path.stem for path in (INFRA / "shared/vars").glob("*.tfvars")) == sorted(WORKSPACES)


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_a_variable_file_sets_what_is_declared_and_the_sizes_of_its_environment(workspace: str) -> None:
    environment, _, region = workspace.partition("-")
    declared = readme.variables(INFRA / "shared/variables.tf")
    values = assigned(INFRA / "shared/vars" / f"{workspace}.tfvars")
    needed = {variable.name for variable in declared if variable.default is None}
    assert values.keys() == needed, "a value that is not declared, or a variable without a value"
    assert values.items() >= SIZES[environment].items()
    assert values["aws_account_id"] == ACCOUNTS[environment]
    assert values["aws_region"] == load_topology().regions[region].aws_region
    assert values["enable_enhanced_security"] == str(environment == "prod").lower()
    assert values["domain_name"].startswith(f"api-{region}." if environment == "prod" else f"api-{workspace}.")


@pytest.mark.parametrize(
    "path", sorted(INFRA.rglob("variables.tf")), ids=lambda path: str(path.relative_to(INFRA))
)
def test_every_variable_has_a_type_and_a_description(path: Path) -> None:
    bare = [variable.name for variable in readme.variables(path) if not variable.type or not variable.description]
    assert not bare, f"without a type or a description: {bare}"


def test_every_shared_variable_but_switches_is_validated() -> None:
    free = {"enable_detailed_monitoring", "allow_data_destruction"}
    text = (INFRA / "shared/variables.tf").read_text(encoding="utf-8")
    blocks = dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}$', text, re.MULTILINE | re.DOTALL))
    assert {name for name, block in blocks.items() if "validation {" not in block} == free


def test_regions_are_data() -> None:
    """No source names a region: a third one is an entry of the contract and variable files."""
    names = {word for name, region in load_topology().regions.items() for word in (name, region.aws_region)}
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        if path.suffix == ".tf" and "tests" not in path.parts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if any(f'"{name}"' in line.partition("#")[0] for name in names) and "Example:" not in line
    ]
    assert not found, "\n".join(found)


@pytest.mark.usefixtures("terraform")
def test_a_third_region_is_an_entry_and_variable_files(tmp_path: Path) -> None:
    """Terraform sorts mappings by name: one that sorts before London must not become home by that."""
    planner = Planner(tmp_path)
    contract = tmp_path / "contracts/regions.yaml"
    text = contract.read_text(encoding="utf-8")
    entry = "\n  aachen:\n    title: Aachen\n    aws_region: eu-central-1\n"
    contract.write_text(text.replace("\nhome_percent:", f"{entry}home_percent:"), encoding="utf-8")
    vars_folder = tmp_path / "infra/shared/vars"
    for number, environment in enumerate(ENVIRONMENTS, 6):
        london = (vars_folder / f"{environment}-london.tfvars").read_text(encoding="utf-8")
        moved = london.replace("london", "aachen").replace("eu-west-2", "eu-central-1")
        moved = re.sub(r"10\.\d+\.", f"10.{number}.", moved)
        (vars_folder / f"{environment}-aachen.tfvars").write_text(moved, encoding="utf-8")

    outcome = planner.outcome("100-data-layer", "dev-london")
    assert not outcome.errors
    tables = [resource for resource in outcome.plan if resource.type == "aws_dynamodb_table"]
    assert tables, "London no longer makes the tables"
    for table in tables:
        regions = {replica["region_name"] for replica in table.values["replica"]}
        assert regions == {"ap-southeast-2", "eu-central-1"}, f"{table.address} has replicas in {regions}"


@pytest.mark.parametrize("layer", LAYERS)
def test_the_inputs_and_outputs_in_a_readme_are_those_of_the_layer(layer: str) -> None:
    page = INFRA / layer / "README.md"
    assert readme.filled(page) == page.read_text(encoding="utf-8"), "run `make infra-docs`"
