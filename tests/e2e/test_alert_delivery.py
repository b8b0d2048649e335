"""What is crossed on a running platform is told once by mail and webhook, and what cannot be told is on show."""

import json
from typing import Any
from uuid import uuid4

import pytest

from cutlass.contracts import load_queues
from cutlass.notifications.events import SIGNATURE_FIELD
from cutlass.platform.local import ENVIRONMENT
from cutlass.platform.queues import send_to_queue
from cutlass.platform.wire import Wire
from tests.e2e.running import Platform, eventually
from tests.support.telling import serving


@pytest.fixture
def org(platform: Platform) -> str:
    """An organisation of the test's own, with a user who may spend ten requests."""
    name = f"told-{uuid4().hex[:8]}"
    assert platform.call("PUT", f"/orgs/{name}", body={"plan": "basic"}).status_code == 201
    limits = {"limits": {"requests": 10}}
    assert platform.call("PUT", f"/orgs/{name}/users/ann", body=limits).status_code == 201
    return name


def watch(platform: Platform, org: str, **more: Any) -> str:
    """Have the organisation told of 50, 80 and 100 %; returns the address."""
    address = f"ops@{org}.example.com"
    thresholds = [{"kind": "percent", "value": value} for value in (50, 80, 100)]
    body = {"thresholds": thresholds, "recipients": {"owner": [address]}} | more
    answer = platform.call("PUT", f"/orgs/{org}/alerts", body=body)
    assert answer.status_code == 200, answer.text
    return address


def spend(platform: Platform, org: str, units: int, region: str = "london") -> None:
    body = {"org_id": org, "user_id": "ann", "units": units}
    assert platform.call("POST", "/usage-check", region=region, body=body).json()["allowed"]


def mails(platform: Platform, address: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = platform.json("mailbox", "--to", address, "--last", "100")
    return found


def test_usage_of_both_regions_is_told_once_per_threshold(platform: Platform, org: str) -> None:
    with serving() as hook:
        address = watch(platform, org, webhook={"url": hook.url})
        for told, units in enumerate((5, 3, 2), 1):  # each step is told by itself only if it is seen by itself
            for number in range(units):
                spend(platform, org, 1, region=("london", "sydney")[number % 2])
            eventually(lambda n=told: len(mails(platform, address)) == n, f"{told} are told", seconds=40)
        subjects = [mail["subject"] for mail in mails(platform, address)]
        assert subjects == [f"{org}: {share} of requests used" for share in ("50%", "80%", "100%")]
        eventually(lambda: len(hook.got) == 3, "the webhook has them too")
        events = [json.loads(body)["data"]["threshold"] for _, _, body in hook.got]
        assert sorted(events) == ["100%", "50%", "80%"]
        assert all(fields[SIGNATURE_FIELD].startswith("t=") for _, fields, _ in hook.got)


def test_a_large_step_tells_the_highest_alone(platform: Platform, org: str) -> None:
    address = watch(platform, org)
    spend(platform, org, 9)
    (mail,) = eventually(lambda: mails(platform, address), "it is told", seconds=40)
    assert mail["subject"] == f"{org}: 80% of requests used"
    assert "has used 9 requests" in mail["text"]


def test_poison_is_shown_with_its_reason_and_dropped_by_the_command(platform: Platform, org: str) -> None:
    dead = load_queues()["notifications-dead"].resource(ENVIRONMENT, "london")
    send_to_queue(Wire(platform.endpoint, "eu-west-2"), dead, {"v": 1, "org_id": org, "alert_id": "none"})
    (letter,) = [
        one
        for one in platform.json("dead-letters", "list", "--queue", "notifications", "--region", "london")
        if org in platform.json("dead-letters", "show", one["id"])["body"]
    ]
    assert letter["from"] == "notifications"
    arguments = ("dead-letters", "drop", letter["id"], "--queue", "notifications", "--region", "london", "--yes")
    assert platform.json(*arguments) == {"messages": [letter["id"]]}
