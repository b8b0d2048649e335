"""The running platform, as a newcomer meets it."""

import json
import socket
import stat
import time
from typing import Any
from uuid import uuid4

import pytest

from tests.e2e.running import Platform, eventually

SEED = {"user_id": "test123", "org_id": "org456"}


def test_up_prints_what_the_interface_promises(platform: Platform) -> None:
    ready = platform.json("up", "--detach")  # it runs already: the same object again
    assert ready == {
        "environment": "dev",
        "regions": {name: {"url": url, "ready": True} for name, url in platform.urls.items()},
        "aws_endpoint": platform.endpoint,
        "demo": {"org_id": "org456", "user_id": "test123"},
    }
    assert list(platform.urls) == ["london", "sydney"]
    assert all(url.startswith("http://127.0.0.1:") for url in [*platform.urls.values(), platform.endpoint])


@pytest.mark.parametrize("region", ["london", "sydney"])
def test_health_answers_a_head_without_a_body(platform: Platform, region: str) -> None:
    with socket.create_connection(("127.0.0.1", int(platform.urls[region].rpartition(":")[2])), 10) as plain:
        plain.sendall(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: plain.recv(4096), b""))  # a client library would hide a body
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert body == b""
    assert platform.call("HEAD", "/usage-check").headers["allow"] == "POST"


def test_a_second_up_in_the_foreground_says_that_it_runs(platform: Platform) -> None:
    second = platform.command("up")
    assert second.returncode == 1
    assert "already runs" in second.stderr
    fresh = platform.command("up", "--fresh", "--detach", "--json")
    assert (fresh.returncode, fresh.stdout) == (1, "")
    assert "cutlass down" in fresh.stderr


@pytest.mark.parametrize("region", ["london", "sydney"])
@pytest.mark.parametrize("issued_in", ["london", "sydney"])
@pytest.mark.parametrize("who", [{}, {"org": "org456", "user": "test123"}])
def test_the_seed_call_is_allowed_with_a_token_of_either_region(
    platform: Platform, region: str, issued_in: str, who: dict[str, str]
) -> None:
    def decided() -> Any:
        # The demo organisation reaches the other region as everything does: a moment later.
        response = platform.call(
            "POST", "/usage-check", region=region, token=platform.token(issued_in, **who), body=SEED
        )
        assert response.status_code == 200, response.text
        return response if response.json()["allowed"] else None

    response = eventually(decided, f"{region} allows it")
    assert response.json()["region"] == region
    for name in ("ratelimit", "ratelimit-policy", "x-request-id"):
        assert name in response.headers


def test_tokens_are_checked(platform: Platform) -> None:
    good = platform.token()
    head, payload, signature = good.split(".")
    for bad in ("garbage", f"{head}.{payload}.", f"{head}.{payload}.{signature[::-1]}"):
        response = platform.call("POST", "/usage-check", token=bad, body=SEED)
        assert response.status_code == 401, bad
        assert response.headers["content-type"] == "application/problem+json"
    assert platform.call("POST", "/usage-check", token="", body=SEED).status_code == 401
    foreign = platform.token(org="another-org", user="someone")
    assert platform.call("POST", "/usage-check", token=foreign, body=SEED).status_code == 403


def test_no_token_is_written_down_where_it_should_not_be(platform: Platform) -> None:
    token = platform.token()
    platform.call("POST", "/usage-check", body=SEED)
    for log in (platform.home / "logs").iterdir():
        assert token not in log.read_text(errors="replace"), f"{log.name} holds a token"
    (line,) = platform.log("gateway-london").splitlines()[-1:]
    assert json.loads(line)["route"] == "/usage-check"


def test_the_home_is_its_owners_alone(platform: Platform) -> None:
    assert stat.S_IMODE(platform.home.stat().st_mode) == 0o700
    platform.json("balance", "--org", "org456")
    for file in platform.home.rglob("*"):
        if file.is_file():
            assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, f"others may read {file}"


