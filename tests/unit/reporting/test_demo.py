"""The made-up year: the same however often and whenever it is made, marked, and in keeping with the rules."""

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta

from cutlass.contracts import load_catalogue
from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.reporting.demo import MARK, year

PLAN = load_catalogue().plans["basic"]
REGIONS = ["london", "sydney"]
TODAY = date(2026, 11, 22)


def made(today: date = TODAY) -> list[LedgerEntry]:
    return list(year("demo", PLAN, REGIONS, today))


def test_another_day_adds_its_day_and_changes_nothing() -> None:
    before, after = set(made()), set(made(TODAY + timedelta(days=1)))
    assert before <= after
    assert {entry.at.date() for entry in after - before} == {TODAY}


def test_it_is_a_year_of_both_regions_until_yesterday() -> None:
    entries = made()
    assert min(entry.at for entry in entries) < datetime(2025, 11, 22, tzinfo=UTC)
    assert max(entry.at for entry in entries) < datetime(2026, 11, 22, tzinfo=UTC)
    decided = [entry for entry in entries if entry.kind is EntryKind.DECISION]
    assert {entry.region for entry in decided} == set(REGIONS)
    assert len({entry.entry_id for entry in entries}) == len(entries)
    assert all((entry.request_id or "").startswith(MARK) for entry in entries), "it is marked as made up"


def test_no_grant_is_overspent_and_every_ended_one_comes_to_nothing() -> None:
    left: dict[str, int] = defaultdict(int)
    ends: dict[str, int] = {}
    for entry in made():
        for pool, units in entry.spent:
            sign = 1 if entry.kind in {EntryKind.GRANT, EntryKind.REFUND} else -1
            left[pool] += sign * units
            ends[pool] = int(pool.split("#")[1])
            assert left[pool] >= 0, f"{pool} is overspent at {entry.at}"
    now = datetime(2026, 11, 22, tzinfo=UTC).timestamp() * 1000
    assert [pool for pool, units in left.items() if units and ends[pool] < now] == []


def test_users_stay_within_their_limit() -> None:
    used: dict[tuple[str | None, str, str], int] = defaultdict(int)
    for entry in made():
        if entry.kind in {EntryKind.DECISION, EntryKind.REFUND}:
            sign = 1 if entry.kind is EntryKind.DECISION else -1
            used[entry.user_id, entry.meter, f"{entry.at:%Y-%m}"] += sign * entry.units
    for (_, meter, _), units in used.items():
        assert 0 <= units <= (PLAN.meters[meter].user_limit or 0)
