"""Files of reports in the buckets: handed out by links that end, and read from the copy in the other region."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import urllib3
from botocore.credentials import Credentials

from cutlass.contracts import load_buckets, load_topology
from cutlass.domain.errors import UnavailableError
from cutlass.domain.report_jobs import KEEP_MS, Job, Result
from cutlass.platform.local import ACCOUNT
from cutlass.platform.provision import provision
from cutlass.storage.objects import Bucket
from cutlass.storage.report_files import ReportFiles
from cutlass.storage.settings import Settings
from tests.integration.platform.emulators import Emulator, eventually

NOW = datetime.now(UTC)


def files(emulator: Emulator, region: str, account: str = ACCOUNT) -> ReportFiles:
    settings = Settings("dev", region, emulator.endpoint, account=account)
    return ReportFiles(settings, load_topology(), Credentials(ACCOUNT, "local"))


@pytest.fixture
def made(emulator: Emulator, tmp_path: Path) -> Job:
    """A job of London whose file is in the bucket."""
    provision(emulator.endpoint, emulator.home)
    job = Job(
        region="london",
        name="r1",
        org_id="acme",
        user_id="ann",
        feature="report.export",
        meter="reports",
        units=5,
        report={},
        digest="d",
        reservation_id="london-r",
        created_ms=0,
        deadline_ms=0,
        attempt=1,
        ended_ms=int(NOW.timestamp() * 1000),
    )
    path = tmp_path / "usage acme.csv"
    path.write_bytes(b"day,units\n")
    key = files(emulator, "london").put(job, path, filename=path.name, content_type="text/csv")
    return replace(job, result=Result(key, "text/csv", path.name, 10, 1, 0))


def fetch(url: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", url, retries=False)


def linked(found: tuple[str, datetime] | None) -> str:
    assert found is not None
    return found[0]


def test_a_link_gives_the_file_with_its_name_and_type(emulator: Emulator, made: Job) -> None:
    answer = fetch(linked(files(emulator, "london").link(made, NOW)))
    assert (answer.status, answer.data) == (200, b"day,units\n")
    assert answer.headers["Content-Type"] == "text/csv"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="usage%20acme.csv"'


def test_a_link_ends_and_opens_nothing_else(emulator: Emulator, made: Job) -> None:
    london = files(emulator, "london")
    short = linked(london.link(made, NOW, seconds=1))
    eventually(lambda: fetch(short).status == 403, "the link ends")
    assert made.result is not None
    other = replace(made, org_id="other", result=replace(made.result, key="other/r1/1/usage acme.csv"))
    mine, theirs = linked(london.link(made, NOW)), linked(london.link(other, NOW))
    signature = mine.partition("&X-Amz-Signature=")[2]
    stolen = theirs.partition("&X-Amz-Signature=")[0] + "&X-Amz-Signature=" + signature
    assert fetch(stolen).status == 403, "a link is for one file"


def test_a_report_that_is_no_longer_kept_has_no_link(emulator: Emulator, made: Job) -> None:
    assert files(emulator, "london").link(replace(made, ended_ms=made.ended_ms - KEEP_MS), NOW) is None
    assert files(emulator, "london").link(replace(made, result=None), NOW) is None


def test_the_other_region_reads_its_copy(emulator: Emulator, made: Job) -> None:
    url = linked(files(emulator, "sydney").link(made, NOW))
    assert "cutlass-tech-reports-copy-dev-london" in url
    assert "ap-southeast-2" in url
    assert fetch(url).data == b"day,units\n"
    assert made.result is not None
    unseen = replace(made, result=replace(made.result, key="acme/r2/1/x.csv"))
    assert "cutlass-tech-reports-dev-london" in linked(files(emulator, "sydney").link(unseen, NOW))


def test_the_archive_is_copied_and_answers_about_it_are_not(emulator: Emulator) -> None:
    provision(emulator.endpoint, emulator.home)
    contract, regions, who = load_buckets()["archive"], load_topology().regions, Credentials(ACCOUNT, "local")
    own, copy = (
        Bucket(
            contract.resource("dev", "london", ACCOUNT, copy=copied),
            regions[at].aws_region,
            endpoint=emulator.endpoint,
            credentials=who,
        )
        for at, copied in (("london", False), ("sydney", True))
    )
    assert contract.scratch_prefix
    own.put(f"{contract.scratch_prefix}q1.csv", b"1")
    own.put(f"{contract.copy_prefix}x", b"2")
    eventually(lambda: any(copy.list("")), "what was written later arrives")
    assert [listed.key for listed in copy.list("")] == [f"{contract.copy_prefix}x"]


def test_a_bucket_that_is_not_there_is_told(emulator: Emulator, made: Job, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"x")
    with pytest.raises(UnavailableError, match="there is no bucket"):
        files(emulator, "london", "222222222222").put(made, path, filename="x.csv", content_type="text/csv")


def test_reports_are_kept_as_long_as_their_objects() -> None:
    assert load_buckets()["reports"].expire_days == KEEP_MS // 86_400_000
