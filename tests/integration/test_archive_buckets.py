"""The archive in buckets, and the same questions asked by DuckDB here and by Athena there.

The emulator's Athena is DuckDB too. So this shows that Athena's interface is used rightly, that the table is found
by its description, and that the answers come back as they should. That Athena's own engine, Trino, takes the SQL
and means the same by it, it does not show.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cutlass.contracts import load_reports
from cutlass.domain.errors import NotFoundError, UnavailableError
from cutlass.domain.reports import ReportSpec
from cutlass.reporting import Archive, make
from cutlass.reporting.archive import BEGINNING
from cutlass.reporting.archiver import Archiver
from cutlass.reporting.athena import DATABASE, Athena, table_input
from cutlass.reporting.compaction import Compactor
from cutlass.storage.objects import Bucket, Folder, open_objects
from tests.support import engines
from tests.unit.reporting.samples import NOON, PLAN, entry, granted

WHO = Credentials("111111111111", "local")
REGION = "eu-west-2"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    engine = engines.start("ministack", tmp_path_factory.mktemp("ministack"))
    yield engine.endpoints["london"]
    engine.stop()


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> Bucket:
    name = f"archive-{abs(hash(request.node.name)) % 10**9}"
    place = f"<LocationConstraint>{REGION}</LocationConstraint>"
    body = f"<CreateBucketConfiguration>{place}</CreateBucketConfiguration>".encode()
    url = f"{endpoint}/{name}"
    answer = urllib3.request("PUT", url, body=body, headers=_signed("PUT", url, body, "s3"))
    assert answer.status == 200, answer.data
    return Bucket(name, REGION, endpoint=endpoint, credentials=WHO)


def _signed(method: str, url: str, body: bytes, service: str, **headers: str) -> dict[str, str]:
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    SigV4Auth(WHO, service, REGION).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def glue(endpoint: str, operation: str, body: dict) -> None:
    data = json.dumps(body).encode()
    names = {"content-type": "application/x-amz-json-1.1", "x-amz-target": f"AWSGlue.{operation}"}
    answer = urllib3.request(
        "POST", f"{endpoint}/", body=data, headers=_signed("POST", f"{endpoint}/", data, "glue", **names)
    )
    assert answer.status == 200 or any(known in answer.data for known in (b"AlreadyExists", b"NotFound")), (
        answer.data
    )


def entries() -> list:
    found = [granted(PLAN, 10_000, NOON - timedelta(days=19), org_id="org1", reason="plan")]
    found += [entry(n, user_id=f"user{n % 3}", units=n, spent=((PLAN, n),)) for n in range(1, 60)]
    found += [entry(n, user_id="o'neil", org_id="org:2@x", units=9) for n in range(60, 70)]
    found += [entry(100 + n, "refusal", reason="user_limit_reached") for n in range(4)]
    return [*found, entry(200, "reserve", units=7, spent=((PLAN, 7),))]


def test_objects_are_listed_read_and_written_alike_in_a_bucket_and_a_folder(
    bucket: Bucket, tmp_path: Path
) -> None:
    for place in (bucket, Folder(tmp_path)):
        assert place.put("a/one.x", b"1") is True
        assert place.put("a/org=a:b@c/two", b"22", only_new=True) is True
        assert place.put("a/org=a:b@c/two", b"333", only_new=True) is False
        assert place.get("a/org=a:b@c/two") == b"22"
        assert [(o.key, o.size) for o in place.list("a/")] == [("a/one.x", 1), ("a/org=a:b@c/two", 2)]
        assert [o.key for o in place.list("a/org=a")] == ["a/org=a:b@c/two"]
        place.delete("a/one.x")
        place.delete("a/one.x")
        with pytest.raises(NotFoundError, match=r"a/one\.x"):
            place.get("a/one.x")
        assert list(place.list("b/")) == []


def test_a_listing_goes_on_behind_its_first_page(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cutlass.storage.objects._PAGE", 3)
    for number in range(8):
        bucket.put(f"many/{number}", b"")
    assert [listed.key for listed in bucket.list("many/")] == [f"many/{number}" for number in range(8)]


def test_a_bucket_that_is_not_there_is_said_to_be_missing(endpoint: str) -> None:
    nowhere = Bucket("nowhere", REGION, endpoint=endpoint, credentials=WHO)
    with pytest.raises((NotFoundError, UnavailableError), match="nowhere"):
        nowhere.put("x", b"1")
    with pytest.raises((NotFoundError, UnavailableError), match="nowhere"):
        list(nowhere.list(""))


def test_an_address_is_a_bucket_or_a_folder(tmp_path: Path) -> None:
    assert open_objects("s3://archive", REGION).name == "s3://archive"
    assert open_objects(str(tmp_path), REGION).path("a") == tmp_path / "a"


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("kind", list(load_reports().types))
def test_athena_is_asked_the_same_and_answers_the_same(
    bucket: Bucket, endpoint: str, tmp_path: Path, kind: str, compacted: bool
) -> None:
    for _ in range(2):
        Archiver(bucket, "london").write(entries())
    Archiver(bucket, "london").write(entries()[5:30])  # an overlap: rows that are there twice
    if compacted:
        Compactor(bucket, lambda: NOON + timedelta(days=90), lambda _: None).run()
    glue(endpoint, "CreateDatabase", {"DatabaseInput": {"Name": DATABASE}})
    glue(endpoint, "DeleteTable", {"DatabaseName": DATABASE, "Name": "decisions"})
    glue(endpoint, "CreateTable", {"DatabaseName": DATABASE, "TableInput": table_input(bucket.name)})
    athena = Athena(REGION, f"{bucket.name}/answers/", from_bytes=0, endpoint=endpoint, credentials=WHO)
    body = {"type": kind, "from": "2026-11-01", "to": "2026-12-01", "time_zone": "Europe/London"}
    for org_id in ("org1", "org:2@x"):
        spec = ReportSpec.of(org_id, body, load_reports())
        here = make(spec, Archive([bucket]), tmp_path / "here", progress=lambda _: None, cancelled=lambda: False)
        there = make(
            spec,
            Archive([bucket]),
            tmp_path / "there",
            progress=lambda _: None,
            cancelled=lambda: False,
            athena=athena,
        )
        assert there.path.read_text() == here.path.read_text()
        assert here.rows > 0 or kind != "usage"


def test_the_copies_of_other_regions_are_read_beside_the_own_archive(bucket: Bucket, tmp_path: Path) -> None:
    copy = Folder(tmp_path / "copy")
    Archiver(bucket, "london").write([entry(1)])
    Archiver(copy, "sydney").write([replace(entry(2), region="sydney")])
    Archiver(copy, "london").write([entry(1)])  # the same file in two places is read once
    spec = ReportSpec.of(
        "org1", {"type": "usage", "from": "2026-11-01", "to": "2026-12-01", "group_by": ["region"]}, load_reports()
    )
    archive = Archive([bucket, copy])
    made = make(spec, archive, tmp_path, progress=lambda _: None, cancelled=lambda: False)
    rows = json.loads(made.path.read_text())["tables"][0]["rows"]
    assert {row["region"]: row["decisions"] for row in rows} == {"london": 1, "sydney": 1}
    assert len(archive.choose("org1", BEGINNING, NOON + timedelta(days=1)).files) == 2
