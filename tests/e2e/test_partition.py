"""The regions cut off from each other: each goes on with what it holds, and afterwards nothing is wrong."""

import time
from collections import Counter

from cutlass.contracts import load_topology
from cutlass.platform.wire import Wire
from cutlass.storage import keys
from tests.e2e.running import Platform, eventually
from tests.e2e.test_exactness import REGIONS, ask, found, fresh_id, used


def test_cut_off_regions_answer_from_what_they_hold_and_agree_afterwards(platform: Platform) -> None:
    limit = 100
    org = found(platform, limit)
    for region in REGIONS:
        assert ask(platform, org, region, fresh_id())["allowed"]
    assert platform.command("partition", "on").returncode == 0
    try:
        answers = {region: [ask(platform, org, region, fresh_id()) for _ in range(limit)] for region in REGIONS}
    finally:
        assert platform.command("partition", "off").returncode == 0
    allowed = {region: sum(answer["allowed"] for answer in answers[region]) for region in REGIONS}
    refused = Counter(a["reason"] for region in REGIONS for a in answers[region] if not a["allowed"])
    assert all(allowed.values()), allowed
    assert sum(allowed.values()) + 2 <= limit
    assert set(refused) <= {"region_short", "user_limit_reached"}, refused

    spent = sum(allowed.values()) + 2
    deadline = time.monotonic() + 30
    while spent < limit and time.monotonic() < deadline:  # what one region held back can be had from the other
        for region in REGIONS:
            spent += ask(platform, org, region, fresh_id())["allowed"]
    assert spent == limit
    for region in REGIONS:
        assert not ask(platform, org, region, fresh_id())["allowed"]
        eventually(lambda region=region: used(platform, org, region) == limit, f"{region} agrees")

    def recorded() -> bool:
        return bool(platform.json("reconcile", "--org", org, "--ledger")["behind"] == 0)

    eventually(recorded, "every decision is recorded")
    report = platform.json("reconcile", "--ledger")
    assert report["clean"]
    assert report["accounts"][org]["requests"] == {
        "granted": 10_000,
        "used": limit,
        "remaining": 10_000 - limit,
        "reserved": 0,
        "in_transit": 0,
        "overdrawn": 0,
        "expired": 0,
        "burned": 0,
        "gap": 0,
    }


def test_reconcile_names_an_item_that_was_changed_behind_its_back(platform: Platform) -> None:
    org = found(platform, 50)
    assert ask(platform, org, "london", fresh_id())["allowed"]
    pk = keys.allotments("london", org, "u")
    wire = Wire(platform.endpoint, load_topology().regions["london"].aws_region)
    (item,) = wire.call(
        "dynamodb",
        "Query",
        {
            "TableName": "cutlass-tech-usage-credits-dev",
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
        },
    )["Items"]

    def put(available: int) -> None:
        changed = item | {"available": {"N": str(available)}}
        wire.call("dynamodb", "PutItem", {"TableName": "cutlass-tech-usage-credits-dev", "Item": changed})

    held = int(item["available"]["N"])
    put(held + 5)
    try:
        done = platform.command("reconcile", "--org", org)
    finally:
        put(held)
    assert done.returncode == 1
    assert f"allotment: {pk} / {item['sk']['S']}: " in done.stdout
    assert platform.command("reconcile", "--org", org).returncode == 0
    assert platform.command("reconcile", "--org", "nobody").stderr.startswith("cutlass: there is no organisation")