def test_commands_do_what_the_interface_does(platform: Platform) -> None:
    org = f"cli-{uuid4().hex[:8]}"
    made = platform.json("org", "put", org, "--plan", "basic", "--home", "london")
    assert (made["plan"], made["home_region"]) == ("basic", "london")
    assert platform.json("org", "show", org)["plan"] == "basic"
    platform.json("user", "put", org, "ann", "--limit", "requests=3")
    assert platform.json("user", "show", org, "ann")["limits"] == {"requests": 3}
    look = {"org_id": org, "user_id": "ann", "units": 0}
    eventually(lambda: platform.call("POST", "/usage-check", body=look).json()["reason"] == "ok", "it is known")
    answers = [platform.json("check", "--org", org, "--user", "ann") for _ in range(2)]
    assert all(answer["allowed"] for answer in answers)
    refused = platform.command("check", "--org", org, "--user", "ann", "--units", "1000", "--exit-code")
    assert refused.returncode == 3
    assert refused.stdout.startswith("refused: ")
    grant = platform.json(
        "grant", "--org", org, "--meter", "requests", "--amount", "500", "--category", "promotional"
    )
    assert (grant["amount"], grant["category"]) == (500, "promotional")

    def answer(path: str) -> Any:
        return platform.call("GET", f"/orgs/{org}/{path}").json()

    eventually(lambda: answer("users/ann/balance")["meters"]["requests"]["used"] == 2, "the balance counts two")
    eventually(
        lambda: [one["kind"] for one in answer("ledger")["items"]].count("decision") == 2,
        "the ledger has both decisions",
    )
    eventually(lambda: sum(row["units"] for row in answer("usage")["items"]) == 2, "the usage has both")
    for what in ("balance", "ledger", "usage"):
        assert "requests" in platform.command(what, "--org", org).stdout, what
    assert "consumer-sydney" in platform.command("status").stdout
    assert "cutlass-tech-ledger-dev" in platform.command("network").stdout


def test_work_is_reserved_and_committed_from_either_region(platform: Platform) -> None:
    org = f"reserve-{uuid4().hex[:8]}"
    platform.json("org", "put", org, "--plan", "basic", "--home", "london")
    platform.json("user", "put", org, "ann", "--limit", "requests=50")
    look = {"org_id": org, "user_id": "ann", "units": 0}
    eventually(lambda: platform.call("POST", "/usage-check", body=look).json()["reason"] == "ok", "it is known")
    asked = ["--org", org, "--user", "ann", "--units", "10"]
    made = platform.json("reservation", "reserve", *asked)["reservation"]
    assert (made["units"], made["state"]) == (10, "held")
    charged = platform.json("reservation", "commit", made["id"], "--units", "4", "--region", "sydney")
    assert (charged["units"], charged["region"], charged["user"]["used"]) == (4, "london", 4)
    said = platform.command("reservation", "commit", made["id"], "--units", "4")
    assert said.stdout == "charged 4 of 10 requests set aside (answered before, charged once)\n"
    other = platform.command("reservation", "reserve", *asked)
    assert "10 requests held until" in other.stdout
    identity = other.stdout.partition(":")[0]
    too_much = platform.command("reservation", "commit", identity, "--units", "1000")
    assert (too_much.returncode, too_much.stdout) == (1, "")
    assert "can be had" in too_much.stderr
    assert "10 requests given back" in platform.command("reservation", "release", identity).stdout
    assert platform.json("reservation", "show", identity)["state"] == "released"
    platform.json("reservation", "reserve", *asked)
    assert platform.json("balance", "--org", org, "--user", "ann")["meters"]["requests"]["reserved"] == 10

    def kinds() -> list[str]:
        return sorted(entry["kind"] for entry in platform.call("GET", f"/orgs/{org}/ledger").json()["items"])

    eventually(lambda: kinds().count("reserve") == 3 and kinds().count("release") >= 2, "the ledger has them")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "--org", "org456", "--user", "bad id"], "user_id"),
        (["balance", "--org", "nobody-knows-it"], "nobody-knows-it"),
        (["balance", "--org", "org456", "--region", "mars"], "there are: london, sydney"),
        (["org", "put", "x", "--plan", "golden"], "plan"),
    ],
)
def test_a_failed_operation_is_one_line_and_1(platform: Platform, arguments: list[str], says: str) -> None:
    done = platform.command(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert says in done.stderr


def test_token_with_json_tells_its_end(platform: Platform) -> None:
    made = platform.json("token", "--region", "sydney")
    assert made["token"].count(".") == 2
    assert made["expires_at"].endswith("Z")


def test_idle_streams_are_not_polled(platform: Platform) -> None:
    """Consumers and the replicator wait to be told of changes."""

    def polls() -> int:
        calls = platform.client.get(f"{platform.endpoint}/_cutlass/calls").json()
        return int(calls["GetRecords"]["count"])

    def quiet() -> bool:
        before, until = polls(), time.monotonic() + 1
        while time.monotonic() < until:
            platform.client.get(f"{platform.urls['london']}/health")  # which looks at nothing
        return polls() == before

    eventually(quiet, "a second without a poll")


def test_the_gateway_serves_the_contract_it_follows(platform: Platform) -> None:
    served = platform.client.get(f"{platform.urls['london']}/openapi.json").json()
    assert served == platform.json("openapi")
