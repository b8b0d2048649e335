"""What the platform survives: stops, kills, and a network that is cut."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from cutlass.platform.processes import start_time
from tests.e2e.running import Platform, eventually

SEED = {"user_id": "test123", "org_id": "org456"}


def check(platform: Platform, region: str = "london", **more: Any) -> Any:
    response = platform.call("POST", "/usage-check", region=region, body=SEED | more)
    assert response.status_code == 200, response.text
    return response.json()


def used(platform: Platform, region: str = "london") -> int:
    balance = platform.call("GET", "/orgs/org456/users/test123/balance", region=region).json()
    return int(balance["meters"]["requests"]["used"])


def restarts(platform: Platform, process: str) -> int:
    return next(int(one["restarts"]) for one in platform.status()["processes"] if one["name"] == process)


def alive(pid: int) -> bool:
    return start_time(pid) is not None


def test_what_was_decided_survives_stops_and_kills_until_it_is_started_over(
    own_platform: Platform, free_base: int
) -> None:
    platform = own_platform
    first = platform.up("--port", str(free_base))
    ports = [int(url.rpartition(":")[2]) for url in [*platform.urls.values(), platform.endpoint]]
    assert ports == [free_base, free_base + 1, free_base + 2]
    check(platform)
    check(platform)

    state = platform.status()
    os.kill(state["pid"], signal.SIGKILL)  # all others end by themselves, and save
    assert platform.command("status").returncode == 1
    assert platform.up() == first, "the ports are the same again"
    assert not [one["name"] for one in state["processes"] if alive(one["pid"])], "an orphan is left"
    eventually(lambda: used(platform) == 2, "what was used is remembered")
    assert check(platform)["user"]["used"] == 3
    eventually(lambda: used(platform, "london") == used(platform, "sydney") == 3, "both regions know of all three")

    pids = [process["pid"] for process in platform.status()["processes"]]
    secrets = (platform.home / "secrets.json").read_text()
    platform.down()
    assert not [pid for pid in pids if alive(pid)], "a process outlived `cutlass down`"
    platform.up()
    assert (platform.home / "secrets.json").read_text() == secrets
    assert check(platform)["user"]["used"] == 4

    platform.down()
    platform.up("--fresh")
    platform.forget_tokens()
    assert used(platform) == 0
    _dies_with_its_emulator(platform)


def _dies_with_its_emulator(platform: Platform) -> None:
    state = platform.status()
    os.kill(platform.pid("emulator"), signal.SIGKILL)
    eventually(lambda: not [one for one in state["processes"] if alive(one["pid"])], "everything stops")
    failure = platform.home / "failure.json"
    eventually(failure.exists, "the reason is left")
    assert "emulator died" in failure.read_text()


def test_a_port_in_use_is_named(platform: Platform, tmp_path: Path) -> None:
    taken = platform.urls["london"].rpartition(":")[2]
    other = Platform(tmp_path / "other")
    done = other.command("up", "--detach", "--port", taken)
    other.client.close()
    assert (done.returncode, done.stdout) == (1, "")
    assert f"port {taken} of 127.0.0.1" in done.stderr
    assert "--port" in done.stderr


@pytest.mark.parametrize("process", ["gateway-london", "consumer-sydney", "replicator"])
def test_a_killed_process_is_started_again(platform: Platform, process: str) -> None:
    before = restarts(platform, process)
    pid = platform.pid(process)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: restarts(platform, process) == before + 1, f"{process} is started again")
    if process == "gateway-london":
        # Its port never closes: whoever comes meanwhile waits, and is answered.
        assert platform.call("GET", "/health", token="").status_code == 200
    assert check(platform)["region"] == "london"


def test_a_killed_gateway_loses_no_decision_and_repeats_none(platform: Platform) -> None:
    org = f"kill-{uuid4().hex[:8]}"
    platform.json("org", "put", org, "--plan", "basic", "--home", "london")
    platform.json("user", "put", org, "u", "--limit", "requests=100")
    ids = [f"{org}-{number}" for number in range(40)]

    def ask(request_id: str) -> Any:
        body = {"org_id": org, "user_id": "u", "request_id": request_id}
        while True:
            try:
                response = platform.call("POST", "/usage-check", body=body)
            except httpx.TransportError:
                continue  # the gateway died under it: asked again, as a client would
            if response.status_code == 200:
                return response.json()
            assert response.status_code in (409, 503), response.text

    eventually(lambda: ask(ids[0])["allowed"], "the organisation is known")
    for number, request_id in enumerate(ids):
        if number in (10, 25):
            os.kill(platform.pid("gateway-london"), signal.SIGKILL)
        assert ask(request_id)["allowed"]
    assert all(ask(request_id)["replayed"] for request_id in ids)

    def counted() -> Any:
        balance = platform.call("GET", f"/orgs/{org}/users/u/balance").json()
        return balance["meters"]["requests"]["used"] == len(ids)

    eventually(counted, "every decision is counted once")

    def recorded() -> bool:
        entries = platform.call("GET", f"/orgs/{org}/ledger?limit=100").json()["items"]
        return [one["kind"] for one in entries].count("decision") == len(ids)

    eventually(recorded, "the ledger has every decision once")


def test_a_partition_cuts_the_regions_and_healing_brings_all_over(platform: Platform) -> None:
    org = f"cut-{uuid4().hex[:8]}"
    platform.json("org", "put", org, "--plan", "premium", "--home", "london")
    platform.json("user", "put", org, "u", "--limit", "requests=1000")

    def allowed(region: str) -> bool:
        body = {"org_id": org, "user_id": "u"}
        return bool(platform.call("POST", "/usage-check", region=region, body=body).json()["allowed"])

    eventually(lambda: allowed("london"), "London knows the organisation")
    eventually(lambda: allowed("sydney"), "Sydney knows it too")
    try:
        assert platform.json("partition", "on") == {"partitioned": True}
        for _ in range(5):
            assert allowed("london"), "each region goes on alone"
        assert platform.status()["replication"]["partitioned"] is True
        assert "cut off" in platform.command("status").stdout
    finally:
        assert platform.json("partition", "off") == {"partitioned": False}

    def total(region: str) -> int:
        balance = platform.call("GET", f"/orgs/{org}/users/u/balance", region=region).json()
        return int(balance["meters"]["requests"]["used"])

    eventually(lambda: total("london") == total("sydney") == 7, "both regions count all seven")


def test_ctrl_c_ends_the_foreground_in_order(own_platform: Platform) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "cutlass.cli.main", "up"],
        env=os.environ | {"CUTLASS_HOME": str(own_platform.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C stops it" in line:
            break
    assert any("curl -X POST $API_URL/usage-check" in line for line in lines), "".join(lines)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    doing = [line for line in rest.splitlines() if line.startswith("cutlass: ")]
    assert [line.split()[1] for line in doing] == ["letting", "consuming", "copying", "saving"]
