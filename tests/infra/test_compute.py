"""The functions' roles and triggers are those of the contract, and permissions name the items' owners."""

import json
from typing import Any

import pytest

from cutlass.contracts import (
    Access,
    Function,
    load_buckets,
    load_emails,
    load_functions,
    load_tables,
    load_topology,
)
from tests.infra.plans import WORKSPACES, Planner, Resource, planner
from tests.infra.policies import Statement, as_list
from tests.support.permissions import READS
from tests.support.terraform import INFRA

LAYER = "200-compute-layer"
REGIONS = load_topology().regions
FUNCTIONS = load_functions()
WRITES = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}

pytestmark = pytest.mark.usefixtures("terraform")


def made(workspace: str, kind: str) -> dict[str, Resource]:
    """Return the resources of one type by the key in their address."""
    plan = planner().outcome(LAYER, workspace).plan
    found = [resource for resource in plan if resource.type == kind and '["' in resource.address]
    return {resource.address.split('"')[1]: resource for resource in found}


def role(workspace: str, function: str) -> list[Statement]:
    """Return what a function's role says."""
    policy = made(workspace, "aws_iam_role_policy")[function].values["policy"]
    statements: list[Statement] = json.loads(policy)["Statement"]
    return statements


def access(function: Function, region: str, own: str) -> dict[str, Access]:
    """Return what the contract lets a function of the region `own` do with the tables of a region."""
    return dict(function.tables if region == own else function.peer_tables)


def granted(statements: list[Statement], own: str, workspace: str) -> set[tuple[str, str, str]]:
    """Return what a role allows on tables: the action, the region and the table's name in the contract."""
    account = account_of(workspace)
    arns = {
        f"arn:aws:dynamodb:{facts.aws_region}:{account}:table/cutlass-tech-{table}-test": (region, table)
        for region, facts in REGIONS.items()
        for table in load_tables()
    }
    return {
        (action, *arns[arn])
        for statement in statements
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
        if action.startswith("dynamodb:") and not any("/stream/" in arn for arn in as_list(statement["Resource"]))
        for arn in as_list(statement["Resource"])
    }


def account_of(workspace: str) -> str:
    text = (INFRA / "shared/vars" / f"{workspace}.tfvars").read_text(encoding="utf-8")
    return text.split('aws_account_id = "')[1][:12]


