"""The archive against the ledger it comes from, and the statement against the balances of live items."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cutlass.domain.grants import Category
from cutlass.reporting.archiver import Archiver
from cutlass.reporting.rows import rows_of
from tests.integration.test_metering import ledger
from tests.support.shelf import BOTH, Shelf, live
from tests.support.world import World


@pytest.fixture
def shelf(world: World, tmp_path: Path) -> Shelf:
    return Shelf(world, tmp_path)


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
    here = live(world).there
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
    said, here = shelf.left(), live(world).there
    old = next(name for name in said if name == "requests:plan-20261101T0000")
    assert said[old] == 0 == here.get(old, 0)
    new = "requests:plan-20261201T0000"
    assert said[new] == 9_997
