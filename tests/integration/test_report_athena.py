"""The same questions asked by DuckDB here and by Athena there, up to whole reports of the worker.

The emulator's Athena is DuckDB too. So this shows that Athena's interface is used rightly, that the tables are
found by their description, that the files are read which a reader takes, and that answers come back as they
should. That Athena's own engine, Trino, takes the SQL and means the same by it, it does not show.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cutlass.contracts import FOLDER_VARIABLE, contracts_folder, load_reports
from cutlass.domain.errors import UnavailableError
from cutlass.domain.ledger import LedgerEntry
from cutlass.domain.report_jobs import Job, State
from cutlass.domain.reports import ReportSpec
from cutlass.functions import report_worker
from cutlass.reporting import Archive, Made, make
from cutlass.reporting.archiver import Archiver
from cutlass.reporting.athena import WORKGROUP, Athena
from cutlass.reporting.compaction import Compactor
from cutlass.storage.objects import Bucket
from tests.deploy.harness import emulator
from tests.support.desk import Desk
from tests.support.lake import REGION, WHO, Lake, briefly
from tests.support.world import World
from tests.unit.reporting.samples import NOON, PLAN, entry, granted

BODY = {"type": "usage", "from": "2026-11-01", "to": "2026-12-01", "time_zone": "Europe/London"}
LATER = NOON + timedelta(days=90)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    with emulator(tmp_path_factory.mktemp("lake") / "emulator") as endpoint:
        yield Lake(endpoint)


class Place:
    """A region's archives: its own, the copy here of another's, and Athena beside them."""

    def __init__(self, lake: Lake, name: str) -> None:
        self.lake = lake
        self.workgroup = f"reports-{name}"
        self.own, self.copy = lake.bucket(f"own-{name}"), lake.bucket(f"copy-{name}")
        self.archive = Archive([self.own, self.copy])
        self.athena = lake.athena(self.workgroup)
        lake.catalogue(self.workgroup, self.own, self.copy)

    def fill(self, org_id: str) -> None:
        """Archive what happened to an organisation in two regions: some of it twice."""
        for _ in range(2):
            Archiver(self.own, "london").write(entries(org_id))
        Archiver(self.own, "london").write(entries(org_id)[5:30])
        elsewhere = [replace(found, region="sydney") for found in entries(org_id)[10:20]]
        Archiver(self.copy, "sydney").write(elsewhere)

    def compact(self, days: int | None = None, bucket: Bucket | None = None) -> None:
        Compactor(bucket or self.own, lambda: LATER, lambda _: days).run()

    def made(self, out: Path, org_id: str = "org1", athena: Athena | None = None, **more: Any) -> Made:
        spec = ReportSpec.of(org_id, {**BODY, **more}, load_reports())
        return make(spec, self.archive, out, progress=lambda _: None, cancelled=lambda: False, athena=athena)

    def both(self, out: Path, org_id: str = "org1", **more: Any) -> tuple[str, str]:
        """Return a report as DuckDB and as Athena make it."""
        before = self.lake.asked(self.workgroup)
        here = self.made(out / "here", org_id, **more)
        assert self.lake.asked(self.workgroup) == before
        there = self.made(out / "there", org_id, self.athena, **more)
        assert self.lake.asked(self.workgroup) > before, "Athena was not asked"
        return here.path.read_text(), there.path.read_text()


@pytest.fixture
def place(lake: Lake, request: pytest.FixtureRequest) -> Place:
    return Place(lake, str(abs(hash(request.node.name)) % 10**9))


def entries(org_id: str) -> list[LedgerEntry]:
    found = [granted(PLAN, 10_000, NOON - timedelta(days=19), org_id=org_id, reason="plan")]
    found += [entry(n, org_id=org_id, user_id=f"user{n % 3}", units=n, spent=((PLAN, n),)) for n in range(1, 60)]
    found += [entry(n, org_id=org_id, user_id="o'neil", units=9) for n in range(60, 70)]
    found += [entry(100 + n, "refusal", org_id=org_id, reason="user_limit_reached") for n in range(4)]
    return [*found, entry(200, "reserve", org_id=org_id, units=7, spent=((PLAN, 7),))]


def decisions(text: str) -> int:
    return sum(row["decisions"] for row in json.loads(text)["tables"][0]["rows"])


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("kind", list(load_reports().types))
def test_athena_is_asked_the_same_and_answers_the_same(
    place: Place, tmp_path: Path, kind: str, compacted: bool
) -> None:
    for org_id in ("org1", "org:2@x"):
        place.fill(org_id)
    if compacted:
        place.compact()
        place.compact(bucket=place.copy)
        place.fill("org1")  # what comes again lies beside the compacted month
    for org_id in ("org1", "org:2@x"):
        here, there = place.both(tmp_path, org_id, type=kind)
        assert there == here
        if kind == "usage":
            assert decisions(there) == 79, "69 of London and 10 of Sydney"


def test_what_a_cut_compaction_left_is_counted_once(place: Place, tmp_path: Path) -> None:
    """A month and its sums have different rows for the same units: only their files' names tell which to read."""
    place.fill("org1")
    place.compact()
    (month,) = [listed.key for listed in place.own.list("decisions/")]
    before = place.own.get(month)
    place.compact(days=1)
    (sums,) = [listed.key for listed in place.own.list("decisions/")]
    assert (month != sums, sums.rpartition("/")[2][:2]) == (True, "s-")
    place.own.put(month, before)  # as if the compactor had died before it deleted this
    here, there = place.both(tmp_path, group_by=["feature"])
    assert there == here
    assert decisions(there) == 79


