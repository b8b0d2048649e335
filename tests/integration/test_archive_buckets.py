"""The archive in buckets: objects as in folders, and copies of other regions' parts beside the own one."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cutlass.contracts import load_reports
from cutlass.domain.errors import NotFoundError, UnavailableError
from cutlass.domain.reports import ReportSpec
from cutlass.reporting import Archive, make
from cutlass.reporting.archive import BEGINNING
from cutlass.reporting.archiver import Archiver
from cutlass.storage.objects import Bucket, Folder, open_objects
from tests.support import engines
from tests.support.lake import REGION, WHO, Lake
from tests.unit.reporting.samples import NOON, entry


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    engine = engines.start("ministack", tmp_path_factory.mktemp("ministack"))
    yield engine.endpoints["london"]
    engine.stop()


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> Bucket:
    return Lake(endpoint).bucket(f"archive-{abs(hash(request.node.name)) % 10**9}")


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
