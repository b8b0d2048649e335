"""The contract files are read, and what is wrong in them is named by file, line and key."""

import re
import shutil
from pathlib import Path

import pytest

from cutlass.contracts import (
    FOLDER_VARIABLE,
    Access,
    contracts_folder,
    load_catalogue,
    load_functions,
    load_openapi,
    load_operations,
    load_queues,
    load_tables,
    load_topology,
)
from cutlass.contracts.openapi import check_names
from cutlass.domain.errors import ContractError
from cutlass.domain.plans import AtEnd, PeriodKind

LOADERS = {
    "plans.yaml": load_catalogue,
    "regions.yaml": load_topology,
    "tables.yaml": load_tables,
    "functions.yaml": load_functions,
    "openapi.yaml": load_openapi,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the contracts, in use."""
    copy = tmp_path / "contracts"
    shutil.copytree(contracts_folder(), copy)
    monkeypatch.setenv(FOLDER_VARIABLE, str(copy))
    return copy


def edit(file: Path, old: str, new: str) -> int:
    """Replace the first `old`, and return the line it stood on."""
    text = file.read_text()
    assert old in text, f"{file.name} has no {old!r}"
    file.write_text(text.replace(old, new, 1))
    return text[: text.index(old)].count("\n") + 1


def test_the_catalogue_is_as_written():
    catalogue = load_catalogue()
    enterprise = catalogue.plans["enterprise"]
    assert enterprise.period is PeriodKind.MONTH
    assert enterprise.meters["requests"].user_limit is None
    assert enterprise.meters["requests"].wait_for_regions
    assert enterprise.meters["requests"].at_end is AtEnd.OVERAGE
    assert catalogue.features["report.export"].units == 5
    assert [plan.rank for plan in catalogue.plans.values()] == [0, 1, 2]


def test_the_other_files_are_as_written():
    assert list(load_topology().regions) == ["london", "sydney"]
    assert load_topology().regions["sydney"].continents == ("OC", "AS", "AN")
    assert load_tables()["usage-credits"].resource("dev") == "cutlass-tech-usage-credits-dev"
    function = load_functions()["usage-check"]
    assert function.resource("dev", "london") == "cutlass-tech-usage-check-dev-london"
    assert function.reentrant
    assert function.tables["usage-credits"] is Access.WRITE
    assert load_functions()["meter"].streams[0].has_attribute is None
    assert load_functions()["rebalance"].streams[0].has_attribute == "minted"
    assert load_functions()["meter"].streams[0].on_failure in load_queues()
    (source,) = load_functions()["stream-recovery"].queues
    failures = load_queues()[source.queue]
    assert failures.dead_letter is not None
    assert failures.visibility_timeout_seconds >= load_functions()["stream-recovery"].timeout_seconds
    assert load_queues()[failures.dead_letter.queue].dead_letter is None
    assert load_queues()["notifications"].alarm_age_seconds == 300
    assert failures.alarm_age_seconds == 900
    functions = load_functions()
    assert functions["notifier"].sends == ("webhooks",)
    assert {name for name, function in functions.items() if function.mails} == {"notifier", "digests"}
    assert {name for name, function in functions.items() if function.delays} == {"webhook-sender"}
    assert {operation.path for operation in load_operations()} == set(load_openapi()["paths"])


def test_a_file_is_read_once():
    assert load_catalogue() is load_catalogue()
    assert load_openapi() is load_openapi()


BROKEN = [
    ("plans.yaml", "included: 10000,", "included: 1.5,", "plans.basic.meters.requests.included: must be a whole"),
    ("plans.yaml", "included: 10000,", "included: true,", "plans.basic.meters.requests.included: must be a whole"),
    (
        "plans.yaml",
        "included: 10000,",
        'included: "10000",',
        "plans.basic.meters.requests.included: must be a whole",
    ),
    ("plans.yaml", "included: 10000,", "included: -1,", "plans.basic.meters.requests.included: -1 is not between"),
    ("plans.yaml", "included: 10000,", "included: 1000000000001,", "plans.basic.meters.requests.included: 100"),
    ("plans.yaml", "included: 10000,", f"included: {'9' * 5000},", "plans.basic.meters.requests.included: 999"),
    ("plans.yaml", "user_limit: 1000,", "user_limit: none,", "plans.basic.meters.requests.user_limit: must be"),
    (
        "plans.yaml",
        "user_limit: 1000,",
        "user_limit: 1000, wait_for_regions: perhaps,",
        "plans.basic.meters.requests.wait_for_regions: must be",
    ),
    (
        "functions.yaml",
        "filter: {has_attribute: minted}",
        "filter: {attribute: minted}",
        "functions.rebalance.streams[0].filter.attribute: unknown key",
    ),
    (
        "functions.yaml",
        "filter: {has_attribute: minted}",
        "filter: {has_attribute: 7}",
        "functions.rebalance.streams[0].filter.has_attribute: must be",
    ),
    ("plans.yaml", "user_limit: 1000,", "user_limt: 1000,", "plans.basic.meters.requests.user_limt: unknown key"),
    ("plans.yaml", "user_limit: 1000, ", "", "plans.basic.meters.requests.user_limit: missing"),
    ("plans.yaml", "at_end: deny}", "at_end: stop}", "plans.basic.meters.reports.at_end: 'stop' is not one of"),
    ("plans.yaml", "at_end: deny}", "at_end: overage}", "plans.basic.meters.reports.overage_cap: missing"),
    (
        "plans.yaml",
        "at_end: deny}",
        "at_end: deny, overage_cap: 1}",
        "plans.basic.meters.reports.overage_cap: has",
    ),
    (
        "plans.yaml",
        "meter: requests\n    units: 1",
        "meter: rquests\n    units: 1",
        "features.default.meter: there is no",
    ),
    (
        "plans.yaml",
        "[default, data.query, report.export]",
        "[default, data.qery]",
        "plans.basic.features[1]: there is",
    ),
    (
        "plans.yaml",
        "[default, data.query, report.export]",
        "[default, default]",
        "plans.basic.features[1]: 'default' is",
    ),
    ("plans.yaml", "period: month", "period: week", "plans.basic.period: 'week' is not one of day, month"),
    ("plans.yaml", "  default:\n", "  standard:\n", "features.default: a request that names no feature"),
    ("plans.yaml", "  premium:\n", "  basic:\n", "plans.basic: given twice, first on line"),
    ("plans.yaml", "meters:\n  requests:", "meters:\n  Requests:", "meters.Requests: a name here must match"),
    ("plans.yaml", "title: Basic\n", 'title: ""\n', "plans.basic.title: must not be empty"),
    ("regions.yaml", "home_percent: 80", "home_percent: 101", "home_percent: 101 is not between 0 and 100"),
    ("regions.yaml", "ap-southeast-2", "eu-west-2", "regions.sydney: is in eu-west-2, as is london"),
    ("regions.yaml", "ap-southeast-2", "australia", "regions.sydney.aws_region: 'australia' does not match"),
    ("regions.yaml", "[OC, AS, AN]", "[OC, EU]", "regions.sydney.continents: EU is london's already"),
    ("regions.yaml", "[OC, AS, AN]", "[Oceania]", "regions.sydney.continents[0]: 'Oceania' does not match AF|AN"),
    (
        "tables.yaml",
        "stream: NEW_AND_OLD_IMAGES",
        "stream: yes",
        "tables.usage-credits.stream: 'yes' is not one of",
    ),
    ("functions.yaml", "ledger: read}", "leger: read}", "functions.usage-check.tables.leger: there is no table"),
    ("functions.yaml", "{table: usage-credits,", "{table: usag,", "functions.meter.streams[0].table: there is no"),
    (
        "functions.yaml",
        "on_failure: stream-failures",
        "on_failure: x",
        "functions.meter.streams[0].on_failure: there",
    ),
    (
        "functions.yaml",
        "timeout_seconds: 10\n",
        "timeout_seconds: ten\n",
        "functions.usage-check.timeout_seconds: must",
    ),
    (
        "functions.yaml",
        "{queue: stream-failures, b",
        "{queue: failures, b",
        "functions.stream-recovery.queues[0].queue",
    ),
    ("functions.yaml", "batch_size: 1,", "batch_size: 0,", "queues[0].batch_size: 0 is not between 1 and 10000"),
    (
        "functions.yaml",
        "batch_size: 1,",
        "batch_size: 11,",
        "queues[0].window_seconds: must be at least 1 for a batch",
    ),
    ("functions.yaml", "batch_size: 1, ", "", "functions.stream-recovery.queues[0].batch_size: missing"),
    (
        "functions.yaml",
        "max_concurrency: 2",
        "max_concurrency: 1",
        "queues[0].max_concurrency: 1 is not between 2",
    ),
    (
        "functions.yaml",
        "alarm_age_seconds: 300",
        "alarm_age_seconds: 345600",
        "queues.notifications.alarm_age_seconds: 345600 is not between 60 and 345599",
    ),
    (
        "functions.yaml",
        "visibility_timeout_seconds: 60",
        "visibility_timeout_seconds: 29",
        "queues[0].queue: messages of 'stream-failures' come again after 29 s, the function may run 30 s",
    ),
    (
        "functions.yaml",
        "visibility_timeout_seconds: 60",
        "visibility_timeout_seconds: 43201",
        "queues.stream-failures.visibility_timeout_seconds: 43201 is not between 0 and 43200",
    ),
    (
        "functions.yaml",
        "{queue: stream-failures-dead,",
        "{queue: dead,",
        "dead_letter.queue: there is no queue 'dead'",
    ),
    (
        "functions.yaml",
        "{queue: stream-failures-dead,",
        "{queue: stream-failures,",
        "dead_letter.queue: the queue 'stream-failures' has a dead-letter queue itself",
    ),
    ("functions.yaml", "max_receives: 10", "max_receives: 1001", "dead_letter.max_receives: 1001 is not between"),
    (
        "functions.yaml",
        "retention_days: 14",
        "retention_days: 6",
        "dead_letter.queue: the queue 'stream-failures-dead' keeps messages 6 days, less than the 7 here",
    ),
    (
        "functions.yaml",
        "reads_streams: [usage-credits,",
        "reads_streams: [ledgr,",
        "reads_streams[0]: there is no table",
    ),
    ("functions.yaml", 'python: "3.13"', "python: 3.13", "python: must be text"),
    ("functions.yaml", "every_seconds: 3600", "every_seconds: 3601", "schedules[0].every_seconds: must be whole"),
    (
        "functions.yaml",
        "on_failure: schedule-failures",
        "on_failure: x",
        "functions.rebalance.schedules[0].on_failure: there is no queue",
    ),
    ("functions.yaml", "sends: [webhooks]", "sends: [webhoks]", "functions.notifier.sends[0]: there is no queue"),
    ("functions.yaml", "mails: true", "mails: 1", "mails: must be true or false"),
    ("functions.yaml", "delays: true", "delays: soon", "functions.webhook-sender.delays: must be true or false"),
    ("functions.yaml", "memory_factor: 2", "memory_factor: 5", "memory_factor: 5 is not between 1 and 4"),
    (
        "functions.yaml",
        "reserved_concurrency: 400",
        "reserved_concurrency: 900",
        "functions: 1017 runs at once are reserved",
    ),
    (
        "functions.yaml",
        "scans: [organisations]",
        "scans: [orgs]",
        "functions.rebalance.scans[0]: there is no table",
    ),
    ("functions.yaml", "visibility_timeout_seconds: 60", "visibility_timeout_seconds: 30", None),
    ("openapi.yaml", "x-cutlass-function: usage-check", "x-cutlass-function: usage", None),
    (
        "openapi.yaml",
        "x-cutlass-function: usage-check",
        "x-cutlass-function: nope",
        "paths./usage-check.post.x-cutlass",
    ),
    (
        "openapi.yaml",
        'schemas/UsageCheck"}',
        'schemas/UsageChek"}',
        "paths./usage-check.post.requestBody.content.",
    ),
    (
        "openapi.yaml",
        "operationId: checkUsageBatch",
        "operationId: checkUsage",
        "is also that of post /usage-check",
    ),
    ("openapi.yaml", "openapi: 3.0.3", "openapi: 3.1.0", "openapi: '3.1.0' does not match"),
    (
        "openapi.yaml",
        "x-cutlass-names: plans",
        "x-cutlass-names: plns",
        "components.schemas.PlanName.x-cutlass-names",
    ),
]


@pytest.mark.parametrize(("file", "old", "new", "expected"), BROKEN)
def test_what_is_wrong_is_named(folder: Path, file: str, old: str, new: str, expected: str | None):
    edit(folder / file, old, new)
    if expected is None:
        LOADERS[file]()
        return
    with pytest.raises(ContractError) as caught:
        LOADERS[file]()
    lines = caught.value.message.splitlines()
    assert all(re.match(rf"contracts/{re.escape(file)}:\d+: ", line) for line in lines), lines
    assert any(expected in line for line in lines), lines
    assert str(folder) in (caught.value.hint or "")


def test_the_line_is_the_line(folder: Path):
    line = edit(folder / "plans.yaml", "included: 10000,", "included: x,")
    with pytest.raises(
        ContractError, match=rf"^contracts/plans\.yaml:{line}: plans\.basic\.meters\.requests\.inc"
    ):
        load_catalogue()


def test_the_line_of_a_queue_is_where_it_is_named(folder: Path):
    line = edit(folder / "functions.yaml", "{queue: stream-failures-dead,", "{queue: stream-failures,")
    with pytest.raises(
        ContractError, match=rf"^contracts/functions\.yaml:{line}: queues\.stream-failures\.dead_l"
    ):
        load_queues()


def test_every_problem_is_reported_at_once(folder: Path):
    edit(folder / "plans.yaml", "included: 10000,", "included: x,")
    edit(folder / "plans.yaml", "period: month", "period: week")
    with pytest.raises(ContractError) as caught:
        load_catalogue()
    assert len(caught.value.message.splitlines()) == 2


def test_what_is_not_yaml_is_refused_with_its_line(folder: Path):
    (folder / "plans.yaml").write_text("meters: {\nplans: [")
    with pytest.raises(ContractError, match=r"^contracts/plans\.yaml:\d+: not YAML"):
        load_catalogue()
    (folder / "regions.yaml").write_bytes(b"regions: \xff")
    with pytest.raises(ContractError, match=r"^contracts/regions\.yaml.*: not YAML"):
        load_topology()


def test_missing_and_empty_files_are_refused(folder: Path):
    (folder / "plans.yaml").unlink()
    (folder / "regions.yaml").write_text("")
    with pytest.raises(ContractError, match="the file is missing"):
        load_catalogue()
    with pytest.raises(ContractError, match="the file is empty"):
        load_topology()


def test_a_missing_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ContractError, match=FOLDER_VARIABLE):
        load_catalogue()


def test_a_third_region_reaches_the_interface(folder: Path):
    edit(
        folder / "regions.yaml", "  sydney:", "  oregon:\n    title: Oregon\n    aws_region: us-west-2\n  sydney:"
    )
    schemas = load_openapi()["components"]["schemas"]
    assert schemas["RegionName"]["enum"] == ["london", "oregon", "sydney"]
    assert schemas["UserPut"]["properties"]["usual_region"]["enum"] == ["london", "oregon", "sydney", None]
    with pytest.raises(
        ContractError, match=r"components\.schemas\.RegionName\.enum: must be london, oregon, sydney"
    ):
        check_names()


def test_a_new_meter_reaches_the_interface(folder: Path):
    edit(folder / "plans.yaml", "meters:\n", "meters:\n  exports:\n    title: Exports\n")
    limits = load_openapi()["components"]["schemas"]["UserLimits"]["properties"]
    assert limits["exports"] == limits["requests"]
