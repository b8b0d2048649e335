"""The archive as Athena reads it: its tables, where answers are kept, and who may ask."""

from typing import Any

import pytest

from cutlass.contracts import load_archive, load_buckets, load_functions, load_topology
from cutlass.reporting.athena import WORKGROUP, catalogued
from tests.infra.plans import Resource, planner
from tests.infra.policies import Statement
from tests.infra.test_compute import account_of, made, role
from tests.support.lake import table_input

LAYER = "100-data-layer"
REGIONS = list(load_topology().regions)
ACCOUNT_OF = account_of("dev-london")
FUNCTIONS = load_functions()

pytestmark = pytest.mark.usefixtures("terraform")


def planned(workspace: str, kind: str) -> list[Resource]:
    return [resource for resource in planner().outcome(LAYER, workspace).plan if resource.type == kind]


def archives(workspace: str) -> list[str]:
    """Return the buckets a region reads the archive from."""
    environment, _, region = workspace.partition("-")
    before = REGIONS[REGIONS.index(region) - 1]
    contract, account = load_buckets()["archive"], account_of(workspace)
    return [
        contract.resource(environment, region, account),
        contract.resource(environment, before, account, copy=True),
    ]


def described(table: Resource) -> dict[str, Any]:
    """Return a planned table as Glue takes it."""
    values = table.values
    (storage,) = values["storage_descriptor"]
    (serde,) = storage["ser_de_info"]
    return {
        "Name": values["name"],
        "TableType": values["table_type"],
        "PartitionKeys": [{"Name": key["name"], "Type": key["type"]} for key in values["partition_keys"]],
        "Parameters": values["parameters"],
        "StorageDescriptor": {
            "Columns": [
                {"Name": column["name"], "Type": column["type"], "Comment": column["comment"]}
                for column in storage["columns"]
            ],
            "Location": storage["location"],
            "InputFormat": storage["input_format"],
            "OutputFormat": storage["output_format"],
            "SerdeInfo": {"SerializationLibrary": serde["serialization_library"]},
        },
    }


@pytest.mark.parametrize("workspace", ["dev-london", "prod-sydney"])
def test_the_tables_are_those_the_tests_ask(workspace: str) -> None:
    tables = planned(workspace, "aws_glue_catalog_table")
    by_name = {table["Name"]: table for table in map(described, tables)}
    assert by_name == {catalogued(bucket): table_input(bucket) for bucket in archives(workspace)}
    (database,) = planned(workspace, "aws_glue_catalog_database")
    assert database.values["name"] == catalogued(f"cutlass-tech-reports-{workspace}")
    assert {table.values["database_name"] for table in tables} == {database.values["name"]}


@pytest.mark.parametrize("workspace", ["dev-london", "prod-sydney"])
def test_answers_are_encrypted_where_they_stay_for_a_day_and_are_not_copied(workspace: str) -> None:
    (workgroup,) = planned(workspace, "aws_athena_workgroup")
    (settings,) = workgroup.values["configuration"]
    (result,) = settings["result_configuration"]
    own, scratch = archives(workspace)[0], load_buckets()["archive"].scratch_prefix
    assert workgroup.values["name"] == f"cutlass-tech-reports-{workspace}"
    assert workgroup.values["force_destroy"] is workspace.startswith("dev-")
    assert settings["enforce_workgroup_configuration"] is True
    assert settings["publish_cloudwatch_metrics_enabled"] is True
    assert settings["bytes_scanned_cutoff_per_query"] == load_archive().athena_most_bytes
    assert result["output_location"] == f"s3://{own}/{scratch}"
    (encryption,) = result["encryption_configuration"]
    assert encryption["encryption_option"] == "SSE_KMS"
    assert encryption["kms_key_arn"].endswith(":111111111111:key/objects")
    rules = {
        rule["id"]: rule
        for resource in planned(workspace, "aws_s3_bucket_lifecycle_configuration")
        if resource.address.startswith('module.bucket["archive"]')
        for rule in resource.values["rule"]
    }
    assert rules.keys() == {"objects", "scratch"}
    assert rules["scratch"]["filter"][0]["prefix"] == scratch
    assert rules["scratch"]["expiration"][0]["days"] == 1
    assert rules["scratch"]["noncurrent_version_expiration"][0]["noncurrent_days"] == 1
    copied = {
        resource.address.split('"')[1]: resource.values["rule"][0]["filter"][0]["prefix"]
        for resource in planned(workspace, "aws_s3_bucket_replication_configuration")
    }
    assert copied == {name: bucket.copy_prefix for name, bucket in load_buckets().items()}


def asking(workspace: str, name: str) -> list[Statement]:
    sids = {"AskAthena", "FindTables", "PlaceAnswers", "KeepAnswers"}
    return [statement for statement in role(workspace, name) if statement["Sid"] in sids]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_who_the_contract_says_asks_athena_and_only_its_region(name: str) -> None:
    (function,) = (made("dev-london", "aws_lambda_function")[name],)
    named = function.values["environment"][0]["variables"].get(WORKGROUP)
    if not FUNCTIONS[name].athena:
        assert (asking("dev-london", name), named) == ([], None)
        return
    assert named == "cutlass-tech-reports-dev-london"
    base, database = f"eu-west-2:{ACCOUNT_OF}", catalogued(named)
    own = archives("dev-london")[0]
    found = {statement["Sid"]: statement for statement in asking("dev-london", name)}
    assert found["AskAthena"]["Resource"] == [f"arn:aws:athena:{base}:workgroup/{named}"]
    assert set(found["FindTables"]["Resource"]) == {
        f"arn:aws:glue:{base}:catalog",
        f"arn:aws:glue:{base}:database/default",
        f"arn:aws:glue:{base}:database/{database}",
        *(f"arn:aws:glue:{base}:table/{database}/{catalogued(bucket)}" for bucket in archives("dev-london")),
    }
    assert found["PlaceAnswers"]["Resource"] == [f"arn:aws:s3:::{bucket}" for bucket in archives("dev-london")]
    assert found["KeepAnswers"]["Resource"] == [f"arn:aws:s3:::{own}/{load_buckets()['archive'].scratch_prefix}*"]
    through = {"ForAnyValue:StringEquals": {"aws:CalledVia": ["athena.amazonaws.com"]}}
    conditions = [statement.get("Condition") for sid, statement in found.items() if sid != "AskAthena"]
    assert conditions == [through] * 3
    actions = {action for statement in found.values() for action in statement["Action"]}
    assert not {action for action in actions if action.split(":")[1].startswith(("Create", "Delete", "Update"))}
