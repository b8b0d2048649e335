"""The promise, from outside: a limit admits exactly itself, under load, through kills, while the store is away."""

import itertools
import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx

from cutlass.domain.ids import new_request_id
from tests.e2e.running import Platform, eventually

REGIONS = ("london", "sydney")


def found(platform: Platform, limit: int, *, plan: str = "basic") -> str:
    """Make an organisation with one user, `u`."""
    org = f"exact-{uuid4().hex[:8]}"
    assert platform.call("PUT", f"/orgs/{org}", body={"plan": plan, "home_region": "london"}).status_code == 201
    body = {"limits": {"requests": limit}, "usual_region": "london"}
    assert platform.call("PUT", f"/orgs/{org}/users/u", body=body).status_code == 201
    return org


def fresh_id() -> str:
    return new_request_id(time.time_ns() // 1_000_000)


def ask(platform: Platform, org: str, region: str, request_id: str) -> dict[str, Any]:
    """Ask until there is an answer, as a client does: what is passing is asked again under the same id."""
    body = {"org_id": org, "user_id": "u", "request_id": request_id}
    for _ in range(200):
        try:
            response = platform.call("POST", "/usage-check", region=region, body=body)
        except httpx.TransportError:
            continue
        if response.status_code == 200:
            return response.json()
        assert response.status_code in {409, 503, 504}, response.text
        assert response.headers["content-type"] == "application/problem+json"
    raise AssertionError(f"no answer to {request_id} in {region}")


def used(platform: Platform, org: str, region: str = "london") -> int:
    balance = platform.call("GET", f"/orgs/{org}/balance", region=region).json()
    return int(balance["meters"]["requests"]["used"])


def ledger(platform: Platform, org: str) -> list[dict[str, Any]]:
    entries, cursor = [], ""
    while True:
        page = platform.call("GET", f"/orgs/{org}/ledger?limit=100{cursor}").json()
        entries += page["items"]
        if page["next"] is None:
            return entries
        cursor = f"&cursor={page['next']}"


def agree(platform: Platform, org: str, allowed: dict[str, dict[str, Any]]) -> None:
    """Ledger, balances and answers say the same, once the streams have come through."""
    decisions = {answer["decision_id"] for answer in allowed.values()}
    for region in REGIONS:
        eventually(lambda region=region: used(platform, org, region) == len(allowed), f"{region}'s balance agrees")
    entries = [entry for entry in ledger(platform, org) if entry["kind"] == "decision"]
    assert len(entries) == len(allowed)
    assert {entry["id"] for entry in entries} == decisions
    user = platform.call("GET", f"/orgs/{org}/users/u/balance").json()["meters"]["requests"]
    assert user["used"] == len(allowed)


def test_a_thousand_requests_at_once_over_both_gateways_are_allowed_exactly_to_the_limit(
    platform: Platform,
) -> None:
    org = found(platform, 500)
    ids = [fresh_id() for _ in range(1000)]
    with ThreadPoolExecutor(32) as pool:
        places = itertools.cycle(REGIONS)
        regions = {request_id: next(places) for request_id in ids}
        answers = dict(zip(ids, pool.map(lambda i: ask(platform, org, regions[i], i), ids), strict=True))
    allowed = {i: answer for i, answer in answers.items() if answer["allowed"]}
    assert len(allowed) == 500, Counter(answer["reason"] for answer in answers.values())
    agree(platform, org, allowed)
    some = list(allowed)[::4]
    with ThreadPoolExecutor(8) as pool:
        again = dict(zip(some, pool.map(lambda i: ask(platform, org, regions[i], i), some), strict=True))
    assert again == {i: allowed[i] | {"replayed": True} for i in some}
    assert used(platform, org) == 500


def test_one_region_alone_admits_the_whole_limit(platform: Platform) -> None:
    for region in REGIONS:
        org = found(platform, 60)
        eventually(lambda org=org: platform.call("GET", f"/orgs/{org}/users/u").status_code == 200, "known")
        answers = [ask(platform, org, region, fresh_id()) for _ in range(70)]
        assert sum(answer["allowed"] for answer in answers) == 60, Counter(a["reason"] for a in answers)
        assert {a["reason"] for a in answers if not a["allowed"]} == {"user_limit_reached"}


def test_kills_in_the_middle_of_load_lose_nothing_and_count_nothing_twice(platform: Platform) -> None:
    org = found(platform, 400)
    ids = [fresh_id() for _ in range(600)]
    done = threading.Event()

    def kill() -> None:
        for process in ("consumer-london", "gateway-sydney", "replicator", "gateway-london", "consumer-sydney"):
            if done.wait(0.5):
                return
            os.kill(platform.pid(process), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda n: ask(platform, org, REGIONS[n % 2], ids[n]), range(len(ids))))
    finally:
        done.set()
        killer.join()
    allowed = {i: answer for i, answer in zip(ids, answers, strict=True) if answer["allowed"]}
    assert len(allowed) <= 400
    # A region may have been short while its peer's answer was lost; what is left can still be had.
    rest = 0
    while len(allowed) < 400 and rest < 200:
        rest += 1
        request_id = fresh_id()
        answer = ask(platform, org, REGIONS[rest % 2], request_id)
        if answer["allowed"]:
            allowed[request_id] = answer
        elif answer["reason"] == "region_short":
            time.sleep(0.2)  # what `retry_after` asks for, and less
    assert len(allowed) == 400
    agree(platform, org, allowed)


def test_a_store_that_does_not_answer_gives_503_and_no_partial_effect(platform: Platform) -> None:
    org = found(platform, 50)
    assert ask(platform, org, "london", fresh_id())["allowed"]
    request_id = fresh_id()
    body = {"org_id": org, "user_id": "u", "request_id": request_id}
    emulator = platform.pid("emulator")
    token = platform.token("london")
    os.kill(emulator, signal.SIGSTOP)
    try:
        response = platform.call("POST", "/usage-check", token=token, body=body)
        ready = platform.call("GET", "/ready", token=token)
        health = platform.call("GET", "/health", token="")
    finally:
        os.kill(emulator, signal.SIGCONT)
    assert response.status_code == 503, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"]
    assert (ready.status_code, health.status_code) == (503, 200)
    answer = ask(platform, org, "london", request_id)
    assert answer["allowed"]
    assert ask(platform, org, "london", request_id) == answer | {"replayed": True}
    eventually(lambda: used(platform, org) == 2, "both requests are counted, each once")
