"""Reports on the running platform: from the command to a file, over both regions, and for nobody else."""

import json
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from botocore.credentials import Credentials

from cutlass.platform.local import ACCOUNT
from cutlass.storage.objects import Bucket
from tests.e2e.running import Platform, eventually

ORG = "reporters"


@pytest.fixture(scope="module")
def platform_with_usage(platform: Platform) -> Platform:
    """The platform with an organisation that was made up."""
    made = platform.json("demo", "--org", ORG)
    assert made["entries"] > 10_000
    assert platform.json("demo", "--org", ORG) == made, "once more, it is the same"
    eventually(lambda: platform.call("GET", f"/orgs/{ORG}", region="sydney").status_code == 200, "it is known")
    return platform


def test_a_report_comes_as_a_file_and_is_charged_once(platform_with_usage: Platform, tmp_path: Path) -> None:
    platform = platform_with_usage
    wanted = ["--org", ORG, "--from", "2026-03-01", "--to", "2026-04-01", "--user", "ann"]
    file = tmp_path / "usage.json"
    made = platform.json("report", "usage", *wanted, "--out", str(file))
    assert (made["status"], made["path"]) == ("succeeded", str(file))
    path = f"/orgs/{ORG}/reports/{made['id']}"
    eventually(lambda: platform.call("GET", path).json()["charged"] == 5, "it is charged")
    assert json.loads(file.read_text())
    again = platform.json("report", "usage", *wanted, "--out", str(tmp_path / "again.json"))
    assert again["id"] == made["id"], "the same request is answered with the same report"
    balance = platform.json("balance", "--org", ORG, "--user", "ann")
    assert balance["meters"]["reports"]["used"] == 5
    listed = platform.json("reports", "list", "--org", ORG)["items"]
    assert made["id"] in [item["id"] for item in listed]


def test_the_other_region_hands_out_its_copy_and_strangers_get_nothing(platform_with_usage: Platform) -> None:
    platform = platform_with_usage
    body = {"type": "summary", "from": "2026-03-01", "to": "2026-04-01", "format": "html"}
    accepted = platform.call("POST", f"/orgs/{ORG}/reports", body=body)
    assert accepted.status_code == 202, accepted.text
    path = accepted.headers["Location"]

    def made() -> bool:
        return platform.call("GET", path, region="sydney").json().get("status") == "succeeded"

    eventually(made, "the other region tells that it is made")
    url = platform.call("GET", path, region="sydney").json()["url"]
    assert "cutlass-tech-reports-copy-dev-london" in url
    page = httpx.get(url, trust_env=False)
    assert page.status_code == 200
    assert page.text.lstrip().lower().startswith("<!doctype html")
    stranger = platform.token("london", org="org456", user="test123", role="admin")
    assert platform.call("GET", path, token=stranger).status_code == 403
    assert platform.call("GET", path.replace(ORG, "org456"), token=stranger).status_code == 404
    assert httpx.get(url.partition("?")[0], trust_env=False, params={"X-Amz-Signature": "0"}).status_code != 200


def test_what_was_decided_a_moment_ago_is_in_a_report(platform_with_usage: Platform, tmp_path: Path) -> None:
    platform, today = platform_with_usage, f"{datetime.now(UTC):%Y-%m-%d}"
    body = {"org_id": ORG, "user_id": "grace", "units": 7}
    assert platform.call("POST", "/usage-check", region="sydney", body=body).json()["allowed"]
    name = f"cutlass-tech-archive-dev-sydney-{ACCOUNT}"
    archive = Bucket(name, "ap-southeast-2", endpoint=platform.endpoint, credentials=Credentials(ACCOUNT, "local"))
    prefix = f"decisions/org={ORG}/month={today[:7]}/day={today}/region=sydney/"
    eventually(lambda: any(archive.list(prefix)), "it is archived")
    file = tmp_path / "today.csv"
    asked = ["--org", ORG, "--from", today, "--granularity", "total", "--filter", "user=grace", "--format", "csv"]
    done = platform.command("report", "usage", *asked, "--to", f"{today}T23:59:59Z", "--out", str(file))
    assert done.returncode == 0, done.stderr
    heading, row = (line.split(",") for line in file.read_text(encoding="utf-8-sig").splitlines())
    assert dict(zip(heading, row, strict=True))["used"] == "7", "London reads the copy of Sydney's archive"


def test_limits_are_enforced(platform_with_usage: Platform) -> None:
    platform = platform_with_usage
    platform.json("user", "put", ORG, "tight", "--limit", "reports=5")
    body = {"type": "usage", "from": "2026-05-01", "user_id": "tight"}

    def ask(day: int) -> httpx.Response:
        return platform.call("POST", f"/orgs/{ORG}/reports", body={**body, "to": f"2026-05-{day:02d}"})

    eventually(lambda: ask(2).status_code in {200, 202}, "the user is known")
    refused = ask(3)
    assert refused.status_code == 429
    assert refused.json()["type"].endswith("#quota-exceeded")
    assert int(refused.headers["Retry-After"]) > 0
    assert "r=0" in refused.headers["RateLimit"]
    schedule = {"every": "day", "user_id": "tight", "report": {"type": "usage"}}
    answer = platform.call("PUT", f"/orgs/{ORG}/report-schedules/daily", body=schedule)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (403, "not-in-plan")


def test_bad_parameters_end_with_one_line(platform_with_usage: Platform) -> None:
    done = platform_with_usage.command("report", "usage", "--org", ORG, "--group-by", "colour")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "group_by" in done.stderr