@pytest.mark.parametrize("workspace", ["dev-london", "prod-sydney"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_allows_on_tables_what_the_contract_says_and_no_more(name: str, workspace: str) -> None:
    own = workspace.partition("-")[2]
    function = FUNCTIONS[name]
    reads = {f"dynamodb:{action}" for action in READS - {"Scan"}}
    wanted = {
        (action, region, table)
        for region in REGIONS
        for table, kind in access(function, region, own).items()
        for action in (reads | WRITES if kind is Access.WRITE else reads)
    }
    wanted |= {("dynamodb:Scan", own, table) for table in function.scans}
    assert granted(role(workspace, name), own, workspace) == wanted


@pytest.mark.parametrize("workspace", ["dev-london", "prod-sydney"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_write_is_of_an_item_of_the_region_it_is_sent_to(name: str, workspace: str) -> None:
    for statement in role(workspace, name):
        if statement["Effect"] == "Deny" or not WRITES & set(as_list(statement["Action"])):
            continue
        places = {arn.split(":")[3] for arn in statement["Resource"]}
        (region,) = (region for region, facts in REGIONS.items() if {facts.aws_region} == places)
        assert statement["Condition"] == {
            "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{region}#*"]},
            "Null": {"dynamodb:LeadingKeys": "false"},  # for all of no values would be true
        }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_says_whose_tokens_are_accepted(name: str) -> None:
    statements = role("dev-london", name)
    organisations = {
        arn
        for statement in statements
        if statement["Effect"] == "Allow" and WRITES & set(as_list(statement["Action"]))
        for arn in as_list(statement["Resource"])
        if "cutlass-tech-organisations-" in arn
    }
    denied = {
        arn
        for statement in statements
        if statement["Effect"] == "Deny"
        and set(as_list(statement["Action"])) >= WRITES
        and statement["Condition"] == {"ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["*#issuer"]}}
        for arn in as_list(statement["Resource"])
    }
    assert organisations == denied


def test_a_key_is_used_for_the_tables_of_its_region_and_to_write_only_where_the_function_writes() -> None:
    keys = {
        statement["Resource"][0]: statement
        for statement in role("dev-london", "reconcile")
        if statement["Sid"].startswith("Decrypt")
    }
    assert keys.keys() == {f"arn:aws:kms:{facts.aws_region}:111111111111:key/tables" for facts in REGIONS.values()}
    for key, statement in keys.items():
        assert statement["Action"] == ["kms:Decrypt"]
        assert statement["Condition"] == {
            "StringEquals": {"kms:ViaService": f"dynamodb.{key.split(':')[3]}.amazonaws.com"}
        }
    writing = {
        action
        for statement in role("dev-london", "meter")
        if statement["Sid"] == "DecryptLondon"
        for action in statement["Action"]
    }
    assert writing == {"kms:Decrypt", "kms:GenerateDataKey"}


def streams_of(name: str, sid: str) -> set[str]:
    return {
        arn.partition("cutlass-tech-")[2].partition("-test/")[0]
        for statement in role("dev-london", name)
        if statement["Sid"] == sid
        for arn in statement["Resource"]
    }


def queues_of(name: str, sid: str) -> set[str]:
    return {
        arn.rpartition(":cutlass-tech-")[2].removesuffix("-dev-london")
        for statement in role("dev-london", name)
        if statement["Sid"] == sid
        for arn in statement["Resource"]
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_reaches_the_streams_and_queues_of_the_contract_and_its_own_logs(name: str) -> None:
    function = FUNCTIONS[name]
    assert streams_of(name, "FollowStreams") == {source.table for source in function.streams}
    assert streams_of(name, "ReadStreams") == set(function.reads_streams)
    assert queues_of(name, "TakeMessages") == {source.queue for source in function.queues}
    assert queues_of(name, "SendMessages") == set(function.sends)
    failing = {source.on_failure for source in (*function.streams, *function.schedules)}
    assert queues_of(name, "LeaveFailures") == failing
    (logs,) = (statement for statement in role("dev-london", name) if statement["Sid"] == "WriteOwnLogs")
    group = f"/aws/lambda/cutlass-tech-{name}-dev-london"
    assert logs["Resource"] == f"arn:aws:logs:eu-west-2:111111111111:log-group:{group}:*"


def buckets_of(workspace: str, name: str, sid: str) -> set[str]:
    return {
        arn.removeprefix("arn:aws:s3:::cutlass-tech-").removesuffix("/*")
        for statement in role(workspace, name)
        if statement["Sid"] == sid
        for arn in statement["Resource"]
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_reads_and_writes_the_buckets_of_the_contract(name: str) -> None:
    function, account = FUNCTIONS[name], account_of("dev-london")
    assert function.buckets.keys() <= load_buckets().keys()
    own = {f"{bucket}-dev-{region}-{account}" for bucket in function.buckets for region in REGIONS}
    copies = {f"{bucket}-copy-dev-sydney-{account}" for bucket in function.buckets}  # the one that lies in London
    assert buckets_of("dev-london", name, "ReadObjects") == own | copies
    writes = {
        f"{bucket}-dev-london-{account}" for bucket, access in function.buckets.items() if access is Access.WRITE
    }
    assert buckets_of("dev-london", name, "WriteObjects") == writes, "a region writes only what is its own"
    keys = [statement for statement in role("dev-london", name) if statement["Sid"] == "OpenObjects"]
    assert len(keys) == bool(function.buckets)


def test_the_worker_has_the_disk_and_time_of_the_contract() -> None:
    values = made("dev-london", "aws_lambda_function")["report-worker"].values
    assert values["ephemeral_storage"] == [{"size": FUNCTIONS["report-worker"].ephemeral_mb}]
    assert values["timeout"] == 900
    variables = values["environment"][0]["variables"]
    archives = [
        "s3://cutlass-tech-archive-dev-london-111111111111",
        "s3://cutlass-tech-archive-copy-dev-sydney-111111111111",
    ]
    assert json.loads(variables["CUTLASS_ARCHIVES"]) == archives


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_sends_and_delays_messages_of_the_queues_of_the_contract(name: str) -> None:
    function = FUNCTIONS[name]
    assert queues_of(name, "SendMessages") == set(function.sends)
    taken = {source.queue for source in function.queues}
    assert queues_of(name, "DelayMessages") == (taken if function.delays else set())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_role_sends_mail_from_one_address_by_the_contracts_templates_or_none(name: str) -> None:
    allowed = [statement for statement in role("dev-london", name) if "ses:SendEmail" in statement["Action"]]
    if not FUNCTIONS[name].mails:
        assert not allowed
        return
    (statement,) = allowed
    base = "arn:aws:ses:eu-west-2:111111111111"
    (domain,) = (arn.rpartition("/")[2] for arn in statement["Resource"] if ":identity/" in arn)
    templates = {f"{base}:template/{email.resource('dev', 'london')}" for email in load_emails().values()}
    set_arn = f"{base}:configuration-set/cutlass-tech-mail-dev-london"
    assert set(statement["Resource"]) == {f"{base}:identity/{domain}", set_arn, *templates}
    assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": f"alerts@{domain}"}}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_right_to_network_interfaces_is_not_the_codes(name: str) -> None:
    statements = {statement["Sid"]: statement for statement in role("dev-london", name)}
    denied = statements["NoNetworkForCode"]
    assert denied["Effect"] == "Deny"
    assert denied["Action"] == statements["JoinNetwork"]["Action"]
    arn = f"arn:aws:lambda:eu-west-2:111111111111:function:cutlass-tech-{name}-dev-london"
    assert denied["Condition"] == {"ArnEquals": {"lambda:SourceFunctionArn": arn}}


def test_streams_start_functions_as_the_contract_says() -> None:
    mappings = made("dev-london", "aws_lambda_event_source_mapping")
    sources = {
        f"{name}-{source.table}": source for name, function in FUNCTIONS.items() for source in function.streams
    }
    assert mappings.keys() == sources.keys()
    for key, source in sources.items():
        values = mappings[key].values
        assert values["batch_size"] == source.batch_size
        assert values["maximum_batching_window_in_seconds"] == source.window_seconds
        assert values["maximum_retry_attempts"] == source.retries
        assert values["bisect_batch_on_function_error"] == source.bisect
        assert values["function_response_types"] == ["ReportBatchItemFailures"]
        assert values["starting_position"] == "TRIM_HORIZON"
        assert patterns(values) == (
            [{"dynamodb": {"NewImage": {source.has_attribute: {"N": [{"exists": True}]}}}}]
            if source.has_attribute
            else []
        )


def patterns(values: dict[str, Any]) -> list[Any]:
    return [
        json.loads(chosen["pattern"]) for criteria in values["filter_criteria"] for chosen in criteria["filter"]
    ]


def test_the_clock_starts_functions_as_the_contract_says() -> None:
    schedules = made("dev-london", "aws_scheduler_schedule")
    wanted = {
        f"{name}-{schedule.every_seconds}": schedule.every_seconds // 60
        for name, function in FUNCTIONS.items()
        for schedule in function.schedules
    }
    assert schedules.keys() == wanted.keys()
    for key, minutes in wanted.items():
        rate = schedules[key].values["schedule_expression"]
        assert rate == ("rate(1 minute)" if minutes == 1 else f"rate({minutes} minutes)")
    scheduled = {name for name, function in FUNCTIONS.items() if function.schedules}
    assert made("dev-london", "aws_lambda_function_event_invoke_config").keys() == scheduled


@pytest.mark.parametrize("workspace", WORKSPACES)
def test_functions_are_given_what_the_contract_reserves(workspace: str) -> None:
    for name, resource in made(workspace, "aws_lambda_function").items():
        function = FUNCTIONS[name]
        assert resource.values["reserved_concurrent_executions"] == (function.reserved_concurrency or -1)
        assert resource.values["timeout"] == function.timeout_seconds
        assert resource.values["handler"] == function.handler


def test_no_more_is_kept_waiting_than_is_reserved_for_the_decision() -> None:
    reserved = FUNCTIONS["usage-check"].reserved_concurrency
    text = (INFRA / "shared/variables.tf").read_text(encoding="utf-8")
    assert f"var.decision_provisioned_concurrency <= {reserved}\n" in text


def test_alarms_are_where_detailed_monitoring_is() -> None:
    assert not made("dev-london", "aws_cloudwatch_metric_alarm")
    assert len(made("prod-london", "aws_cloudwatch_metric_alarm")) >= len(FUNCTIONS)


def test_a_package_that_is_missing_is_named_with_the_command_that_builds_it(tmp_path: Any) -> None:
    without = Planner(tmp_path)
    (tmp_path / "build/lambda/arm64/meter.zip").unlink()
    told = " ".join(
        message for messages in without.outcome(LAYER, "dev-london").errors.values() for message in messages
    )
    assert "There is no package of meter in build/lambda/arm64" in told
    assert ".venv/bin/cutlass package" in told
