"""Asking Athena: what for, how its answers and failures are read, and what a worker does by itself."""

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cutlass.contracts import load_archive, load_functions
from cutlass.domain.errors import ContractError, UnavailableError
from cutlass.reporting import Archive, Limits, ReportCancelledError, ReportTooLargeError
from cutlass.reporting.archive import BEGINNING
from cutlass.reporting.athena import WORKGROUP, Athena
from cutlass.reporting.layout import Choice, Place, choose
from cutlass.reporting.layout import File as ArchiveFile
from cutlass.reporting.query import FUNCTION_MEMORY, Answer, Watch, local
from cutlass.storage.aws import RefusedError, ThrottledError
from cutlass.storage.objects import Folder
from tests.unit.reporting.samples import NOON

Told = dict[str, Any]


def state(name: str, why: str = "") -> Told:
    status = {"State": name, "StateChangeReason": why}
    return {"QueryExecution": {"Status": status, "Statistics": {"DataScannedInBytes": 7}}}


def page(rows: Iterable[list[str | None]], token: str | None = None) -> Told:
    data = [{"Data": [{} if cell is None else {"VarCharValue": cell} for cell in row]} for row in rows]
    columns = [{"Type": "varchar"}, {"Type": "bigint"}]
    found: Told = {"ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": columns}}}
    return found | ({"NextToken": token} if token else {})


class Script:
    """In place of Athena: gives answers in their order, and keeps what it was asked."""

    def __init__(self, *answers: Told | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Told]] = []
        self.slept: list[float] = []
        self.athena = Athena("eu-west-2", "reports", from_bytes=10, sleep=self.slept.append)
        self.athena._aws = SimpleNamespace(call=self.call)  # type: ignore[assignment]

    def call(self, operation: str, request: Told) -> Told:
        self.asked.append((operation, request))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def run(self, watch: Watch | None = None) -> Any:
        return self.athena.run("SELECT 1", watch or Watch())

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.asked]


STARTED = {"QueryExecutionId": "q1"}


def test_an_answer_is_waited_for_and_read_page_by_page() -> None:
    script = Script(
        STARTED,
        state("QUEUED"),
        state("RUNNING"),
        state("SUCCEEDED"),
        page([["name", "units"], ["a", "1"], [None, "2"]], "more"),
        page([["b", None]]),
    )
    assert script.run() == ([("a", 1), (None, 2), ("b", None)], 7)
    started = script.asked[0][1]
    assert started["WorkGroup"] == "reports"
    assert started["QueryExecutionContext"] == {"Database": "reports"}
    assert "ResultConfiguration" not in started, "where answers go the workgroup says"
    assert len(started["ClientRequestToken"]) >= 32, "less is refused"


def test_what_is_cancelled_is_stopped() -> None:
    asked = iter([False, True])
    script = Script(STARTED, state("RUNNING"), state("RUNNING"), {})
    with pytest.raises(ReportCancelledError):
        script.run(Watch(cancelled=lambda: next(asked)))
    assert script.operations[-1] == "StopQueryExecution"


def test_what_is_cancelled_stays_cancelled_where_stopping_fails() -> None:
    script = Script(STARTED, state("RUNNING"), RefusedError("it has ended"))
    with pytest.raises(ReportCancelledError):
        script.run(Watch(cancelled=lambda: True))


