"""The credit statement of a year against the live items and the ledger, month by month, to the unit.

Every run lives another year; its seed is printed with a failure, and `CUTLASS_TEST_SEED` repeats it.
"""

import os
import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.pools import grant_of
from cutlass.domain.reports import ReportSpec
from cutlass.reporting import tables
from cutlass.reporting.archive import BEGINNING
from cutlass.reporting.archiver import Archiver
from cutlass.reporting.calendar import Calendar
from cutlass.reporting.query import Limits, Watch, local
from cutlass.reporting.reports import balances
from cutlass.reporting.reports.balances import Line, read, reckon
from cutlass.reporting.rows import NAMES, rows_of
from cutlass.storage import keys
from tests.support.books import recorded
from tests.support.engines import Engine
from tests.support.shelf import BOTH, Shelf, live
from tests.support.year import METER, Year, world_of

SEED = int(os.environ.get("CUTLASS_TEST_SEED") or random.randrange(2**32))
AMOUNTS = ("granted", "overdrawn", "used", "refunded", "voided", "expired")


@pytest.fixture(scope="module")
def year(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Year:
    """A year that was lived, archived with replays and overlaps, and compacted."""
    print(f"CUTLASS_TEST_SEED={SEED}")
    world = world_of(engine)
    lived = Year(world, Shelf(world, tmp_path_factory.mktemp("archive")), SEED)
    try:
        lived.live()
    finally:
        world.heal()
        for keeper, store in world.stores.items():  # the state of a region is the engine's
            for region in world.topology.regions:
                store.dynamo.delete(store.settings.table(keys.ORGANISATIONS), *keys.region_state(keeper, region))
    chance = random.Random(SEED)
    for region, records in lived.shelf.batches:
        first = chance.randint(0, len(records))
        Archiver(lived.shelf.objects, region).archive(records[first : first + 40])
    lived.shelf.compact()
    for region, records in sorted(lived.shelf.batches, key=lambda batch: len(batch[1]))[-8:]:
        Archiver(lived.shelf.objects, region).archive(records)
    return lived


def entries(year: Year) -> list[LedgerEntry]:
    return [entry for region in BOTH for entry in recorded(year.world, region) if entry.meter == METER]


def lines(year: Year, start: datetime, end: datetime, granularity: str = "total") -> list[Line]:
    spec = ReportSpec(
        "credit-statement",
        year.world.org,
        start,
        end,
        year.zone.key,
        granularity,
        filters={"meter": (METER,)},
    )
    calendar = Calendar.of(spec)
    with local(year.shelf.archive, spec.org_id, BEGINNING, end, Watch(), Limits()) as questions:
        return list(reckon(read(spec, calendar, questions), calendar.parts()))


def by_month(year: Year) -> dict[datetime, dict[str, Line]]:
    """The lines of the year's statement by the ends of its months and by grant."""
    found: dict[datetime, dict[str, Line]] = {end: {} for end in year.months[1:]}
    for line in lines(year, year.months[0], year.months[-1], "month"):
        found[line.part.end][line.grant.grant_id] = line
    return found


def test_much_happened_in_the_year(year: Year) -> None:
    """Else the other tests would show little."""
    kinds = Counter(entry.kind for entry in entries(year))
    assert set(kinds) == set(EntryKind), kinds
    assert sum(overdraft.units for overdraft in year.overdrawn if not overdraft.user_id) > 0
    assert {line.grant.category for line in lines(year, year.months[0], year.months[-1]) if line.used} > {"plan"}
    assert len(year.noted) == 12


def test_the_regions_and_the_archive_have_the_year_as_it_was(year: Year) -> None:
    assert year.world.audit() == []
    every = [entry for region in BOTH for entry in recorded(year.world, region)]
    assert year.shelf.rows() == sorted((row for entry in every for row in rows_of(entry)), key=str)


def test_every_month_closes_with_what_the_live_items_had(year: Year) -> None:
    assert unlike_the_items(year) == []


def test_what_the_lost_region_had_spent_is_overdrawn(year: Year) -> None:
    assert overdrawn(year) == sum(one.units for one in year.overdrawn if not one.user_id)


def overdrawn(year: Year) -> int:
    return sum(line.overdrawn for line in lines(year, *ends(year)))


def unlike_the_items(year: Year) -> list[str]:
    """Where the statement and what was noted at the ends of the months do not agree."""
    found = []
    for end, lines_of in by_month(year).items():
        said = {name: line.closing for name, line in lines_of.items()}
        for name in sorted({*said, *year.noted[end]}):
            told, had = said.get(name, 0), year.noted[end].get(name, 0)
            if told != had:
                found.append(f"{end} of {SEED}: the statement has {told} of {name}, the items had {had}")
    return found


def without(kind: str) -> Any:
    book = balances._book

    def booked(moves: Any, of: str, how: str, units: int) -> None:
        if of != kind:
            book(moves, of, how, units)

    return balances, "_book", booked


@pytest.mark.parametrize(
    "bug",
    [
        without("refund"),
        (tables, "fresh", lambda choice, dirty, beside: f"SELECT {NAMES} FROM {dirty}"),
    ],
    ids=["refunds are forgotten", "what is archived twice counts twice"],
)
def test_a_bug_put_in_on_purpose_is_noticed(year: Year, monkeypatch: pytest.MonkeyPatch, bug: tuple) -> None:
    monkeypatch.setattr(*bug)
    assert unlike_the_items(year) or unlike_the_ledger(year)


def test_every_line_adds_up_and_every_month_opens_as_the_one_before_closed(year: Year) -> None:
    before: dict[str, int] | None = None
    for found in by_month(year).values():
        for line in found.values():
            came = line.opening + line.granted + line.overdrawn + line.refunded
            assert came - line.used - line.voided - line.expired == line.closing
        opening = {name: line.opening for name, line in found.items() if line.opening}
        assert before in (None, opening)
        before = {name: line.closing for name, line in found.items() if line.closing}


def test_a_month_asked_for_alone_is_the_month_of_the_year(year: Year) -> None:
    months = by_month(year)
    for start, end in zip(year.months, year.months[1:], strict=False):
        alone = {line.grant.grant_id: line for line in lines(year, start, end)}
        assert figures(alone) == figures(months[end]), f"{end} of {SEED}"


def figures(found: dict[str, Line]) -> dict[str, tuple[int, ...]]:
    names = ("opening", *AMOUNTS, "closing", "aside")
    return {grant: tuple(getattr(line, name) for name in names) for grant, line in found.items()}


def test_the_year_is_the_sum_of_its_months(year: Year) -> None:
    months, whole = by_month(year), {line.grant.grant_id: line for line in lines(year, *ends(year))}
    for name, line in whole.items():
        parts = [found[name] for found in months.values() if name in found]
        for amount in AMOUNTS:
            assert getattr(line, amount) == sum(getattr(part, amount) for part in parts), f"{amount} of {name}"
        assert (line.opening, line.closing) == (parts[0].opening, parts[-1].closing) or not line.closing


def ends(year: Year) -> tuple[datetime, datetime]:
    return year.months[0], year.months[-1]


def test_what_was_used_of_each_grant_is_what_ledger_and_users_say(year: Year) -> None:
    assert unlike_the_ledger(year) == {}
    assert sum(used(year).values()) == live(year.world).spent


def unlike_the_ledger(year: Year) -> dict[str, tuple[int, int]]:
    """Grants of which the statement and the ledger do not say the same to be used: what either says."""
    of_ledger: Counter[str] = Counter()
    for entry in entries(year):
        sign = {EntryKind.DECISION: 1, EntryKind.REFUND: -1}.get(entry.kind, 0)
        for pool, units in entry.spent:
            of_ledger[grant_of(pool)] += sign * units
    said = used(year)
    return {
        name: (said.get(name, 0), of_ledger[name])
        for name in sorted({*said, *of_ledger})
        if said.get(name, 0) != of_ledger[name]
    }


def used(year: Year) -> dict[str, int]:
    """What the statement says was used of each grant, less what was refunded."""
    begun = year.months[0] - timedelta(days=30)
    return {line.grant.grant_id: line.used - line.refunded for line in lines(year, begun, year.months[-1])}


def test_what_months_are_reduced_to_closes_the_same(year: Year, tmp_path: Path) -> None:
    """The sums that stay of old months tell no user, and lose no unit of any grant."""

    def closing() -> dict[str, int]:
        return {line.grant.grant_id: line.closing for line in lines(year, *ends(year)) if line.closing}

    before = closing()
    copy = Shelf(year.world, tmp_path)
    for listed in year.shelf.objects.list(""):
        copy.objects.put(listed.key, year.shelf.objects.get(listed.key))
    for _ in range(3):
        copy.compact(days=60)
    assert any("/s-" in listed.key for listed in copy.objects.list("")), "nothing was reduced"
    year.shelf, kept = copy, year.shelf
    try:
        assert closing() == before
    finally:
        year.shelf = kept