class Meddled(Athena):
    """Lets something happen before one of its requests, counted among those of an operation."""

    def __init__(self, place: Place, operation: str, number: int, act: Callable[[], object]) -> None:
        super().__init__(
            REGION,
            place.workgroup,
            from_bytes=0,
            endpoint=place.lake.endpoint,
            credentials=WHO,
            sleep=briefly,
        )
        self.requests: list[str] = []
        self._at = operation, number
        self._act = act

    def _call(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        self.requests.append(operation)
        if (operation, self.requests.count(operation)) == self._at:
            self._act()
        return super()._call(operation, body)


@pytest.mark.parametrize("query", [1, 2])
def test_files_that_are_compacted_while_they_are_asked_are_asked_again(
    place: Place, tmp_path: Path, query: int
) -> None:
    place.fill("org1")
    here = place.made(tmp_path / "here")
    athena = Meddled(place, "StartQueryExecution", query, place.compact)
    there = place.made(tmp_path / "there", athena=athena)
    assert there.path.read_text() == here.path.read_text()
    assert athena.requests.count("StartQueryExecution") > 3, "the first answers were thrown away"


def test_what_comes_while_athena_is_asked_is_in_none_of_its_answers(place: Place, tmp_path: Path) -> None:
    place.fill("org1")
    here = place.made(tmp_path / "here")
    late = [entry(900, org_id="org1", units=1)]
    athena = Meddled(place, "StartQueryExecution", 2, lambda: Archiver(place.own, "london").write(late))
    there = place.made(tmp_path / "there", athena=athena)
    assert there.path.read_text() == here.path.read_text()
    assert decisions(place.both(tmp_path)[1]) == 80


def test_a_table_that_does_not_show_all_files_makes_no_report(place: Place, tmp_path: Path) -> None:
    place.fill("org1")
    wrong = f"{place.workgroup}-wrong"
    place.lake.catalogue(wrong, place.own)
    place.lake.table(wrong, place.copy, location=place.own)
    with pytest.raises(UnavailableError, match=r"Athena sees [0-9]+ of [0-9]+ files"):
        place.made(tmp_path, athena=place.lake.athena(wrong))


# --- by the worker ----------------------------------------------------------------------------------


@pytest.fixture
def desk(world: World, place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Desk]:
    """A world whose worker asks Athena about anything that is more than nothing."""
    world.found()
    made = Desk(world).install(monkeypatch, tmp_path)
    monkeypatch.setattr(report_worker, "make", make)
    contracts = tmp_path / "contracts"
    shutil.copytree(contracts_folder(), contracts)
    text = (contracts / "archive.yaml").read_text()
    (contracts / "archive.yaml").write_text(text.replace("from_megabytes: 1024", "from_megabytes: 0"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(contracts))
    monkeypatch.setenv("CUTLASS_ARCHIVES", json.dumps([place.own.name, place.copy.name]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", place.lake.endpoint)
    monkeypatch.setenv(WORKGROUP, place.workgroup)
    place.fill(world.org)
    opened = report_worker.open_athena
    opened.cache_clear()
    yield made
    opened.cache_clear()


def asked(desk: Desk, **more: Any) -> Job:
    return desk.job(**{**BODY, **more})


def test_the_worker_makes_by_athena_what_it_makes_by_itself(desk: Desk, place: Place, tmp_path: Path) -> None:
    done = desk.work(asked(desk, group_by=["user"]))
    assert done is not None
    assert done.result is not None, done.failure
    assert (done.state, done.charged) == (State.SUCCEEDED, 5)
    assert place.lake.asked(place.workgroup) > 1
    here = place.made(tmp_path / "here", desk.world.org, group_by=["user"])
    assert desk.files[done.result.key] == here.path.read_bytes()
    assert (done.result.rows, desk.paid(), desk.audit()) == (here.rows, (5, 0), [])


def test_a_workgroup_is_asked_only_where_one_is_named(
    desk: Desk, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(WORKGROUP)
    done = desk.work(asked(desk))
    assert done is not None
    assert (done.state, place.lake.asked(place.workgroup)) == (State.SUCCEEDED, 0)


def test_an_answer_of_athena_that_is_too_long_fails_at_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cutlass.reporting.query.MAX_ROWS", 2)
    done = desk.work(asked(desk, group_by=["user"]))
    assert done is not None
    assert done.failure is not None
    assert (done.state, done.failure.code, done.attempt) == (State.FAILED, "report-too-large", 1)
    assert (desk.paid(), desk.audit()) == ((0, 0), [])


def test_a_report_that_is_cancelled_while_athena_works_stops_its_query(
    desk: Desk, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = asked(desk)

    class Endless(Meddled):
        def _call(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
            answer = super()._call(operation, body)
            running = {"QueryExecution": {"Status": {"State": "RUNNING"}}}
            return running if operation == "GetQueryExecution" else answer

    athena = Endless(place, "GetQueryExecution", 1, lambda: desk.cancel(job))
    monkeypatch.setattr(report_worker, "open_athena", lambda: athena)
    monkeypatch.setattr(report_worker, "TELL_SECONDS", 0.05)
    monkeypatch.setattr(report_worker, "BEAT_SECONDS", 0.05)
    assert desk.work(job) is None
    assert desk.get(job).state is State.CANCELLED
    assert athena.requests[-1] == "StopQueryExecution"
    assert (desk.paid(), desk.files, desk.audit()) == ((0, 0), {}, [])


def test_a_workgroup_that_does_not_answer_is_tried_three_times(
    desk: Desk, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    athena = place.lake.athena("nobody-made-this")  # it has no tables
    monkeypatch.setattr(report_worker, "open_athena", lambda: athena)
    job = asked(desk)
    for attempt in range(1, 4):
        done = desk.work(job)
        assert done is not None
        assert done.attempt == attempt
    assert done.failure is not None
    assert (done.state, done.failure.code, desk.paid()) == (State.FAILED, "not-stored", (0, 0))
