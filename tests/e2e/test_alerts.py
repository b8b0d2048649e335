"""Alerts on a running platform: no fault on the way loses one or records one twice."""

import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.running import Platform, eventually

USERS = [f"user{number}" for number in range(4)]
SHARES = (50, 80, 90, 100)
LIMIT = 60


def put(platform: Platform, path: str, body: object) -> None:
    answer = platform.call("PUT", path, body=body)
    assert answer.status_code in {200, 201}, answer.text


def watched(platform: Platform) -> str:
    """An organisation with users who may spend so many requests each, told of four shares of that."""
    org = f"watched-{uuid4().hex[:8]}"
    put(platform, f"/orgs/{org}", {"plan": "basic"})
    for user in USERS:
        put(platform, f"/orgs/{org}/users/{user}", {"limits": {"requests": LIMIT}})
    thresholds = [{"kind": "percent", "value": share, "scope": "users"} for share in SHARES]
    body = {"thresholds": thresholds, "recipients": {"owner": [f"boss@{org}.example.com"]}}
    put(platform, f"/orgs/{org}/alerts", body)
    return org


def spend(platform: Platform, org: str, user: str, region: str, refused: list[str]) -> None:
    """Spend one unit; what a cut keeps away for a while is asked for again."""
    body = {"org_id": org, "user_id": user, "units": 1}
    end = time.monotonic() + 60
    while time.monotonic() < end:
        answer = platform.call("POST", "/usage-check", region=region, body=body)
        if answer.status_code == 200 and answer.json()["allowed"]:
            return
        refused.append(region)
        time.sleep(0.2)
    raise AssertionError(f"{user} could not spend in {region}")


def go_on(under_way: list[Future[None]], refused: list[str] | None = None) -> None:
    """Wait until some more units were spent or, in a cut, a region is short of what lies beyond it."""
    done = [one for one in under_way if one.done()]
    enough = min(len(done) + 20, len(under_way))
    eventually(lambda: refused or sum(one.done() for one in under_way) >= enough, "usage goes on", seconds=120)


def history(platform: Platform, org: str) -> list[dict[str, Any]]:
    answer = platform.call("GET", f"/orgs/{org}/alerts/history?limit=100")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.timeout(480)
def test_no_kill_and_no_cut_loses_or_repeats_an_alert(own_platform: Platform) -> None:
    platform = own_platform
    platform.up()
    org = watched(platform)
    wanted = [(user, region) for user in USERS for region in ("london", "sydney") for _ in range(LIMIT // 2)]
    random.Random(3).shuffle(wanted)
    refused: list[str] = []
    with ThreadPoolExecutor(4) as pool:
        under_way = [pool.submit(spend, platform, org, user, region, refused) for user, region in wanted]
        for name in ("consumer-london", "consumer-sydney", "consumer-london"):
            go_on(under_way)
            os.kill(platform.pid(name), signal.SIGKILL)
        refused.clear()
        platform.command("partition", "on")
        go_on(under_way, refused)
        platform.command("partition", "off")
        for one in under_way:
            one.result()
    every = Counter((f"user:{user}", f"{share}%") for user in USERS for share in SHARES)

    def recorded() -> Counter[tuple[str, str]]:
        return Counter((alert["scope"], alert["threshold"]) for alert in history(platform, org))

    eventually(lambda: not every - recorded(), "every threshold of every user is crossed", seconds=90)
    assert recorded() == every
    told = [alert for alert in history(platform, org) if alert["told"]]
    assert all(
        alert["told"] or alert["told_by"] in {one["id"] for one in told} for alert in history(platform, org)
    )

    def mailed() -> set[tuple[str, str]]:
        found = platform.json("mailbox", "--to", f"boss@{org}.example.com", "--last", "100")
        return {(user, mail["subject"]) for mail in found for user in USERS if user in mail["text"]}

    # A set: a kill right between SES's answer and the log's entry may repeat a mail, and nothing can hinder it.
    named = ((alert["scope"].removeprefix("user:"), alert["threshold"]) for alert in told)
    subjects = {(user, f"{org}: {threshold} of requests used") for user, threshold in named}
    # A message that a killed consumer held comes again only when its time of three minutes is over.
    eventually(lambda: mailed() == subjects, "a mail of each alert that is told", seconds=240)
    assert recorded() == every
