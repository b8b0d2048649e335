"""Making a report: progress, cancelling, memory, and nothing left behind."""

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from cutlass.contracts import load_reports
from cutlass.domain.errors import InvalidRequestError, UnavailableError
from cutlass.domain.reports import ReportSpec
from cutlass.reporting import Archive, ReportCancelledError, ReportTooLargeError, make
from cutlass.reporting.compaction import Compactor
from cutlass.reporting.formats import FORMATS
from cutlass.reporting.query import FUNCTION_MEMORY, Limits
from tests.unit.reporting.samples import BODY, NOON, archived, entry, made


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return archived(tmp_path / "archive", [entry(n, user_id=f"user{n}") for n in range(30)])


def test_progress_rises_to_the_end(archive: Archive, tmp_path: Path) -> None:
    told: list[float] = []
    report = made(archive, tmp_path / "out", progress=told.append)
    assert told == sorted(set(told))
    assert told[-1] == 1.0
    assert (report.filename, report.content_type) == ("usage_org1_20261101-20261201.json", "application/json")
    assert report.path.parent == tmp_path / "out"
    assert report.scanned_bytes > 0


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_what_is_cancelled_leaves_nothing_behind(archive: Archive, tmp_path: Path, after: int) -> None:
    asked = iter([False] * after + [True] * 100)
    with pytest.raises(ReportCancelledError):
        made(archive, tmp_path / "out", cancelled=lambda: next(asked))
    assert not any((tmp_path / "out").glob("*"))


@pytest.mark.parametrize("sort", sorted(FORMATS))
def test_a_file_that_cannot_be_written_whole_is_not_there(
    archive: Archive, tmp_path: Path, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(_report: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setitem(FORMATS, sort, type(FORMATS[sort])("x/y", half))  # type: ignore[arg-type]
    with pytest.raises(OSError, match="no space"):
        made(archive, tmp_path / "out", format=sort)
    assert list((tmp_path / "out").iterdir()) == []


def test_what_does_not_fit_into_memory_says_what_to_do(tmp_path: Path) -> None:
    entries = [entry(n, user_id=f"user{n}", entry_id=f"{n:064x}") for n in range(20_000)]
    archive = archived(tmp_path / "archive", entries)
    spec = ReportSpec.of("org1", {**BODY, "group_by": ["user"]}, load_reports())
    with pytest.raises(ReportTooLargeError, match="memory") as failed:
        make(spec, archive, tmp_path, progress=lambda _: None, cancelled=lambda: False, limits=Limits(1, 1))
    assert "shorter period" in str(failed.value.hint)


def test_a_compactor_keeps_to_half_of_its_functions_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archived(tmp_path, [entry(n, at=NOON, entry_id=f"{n:064x}") for n in range(20_000)])
    compactor = Compactor(archive.own, lambda: NOON + timedelta(days=90), lambda _: None)
    monkeypatch.setenv(FUNCTION_MEMORY, "2")
    with pytest.raises(duckdb.OutOfMemoryException):
        compactor.run()
    monkeypatch.setenv(FUNCTION_MEMORY, "1024")
    assert compactor.run().written == 1


def test_an_answer_with_too_many_rows_is_refused(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cutlass.reporting.query.MAX_ROWS", 29)
    with pytest.raises(ReportTooLargeError, match="more than 29 rows"):
        made(archive, tmp_path, group_by=["user"])


def test_another_organisation_is_never_read(archive: Archive, tmp_path: Path) -> None:
    spec = ReportSpec.of("org", BODY, load_reports())  # the beginning of another's name
    report = make(spec, archive, tmp_path, progress=lambda _: None, cancelled=lambda: False)
    assert (report.rows, report.scanned_bytes) == (0, 0)


def test_an_empty_archive_makes_an_empty_report_of_every_type(tmp_path: Path) -> None:
    for kind in load_reports().types:
        for sort in FORMATS:
            report = made(Archive.of_folder(tmp_path / "nothing"), tmp_path / "out", type=kind, format=sort)
            assert report.rows == 0
            assert report.path.stat().st_size > 0


def test_an_archive_that_changes_all_the_time_is_unavailable(archive: Archive, tmp_path: Path) -> None:
    class Vanishing(Archive):
        def choose(self, *args, **options):
            chosen = super().choose(*args, **options)
            for file in chosen.files:
                file.objects.delete(file.key)
                file.objects.put(file.place.base(1 + (file.generation or 0)), b"")
            return chosen

    with pytest.raises(UnavailableError, match="changes while it is read"):
        made(Vanishing(archive.sources), tmp_path / "out")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "usage; DROP TABLE entries"),
        ("time_zone", "Europe/London'; --"),
        ("time_zone", "Nowhere/Land"),
        ("from", "2026-13-01"),
        ("from", "2026-11-01' OR 1=1"),
        ("to", "2026-11-01"),
        ("to", "2099-11-01"),
        ("granularity", "hour) FROM entries --"),
        ("format", "../../etc/passwd"),
        ("group_by", ["user", "user"]),
        ("group_by", ["units"]),
        ("group_by", "user"),
        ("filters", {"user": ["x' OR '1'='1"]}),
        ("filters", {"secret": ["x"]}),
        ("filters", {"user": "ann"}),
        ("filters", ["user"]),
        ("nonsense", 1),
    ],
)
def test_poisoned_parameters_name_their_field(field: str, value: object) -> None:
    with pytest.raises(InvalidRequestError) as wrong:
        ReportSpec.of("org1", {**BODY, field: value}, load_reports())
    assert (wrong.value.field or "").split(".")[0] == field


def test_a_request_is_known_again_by_its_digest() -> None:
    catalogue = load_reports()
    one = ReportSpec.of("org1", {**BODY, "filters": {"user": ["b", "a", "a"]}}, catalogue)
    same = ReportSpec.of(
        "org1", {**BODY, "from": "2026-11-01T01:00:00+01:00", "filters": {"user": ["a", "b"]}}, catalogue
    )
    assert one.digest() == same.digest()
    assert ReportSpec.of("org1", one.body(), catalogue) == one
    for other in ({"format": "csv"}, {"time_zone": "Europe/London"}, {"group_by": ["user"]}):
        assert ReportSpec.of("org1", {**one.body(), **other}, catalogue).digest() != one.digest()
    assert ReportSpec.of("org2", one.body(), catalogue).digest() != one.digest()


def test_only_what_is_of_the_period_is_counted(tmp_path: Path) -> None:
    at = NOON.replace(day=1, hour=0)
    entries = [entry(n, at=at + timedelta(milliseconds=n)) for n in (-1, 0, 30 * 86_400_000 - 1, 30 * 86_400_000)]
    report = made(archived(tmp_path / "archive", entries), tmp_path, granularity="total", format="csv")
    assert report.path.read_text().splitlines()[1].split(",")[2:6] == ["6", "6", "0", "2"]
