"""A region is lost and comes back on the running platform, by the operator's commands."""

import os
import signal
from typing import Any

from tests.e2e.running import Platform, eventually
from tests.e2e.test_exactness import ask, found, fresh_id


def sold(platform: Platform, org: str, region: str, most: int) -> int:
    """Ask until it is refused; returns how often it was allowed."""
    for allowed in range(most):
        if not ask(platform, org, region, fresh_id())["allowed"]:
            return allowed
    return most


def states(platform: Platform) -> dict[str, dict[str, Any]]:
    return {row["region"]: row for row in platform.json("region", "status")["regions"]}


def test_a_region_is_fenced_claimed_and_readmitted(own_platform: Platform) -> None:
    platform = own_platform
    platform.up()
    org = found(platform, 90)
    eventually(lambda: platform.call("GET", f"/orgs/{org}/users/u", region="sydney").status_code == 200, "known")
    assert sold(platform, org, "sydney", 6) == 6
    token = platform.token("sydney")

    fenced = platform.json("region", "fence", "sydney", "--why", "a drill", "--by", "olga", "--yes")
    assert fenced["exact"]
    body = {"org_id": org, "user_id": "u", "request_id": fresh_id()}
    refused = platform.call("POST", "/usage-check", region="sydney", token=token, body=body)
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (503, "region-fenced")
    assert refused.headers["retry-after"]
    for path in ("/health", "/ready"):
        eventually(
            lambda path=path: platform.call("GET", path, region="sydney", token=token).status_code == 503, path
        )
        assert platform.call("GET", path, region="london", token=token).status_code == 200

    planned = platform.json("region", "claim", "sydney", "--dry-run")
    moved = platform.json("region", "claim", "sydney")
    assert (moved["how"], moved["claimed"]) == ("exact", 0)
    assert moved["units"] == planned["units"] > 0
    assert sold(platform, org, "london", 100) == 84
    assert states(platform)["sydney"]["why"] == "a drill"

    done = platform.json("region", "readmit", "sydney", "--by", "olga", "--yes")
    assert (done["state"], done["overdrafts"]) == ("serving", [])
    eventually(lambda: platform.call("GET", "/health", region="sydney", token="").status_code == 200, "healthy")
    assert not ask(platform, org, "sydney", fresh_id())["allowed"]


def test_a_dark_region_is_claimed_at_a_risk_and_settles_on_return(own_platform: Platform) -> None:
    platform = own_platform
    platform.up()
    org = found(platform, 90)
    eventually(lambda: platform.call("GET", f"/orgs/{org}/users/u", region="sydney").status_code == 200, "known")
    assert sold(platform, org, "sydney", 6) == 6
    assert sold(platform, org, "london", 2) == 2
    eventually(lambda: all(t["pending"] == 0 for t in platform.json("network")["tables"]), "copies have arrived")
    gateway = platform.pid("gateway-sydney")
    os.kill(gateway, signal.SIGSTOP)
    try:
        platform.json("partition", "on")
        assert platform.command("region", "claim", "sydney", "--yes").returncode == 1, "it is not fenced"
        assert not platform.json("region", "fence", "sydney", "--why", "a drill", "--yes")["exact"]
        refused = platform.command("region", "claim", "sydney")
        assert refused.returncode == 1
        assert "may have spent all of the" in refused.stderr
        risky = ["region", "claim", "sydney", "--unproven", "--margin-seconds", "0"]
        assert platform.command(*risky).returncode == 2
        denied = [*risky, "--writes-denied", "its gateway is stopped"]
        assert platform.command(*denied).returncode == 2, "nobody is there to confirm"
        claimed = platform.json(*denied, "--yes")
        assert claimed["claimed"] > 0
        assert platform.json(*denied, "--yes")["claimed"] == 0
        eventually(lambda: sold(platform, org, "london", 100) == 0, "London has sold all it has", seconds=60)
        assert platform.command("region", "readmit", "sydney", "--yes").returncode == 1, "it does not answer"
        platform.json("partition", "off")
        assert platform.command("region", "readmit", "sydney", "--yes").returncode == 1, "its fence is not walked"
        assert platform.json("region", "fence", "sydney", "--why", "a drill", "--yes")["exact"]
    finally:
        os.kill(gateway, signal.SIGCONT)
    done = platform.json("region", "readmit", "sydney", "--yes")
    assert done["settled"] > 0
    assert done["overdrafts"] == []
    assert states(platform)["sydney"]["unsettled_claims"] == 0
    for region in ("sydney", "london"):
        eventually(lambda r=region: sold(platform, org, r, 100) == 0, f"{region} sells what is left")
    eventually(
        lambda: platform.call("GET", f"/orgs/{org}/users/u/balance").json()["meters"]["requests"]["used"] == 90,
        "the user has all of the limit",
    )
    eventually(
        lambda: platform.call("GET", f"/orgs/{org}/balance").json()["meters"]["requests"]["used"] == 90,
        "exactly the limit was sold",
    )
