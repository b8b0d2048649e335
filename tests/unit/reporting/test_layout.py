"""Which files a reader takes, and what a compaction that dies or has company leaves behind."""

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from cutlass.domain.periods import to_millis
from cutlass.reporting import Archive
from cutlass.reporting.archive import BEGINNING
from cutlass.reporting.archiver import Archiver
from cutlass.reporting.calendar import Part
from cutlass.reporting.compaction import Compactor
from cutlass.reporting.layout import File, Place, choose, months_of
from cutlass.reporting.reports.balances import Aside, Books, Granted, Moves, reckon
from cutlass.reporting.tables import attach
from cutlass.storage.objects import Folder
from tests.unit.reporting.samples import NOON, PLAN, entry, granted, made

DAY = Place.of("org1", "london", NOON)
LATER = Place.of("org1", "london", NOON + timedelta(days=1))
FOLDER = Folder(Path("nowhere"))


def file(key: str) -> File:
    found = File.parse(FOLDER, key, 1)
    assert found is not None
    return found


def test_the_newest_generation_is_read_and_what_came_beside_it_is_compared() -> None:
    alone = file(LATER.delta("aa"))
    old, new, came = file(DAY.base(1)), file(DAY.base(2)), file(DAY.delta("bb"))
    chosen = choose([old, came, new, alone])
    assert (set(chosen.clean), chosen.dirty, chosen.beside) == ({new, alone}, (came,), (new,))
    month, late = file(DAY.whole.base(3)), file(DAY.delta("cc"))
    chosen = choose([old, new, late, month])
    assert (chosen.clean, set(chosen.dirty), chosen.beside) == ((month,), {new, late}, (month,))
    assert choose([month]).dirty == ()


def test_generations_are_compared_as_numbers() -> None:
    assert choose([file(DAY.base(9)), file(DAY.base(10)), file(DAY.base(255))]).clean == (file(DAY.base(255)),)


@pytest.mark.parametrize(
    "key", ["decisions/x.parquet", "else/a", f"{DAY.prefix}x-1.parquet", f"{DAY.prefix}b-1.csv"]
)
def test_what_is_no_file_of_the_archive_is_passed_over(key: str) -> None:
    assert File.parse(FOLDER, key, 1) is None


def test_months_of_a_span() -> None:
    assert list(months_of(NOON, NOON)) == ["2026-11"]
    assert list(months_of(NOON, NOON + timedelta(days=70))) == ["2026-11", "2026-12", "2027-01"]


class Dying(Folder):
    """A folder whose user dies after so many writes and deletions."""

    def __init__(self, root: Path, steps: int) -> None:
        super().__init__(root)
        self.left = steps

    def step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def put(self, key: str, data: bytes, *, only_new: bool = False) -> bool:
        self.step()
        return super().put(key, data, only_new=only_new)

    def delete(self, key: str) -> None:
        self.step()
        super().delete(key)


def rows(root: Path) -> tuple[int, int, int]:
    archive = Archive.of_folder(root)
    with archive.opened("org1", BEGINNING, NOON + timedelta(days=900)) as opened, duckdb.connect() as connection:
        attach(connection, opened)
        sums = "SUM(CASE WHEN kind = 'decision' THEN entries END), SUM(CASE WHEN kind = 'decision' THEN units END)"
        found = connection.execute(f"SELECT COUNT(DISTINCT meter), {sums} FROM entries").fetchone()
    assert found is not None
    return found


def test_a_compaction_cut_short_at_any_step_loses_and_doubles_nothing(tmp_path: Path) -> None:
    for steps in range(40):
        root = tmp_path / str(steps)
        archiver = Archiver(Folder(root), "london")
        for first in range(0, 30, 10):
            archiver.write([entry(n, at=NOON + timedelta(hours=9 * n)) for n in range(first, first + 12)])
        archiver.write([granted(PLAN, 10_000, NOON)])
        wanted = (1, 32, 96)
        assert rows(root) == wanted
        ended = []
        for later in (timedelta(hours=20), timedelta(days=40), timedelta(days=120), timedelta(days=121)):
            compactor = Compactor(Dying(root, steps), lambda later=later: NOON + later, lambda _: 60)
            try:
                ended.append(compactor.run())
            except KeyboardInterrupt:
                ended = []
            assert rows(root) == wanted, f"cut short after {steps} steps, {later} later"
        if len(ended) == 4:
            assert [listed.key.rpartition("/")[2][0] for listed in Folder(root).list("")] == ["s", "s"]
            return
    pytest.fail("the compaction never came to its end")


def test_of_two_compactors_the_second_takes_nothing_away(tmp_path: Path) -> None:
    Archiver(Folder(tmp_path), "london").write([entry(1)])
    Archiver(Folder(tmp_path), "london").write([entry(2)])

    class Behind(Folder):
        def put(self, key: str, data: bytes, *, only_new: bool = False) -> bool:
            Compactor(Folder(tmp_path), lambda: NOON + timedelta(days=2), lambda _: None).run()
            Archiver(Folder(tmp_path), "london").write([entry(3)])
            return super().put(key, data, only_new=only_new)

    done = Compactor(Behind(tmp_path), lambda: NOON + timedelta(days=2), lambda _: None).run()
    assert (done.written, done.deleted) == (0, 0)
    assert rows(tmp_path) == (1, 3, 9)


def test_months_that_a_plan_keeps_no_longer_name_no_user_and_keep_their_sums(tmp_path: Path) -> None:
    entries = [entry(n, user_id=f"user{n % 3}", spent=((PLAN, 3),)) for n in range(20)]
    Archiver(Folder(tmp_path), "london").write([granted(PLAN, 500, NOON), *entries, entry(50, "reserve")])

    def told(**body: object) -> str:
        return made(Archive.of_folder(tmp_path), tmp_path / "out", format="csv", **body).path.read_text()

    before = told(type="credit-statement")
    for days in (50, 120, 500):
        Compactor(Folder(tmp_path), lambda days=days: NOON + timedelta(days=days), lambda _: 90).run()
        kept = rows(tmp_path)
        text = told(group_by=["user"])
        assert kept == (1, 20, 60)
        assert ("user1" in text) == (days == 50), f"after {days} days"
    assert told(type="credit-statement") == before


def test_a_grant_voided_before_it_begins_is_voided_when_it_would_have_begun() -> None:
    start, begins = to_millis(NOON), to_millis(NOON + timedelta(days=1))
    parts = [
        Part(0, NOON, NOON + timedelta(days=1), "first"),
        Part(1, NOON + timedelta(days=1), NOON + timedelta(days=2), "second"),
    ]
    grant = Granted("g", "requests", 100, begins)
    (line,) = reckon(Books({"g": grant}, {("g", 1): Moves(voided=100)}, {}), parts)
    assert (line.part.label, line.granted, line.voided, line.closing) == ("second", 100, 100, 0)
    assert start < begins


def test_what_is_given_back_exactly_at_the_end_of_a_part_was_still_aside_there() -> None:
    ends = to_millis(NOON + timedelta(days=1))
    parts = [
        Part(0, NOON, NOON + timedelta(days=1), "first"),
        Part(1, NOON + timedelta(days=1), NOON + timedelta(days=2), "second"),
    ]
    grant = Granted("g", "requests", 100, to_millis(NOON), ends)
    aside = {"g": [Aside(30, ends - 1000, ends)]}
    first, second = reckon(Books({"g": grant}, {}, aside), parts)
    assert (first.expired, first.closing, first.aside) == (70, 30, 30)
    assert (second.opening, second.expired, second.closing) == (30, 30, 0)