@pytest.mark.parametrize(
    ("name", "why", "error"),
    [
        ("FAILED", "Query exhausted resources at this scale factor", ReportTooLargeError),
        ("FAILED", "EXCEEDED_MEMORY_LIMIT: Query exceeded per-node memory limit", ReportTooLargeError),
        ("CANCELLED", "Bytes scanned limit was exceeded", ReportTooLargeError),
        ("FAILED", "Out of Memory Error: failed to allocate data", ReportTooLargeError),
        ("FAILED", "HIVE_CANNOT_OPEN_SPLIT: NoSuchKey", UnavailableError),
        ("FAILED", "AmazonS3Exception: SlowDown, Rate exceeded", UnavailableError),
        ("CANCELLED", "", UnavailableError),
    ],
)
def test_a_failure_that_no_attempt_mends_is_told_from_one_that_may_pass(
    name: str, why: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        Script(STARTED, state(name, why), {}).run()


def test_more_rows_than_a_report_may_have_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("athena", "query"):
        monkeypatch.setattr(f"cutlass.reporting.{module}.MAX_ROWS", 2)
    rows = [["name", "units"], *([["a", "1"]] * 3)]
    script = Script(STARTED, state("SUCCEEDED"), page(rows, "more"))
    with pytest.raises(ReportTooLargeError, match="more than 2 rows"):
        script.run()


def test_a_busy_athena_is_asked_again_with_the_same_token() -> None:
    busy, silent = ThrottledError("too often"), UnavailableError("no answer")
    script = Script(busy, silent, busy, STARTED, state("SUCCEEDED"), page([["name", "units"]]))
    assert script.run() == ([], 7)
    assert len(script.slept) == 3
    starts = [body for operation, body in script.asked if operation == "StartQueryExecution"]
    assert (len(starts), len({body["ClientRequestToken"] for body in starts})) == (4, 1)


@pytest.mark.parametrize(("error", "asked"), [(ThrottledError("too often"), 4), (RefusedError("AccessDenied"), 1)])
def test_an_athena_that_refuses_is_unavailable(error: Exception, asked: int) -> None:
    script = Script(*[error] * asked)
    with pytest.raises(UnavailableError, match=str(error)):
        script.run()
    assert len(script.asked) == asked


class Elsewhere(Folder):
    """A folder that goes for a bucket."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root)
        self.name = name


def files(tmp_path: Path, count: int = 1, name: str = "s3://the-archive", size: int = 6) -> Choice:
    objects = Elsewhere(tmp_path, name)
    place = Place.of("org1", "london", NOON)
    return choose(
        ArchiveFile(objects, place.delta(f"{number:064x}"), size, place, None) for number in range(count)
    )


def test_athena_is_asked_about_much_in_buckets_and_in_files_that_can_be_named(tmp_path: Path) -> None:
    athena = Script().athena
    assert not athena.takes(files(tmp_path, 1)), "six bytes"
    assert athena.takes(files(tmp_path, 2)), "twelve bytes"
    assert not athena.takes(files(tmp_path, 2, str(tmp_path))), "Athena sees no folder of this machine"
    assert athena.takes(files(tmp_path, 900))
    assert not athena.takes(files(tmp_path, 2000)), "a question may be 256 KB long"


def test_the_workgroup_is_that_of_the_environment() -> None:
    assert Athena.from_environment({"CUTLASS_REGION": "london"}) is None
    assert Athena.from_environment({WORKGROUP: ""}) is None
    athena = Athena.from_environment({WORKGROUP: "w", "CUTLASS_REGION": "sydney"})
    assert athena is not None
    assert athena._aws._url == "https://athena.ap-southeast-2.amazonaws.com"
    assert athena._from_bytes == load_archive().athena_from_bytes
    with pytest.raises(ContractError, match="CUTLASS_REGION is not set"):
        Athena.from_environment({WORKGROUP: "w"})
    with pytest.raises(ContractError, match="'paris'"):
        Athena.from_environment({WORKGROUP: "w", "CUTLASS_REGION": "paris"})


def test_a_worker_has_half_of_its_memory_for_queries() -> None:
    assert Limits.from_environment({FUNCTION_MEMORY: "1024"}).memory_mb == 512
    assert Limits.from_environment({FUNCTION_MEMORY: "4096"}).memory_mb == 2048
    assert Limits.from_environment({}) == Limits()


def test_what_athena_is_not_asked_about_fits_twice_on_a_workers_disk() -> None:
    """The files of the archive, and beside them what of a query does not fit into memory."""
    asking = [function for function in load_functions().values() if function.athena]
    assert [function.name for function in asking] == ["report-worker"]
    for function in asking:
        assert 2 * load_archive().athena_from_bytes <= function.ephemeral_mb * 1024**2


def test_a_query_leaves_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    megabytes = 1024**2
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=400 * megabytes))
    assert Limits().spilled(str(tmp_path)) == 300
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    assert Limits().spilled(str(tmp_path)) == 1
    assert Limits(disk_mb=5).spilled(str(tmp_path)) == 5


def test_a_query_goes_on_in_files_until_they_fill_what_it_may_have(tmp_path: Path) -> None:
    sorting = "SELECT MAX(n) FROM (SELECT row_number() OVER (ORDER BY hash(i)) AS n FROM range(500000) t(i))"

    def ask(limits: Limits) -> Answer:
        with local(Archive.of_folder(tmp_path), "org1", BEGINNING, NOON, Watch(), limits) as questions:
            return questions.ask(sorting)

    assert ask(Limits(16, 1, disk_mb=1000)) == [(500_000,)]
    with pytest.raises(ReportTooLargeError) as failed:
        ask(Limits(16, 1, disk_mb=1))
    assert "shorter period" in str(failed.value.hint)
