"""The archive against the ledger it comes from, and the statement against the balances of live items."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from cutlass.contracts import load_reports
from cutlass.domain.allotments import unspent
from cutlass.domain.grants import Category
from cutlass.domain.pools import grant_of
from cutlass.domain.reports import ReportSpec
from cutlass.reporting.archive import BEGINNING, Archive
from cutlass.reporting.archiver import Archiver
from cutlass.reporting.calendar import Calendar
from cutlass.reporting.compaction import Compactor
from cutlass.reporting.query import Limits, Watch, local
from cutlass.reporting.reports.balances import read, reckon
from cutlass.reporting.rows import NAMES, rows_of
from cutlass.reporting.tables import attach
from cutlass.storage.objects import Folder
from tests.integration.test_metering import ledger
from tests.support.world import World

BOTH = ("london", "sydney")


class Shelf:
    """A world's archive in a folder, with an archiver per region."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.objects = Folder(folder)
        self.archive = Archive([self.objects])
        self.batches: list[tuple[str, list[dict]]] = []

    def fill(self) -> None:
        """Let everything run until nothing is left to do, then archive what each region's ledger says."""
        for _ in range(3):
            for region in BOTH:
                self.world.meter(region)
            self.world.replicate()
        for region in BOTH:
            records = self.world.records(region, "ledger", "archiver")
            self.batches.append((region, records))
            Archiver(self.objects, region).archive(records)

    def compact(self) -> None:
        Compactor(self.objects, lambda: self.world.now, lambda _org: None).run()

    def rows(self) -> list[tuple]:
        end = self.world.now + timedelta(days=400)
        with self.archive.opened(self.world.org, BEGINNING, end) as opened, duckdb.connect() as connection:
            attach(connection, opened)
            return sorted(connection.execute(f"SELECT {NAMES} FROM entries").fetchall(), key=str)

    def left(self) -> dict[str, int]:
        """What the statement says is left of each grant now."""
        spec = ReportSpec.of(
            self.world.org,
            {
                "type": "credit-statement",
                "from": "2026-11-01",
                "to": (self.world.now + timedelta(seconds=1)).isoformat(),
            },
            load_reports(),
        )
        calendar = Calendar.of(spec)
        with local(self.archive, spec.org_id, BEGINNING, spec.end, Watch(), Limits()) as questions:
            return {
                line.grant.grant_id: line.closing
                for line in reckon(read(spec, calendar, questions), calendar.parts())
            }


@pytest.fixture
def shelf(world: World, tmp_path: Path) -> Shelf:
    return Shelf(world, tmp_path)


def live(world: World, meter: str = "requests") -> dict[str, int]:
    """What regions, users and reservations have of each grant, by the items themselves."""
    found: dict[str, int] = defaultdict(int)
    for region in BOTH:
        pools, allotments = world.held(region, meter)
        for pool in pools:
            found[pool.grant_id] += pool.available + sum(pool.sent.values()) - sum(pool.accepted.values())
        for allotment in allotments.values():
            for chunk, there in unspent(allotment):
                found[grant_of(chunk.pool)] += there
        for one in world.reservations(region):
            if one.state == "held":
                for part in one.parts:
                    found[grant_of(part.pool)] += part.units
    return found


def live_a_while(world: World) -> None:
    world.found(requests=5000)
    world.stores["london"].grants.create(
        world.org, meter="requests", amount=700, category=Category.PAID, idempotency_key="buy-1"
    )
    world.replicate()
    for number in range(6):
        for region in BOTH:
            world.check(region, units=number + 1, request_id=world.request_id())
        world.pass_time(hours=7)
    charged = world.request_id()
    world.check("sydney", units=40, request_id=charged)
    for region in BOTH:
        world.meter(region)
    world.refund(charged, "sydney", refund_id="back-1", units=15)
    held = world.reserve(units=30)
    kept = world.reserve("sydney", units=20)
    world.pass_time(seconds=30)
    world.stores["london"].reservations.commit(held.reservation.reservation_id, 12)
    whole = world.reserve(units=9)
    world.stores["london"].reservations.commit(whole.reservation.reservation_id, 9)
    assert kept.decision.allowed


def test_the_archive_holds_every_entry_of_the_ledger_once_however_it_was_told(world: World, shelf: Shelf) -> None:
    live_a_while(world)
    shelf.fill()
    wanted = sorted((row for entry in ledger(world) for row in rows_of(entry)), key=str)
    assert len(wanted) > 15
    assert shelf.rows() == wanted
    for region, records in shelf.batches:
        archiver = Archiver(shelf.objects, region)
        archiver.archive(records)  # replayed whole
        for first in range(0, len(records), 3):
            archiver.archive(records[first : first + 5])  # halved batches that overlap
    assert shelf.rows() == wanted, "a replay left duplicates"
    shelf.compact()
    assert shelf.rows() == wanted, "compaction lost or doubled something"
    for region, records in shelf.batches:
        Archiver(shelf.objects, region).archive(records[1:])
    assert shelf.rows() == wanted, "what was told again after compaction is there twice"
    world.pass_time(days=60)
    shelf.compact()
    shelf.compact()
    assert shelf.rows() == wanted


def test_copies_of_another_region_are_not_archived(world: World, shelf: Shelf) -> None:
    world.found()
    world.check("london")
    shelf.fill()
    records = world.records("sydney", "ledger", "again")
    assert any(record["dynamodb"]["Keys"]["pk"]["S"].startswith("london#") for record in records)
    assert {row[1] for row in shelf.rows()} == {"london"}
    assert Archiver(shelf.objects, "sydney").archive(records).entries == 0


def test_the_statement_is_left_with_what_the_items_have(world: World, shelf: Shelf) -> None:
    live_a_while(world)
    shelf.fill()
    here = live(world)
    said = shelf.left()
    for name in here:
        assert said[name] == here[name], f"{name}: the statement has {said[name]}, the items {here[name]}"
    paid = next(name for name in said if "plan" not in name and name.startswith("requests:"))
    assert said[paid] == 700
    plan = next(name for name in said if name.startswith("requests:plan"))
    spent = sum(range(1, 7)) * 2 + 40 - 15 + 12 + 9
    assert said[plan] == 10_000 - spent == here[plan]


def test_the_statement_agrees_after_the_period_has_turned(world: World, shelf: Shelf) -> None:
    live_a_while(world)
    world.now = datetime(2026, 12, 1, 0, 10, tzinfo=UTC)
    world.keep_house()
    world.check("london", units=3)
    world.stores["sydney"].reservations.expire_overdue(100)
    world.keep_house()
    shelf.fill()
    said, here = shelf.left(), live(world)
    old = next(name for name in said if name == "requests:plan-20261101T0000")
    assert said[old] == 0 == here.get(old, 0)
    new = "requests:plan-20261201T0000"
    assert said[new] == 9_997
