"""Refunds and compensation on a running platform, by the command and over HTTP."""

from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.running import Platform, eventually


@pytest.fixture
def user(platform: Platform) -> str:
    """A user of the demo organisation whom no other test charges."""
    name = f"refunded-{uuid4().hex[:8]}"
    assert platform.call("PUT", f"/orgs/org456/users/{name}", body={}).status_code == 201
    return name


def used(platform: Platform, user: str, region: str) -> int:
    balance = platform.call("GET", f"/orgs/org456/users/{user}/balance", region=region).json()
    return int(balance["meters"]["requests"]["used"])


def ledger(platform: Platform, user: str, region: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = platform.json("ledger", "--org", "org456", "--user", user, "--region", region)[
        "items"
    ]
    return found


def check(platform: Platform, user: str, request_id: str, region: str, units: int = 1) -> dict[str, Any]:
    body = {"org_id": "org456", "user_id": user, "units": units, "request_id": request_id}
    answer: dict[str, Any] = platform.call("POST", "/usage-check", region=region, body=body).json()
    return answer


def test_a_charge_is_given_back_by_the_command_from_the_other_region(platform: Platform, user: str) -> None:
    request_id = f"order-{uuid4().hex}"
    assert check(platform, user, request_id, "london", units=5)["allowed"]
    eventually(lambda: ledger(platform, user, "sydney"), "the charge is on record in Sydney")
    arguments = ("refund", "--org", "org456", "--user", user, "--request-id", request_id, "--region", "sydney")
    made = platform.json(*arguments, "--units", "3", "--reason", "broken", "--refund-id", "r1")
    assert (made["units"], made["refunded"], made["charged"], made["region"]) == (3, 3, 5, "london")
    assert [part["units"] for part in made["grants"]] == [3]
    assert platform.json(*arguments, "--units", "3", "--reason", "broken", "--refund-id", "r1") == made
    too_much = platform.command(*arguments, "--units", "3")
    assert (too_much.returncode, too_much.stdout) == (1, "")
    assert "only 2 of the 5 units" in too_much.stderr
    eventually(lambda: used(platform, user, "sydney") == used(platform, user, "london") == 2, "both know of it")
    lines = eventually(
        lambda: [line for line in ledger(platform, user, "london") if line["kind"] == "refund"], "it is on record"
    )
    assert [(line["units"], line["reason"], line["request_id"]) for line in lines] == [(3, "broken", request_id)]


def test_a_request_charged_on_both_sides_of_a_cut_is_charged_once(platform: Platform, user: str) -> None:
    for region in ("london", "sydney"):  # both have their share before the cut
        assert check(platform, user, f"first-{region}-{uuid4().hex}", region)["allowed"]
    eventually(lambda: used(platform, user, "london") == used(platform, user, "sydney") == 2, "both know of both")
    request_id = f"order-{uuid4().hex}"
    assert platform.command("partition", "on").returncode == 0
    try:
        for region in ("london", "sydney"):
            answer = check(platform, user, request_id, region, units=4)
            assert (answer["allowed"], answer["replayed"]) == (True, False)
    finally:
        assert platform.command("partition", "off").returncode == 0
    eventually(
        lambda: [used(platform, user, region) for region in ("london", "sydney")] == [6, 6],
        "what was charged twice is given back once",
        seconds=60,
    )
    lines = eventually(
        lambda: [line for line in ledger(platform, user, "london") if line["kind"] == "refund"], "it is on record"
    )
    assert [(line["region"], line["units"], line["reason"]) for line in lines] == [
        ("sydney", 4, "charged_in_two_regions")
    ]
