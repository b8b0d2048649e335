"""A world's archive, and what its live items say of each grant, to hold one against the other."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import duckdb

from cutlass.contracts import load_reports
from cutlass.domain.allotments import unspent
from cutlass.domain.pools import grant_of
from cutlass.domain.reports import ReportSpec
from cutlass.domain.reservations import State
from cutlass.reporting.archive import BEGINNING, Archive
from cutlass.reporting.archiver import Archiver
from cutlass.reporting.calendar import Calendar
from cutlass.reporting.compaction import Compactor
from cutlass.reporting.query import Limits, Watch, local
from cutlass.reporting.reports.balances import read, reckon
from cutlass.reporting.rows import NAMES
from cutlass.reporting.tables import attach
from cutlass.storage.objects import Folder
from tests.support.holdings import Holdings
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
        self.take(BOTH)

    def take(self, regions: Iterable[str]) -> None:
        """Archive what the ledgers of some regions have grown by."""
        for region in regions:
            records = self.world.records(region, "ledger", "archiver")
            self.batches.append((region, records))
            Archiver(self.objects, region).archive(records)

    def compact(self, days: int | None = None) -> None:
        """Compact; months older than so many days become their sums."""
        Compactor(self.objects, lambda: self.world.now, lambda _org: days).run()

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


@dataclass
class Live:
    """Units by grant, as the items of both regions have them now.

    Attributes
    ----------
    there : Mapping
        What pools have and have on its way, what users have in hand, and what is set aside.
    aside : Mapping
        Of that, what is set aside.
    minted : Mapping
        What pools were born with.
    spent : int
        Units that users have spent and were not refunded, of all grants.
    """

    there: Mapping[str, int] = field(default_factory=lambda: defaultdict(int))
    aside: Mapping[str, int] = field(default_factory=lambda: defaultdict(int))
    minted: Mapping[str, int] = field(default_factory=lambda: defaultdict(int))
    spent: int = 0


def live(world: World, meter: str = "requests") -> Live:
    """What regions, users and reservations have of each grant, by the items themselves."""
    there, aside, minted = defaultdict[str, int](int), defaultdict[str, int](int), defaultdict[str, int](int)
    spent = 0
    for region in BOTH:
        holdings = Holdings(world, region)
        for pool in holdings.pools(meter):
            minted[pool.grant_id] += pool.minted
            there[pool.grant_id] += pool.available + sum(pool.sent.values()) - sum(pool.accepted.values())
        for allotment in holdings.allotments(meter).values():
            spent += allotment.used - allotment.refunded
            for chunk, units in unspent(allotment):
                there[grant_of(chunk.pool)] += units
        for one in holdings.reservations:
            for part in one.parts if one.state is State.HELD and one.meter == meter else ():
                aside[grant_of(part.pool)] += part.units
    for name, units in aside.items():
        there[name] += units
    return Live(there, aside, minted, spent)
