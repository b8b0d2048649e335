"""What one look at an organisation's items comes to."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cutlass.domain.invariants import check_sums
from cutlass.domain.organisations import Status, change
from cutlass.domain.periods import PeriodRule
from cutlass.domain.plans import PeriodKind
from cutlass.domain.pools import mint
from cutlass.domain.reconciliation import (
    Counted,
    Look,
    RegionLook,
    account,
    breaches,
    compare_ledger,
    compare_usage,
    periods_of,
    total,
)
from tests.unit.domain.samples import NOW, NOW_MS, catalogue, grant, holding, organisation, plan, pool


def look(**london: object) -> Look:
    """London handed five units to Ann, Sydney has not minted its share yet."""
    given = replace(mint(grant(), "london"), available=75, allotted=5)
    return Look(((grant(), False),), {"london": RegionLook((given,), {("ann", "p"): holding(5)}, **london)})


def test_every_unit_is_somewhere() -> None:
    found = account(look(), NOW_MS)
    assert (found.granted, found.remaining, found.gap) == (100, 100, 0)
    assert breaches(look()) == []
    spent = replace(holding(5), available=3, used=2)
    met = replace(look(), regions={"london": replace(look().regions["london"], allotments={("ann", "p"): spent})})
    found = account(met, NOW_MS)
    assert (found.used, found.remaining, found.gap) == (2, 98, 0)


def test_what_has_expired_counts_as_expired_wherever_it_lies() -> None:
    found = account(look(), NOW_MS + 2 * 86_400_000)
    assert found.expired == 75 + 20
    assert found.remaining == 5, "this allotment's units never expire"
    assert found.gap == 0


def test_a_voided_share_that_was_never_minted_is_burned() -> None:
    met = replace(look(), grants=((grant(), True),))
    assert (account(met, NOW_MS).burned, account(met, NOW_MS).gap) == (20, 0)


def test_a_look_at_moving_items_tells_no_gap_and_compares_no_sums() -> None:
    met = look(whole=False)
    regions = {"london": replace(met.regions["london"], allotments={})}
    assert account(replace(met, regions=regions), NOW_MS).gap is None
    assert breaches(replace(met, regions=regions)) == []
    whole = {"london": replace(regions["london"], whole=True)}
    assert [b.invariant for b in breaches(replace(met, regions=whole))] == ["handed-out", "account"]


def test_of_deleted_allotments_pools_may_have_handed_out_more() -> None:
    assert check_sums([pool(available=95, minted=100, allotted=5)], [], all_kept=False) == []
    assert check_sums([pool()], [holding(5)], all_kept=False)


def test_usage_is_compared_where_the_consumer_has_caught_up() -> None:
    met = {("ann", "p"): holding(5, used=3, seq=7), ("bob", "p"): holding(5, used=3, seq=7)}
    counted = {("ann", "p"): Counted(3, 7), ("bob", "p"): Counted(1, 6)}
    found = compare_usage("london", met, counted)
    assert (found.compared, found.behind, found.breaches) == (1, 1, [])
    found = compare_usage("london", met, counted | {("ann", "p"): Counted(2, 7)})
    assert [breach.holder for breach in found.breaches] == [("ann", "p")]


def test_the_ledger_is_compared_by_user_over_all_periods() -> None:
    met = {("ann", "p"): holding(5, used=3, seq=7), ("ann", "q"): holding(5, used=2, seq=1)}
    counted = {("ann", "p"): Counted(3, 7), ("ann", "q"): Counted(2, 1)}
    assert compare_ledger("london", met, counted, {"ann": 5}).breaches == []
    (breach,) = compare_ledger("london", met, counted, {"ann": 4}).breaches
    assert breach.holder == ("ann", "q")
    late = counted | {("ann", "q"): Counted(0, 0)}
    assert compare_ledger("london", met, late, {"ann": 3}).behind == 1


def test_every_period_some_region_may_have_opened_is_looked_at() -> None:
    """The new terms begin in December; a region that has not heard of them goes on by months."""
    monthly, daily = plan("monthly", 1), plan("daily", 0, period=PeriodKind.DAY)
    plans = catalogue(monthly, daily)
    old = organisation(monthly, now=NOW)
    new = change(old, plans, plan="daily", rule=PeriodRule(), status=Status.ACTIVE, now=NOW)
    later = datetime(2026, 12, 3, 5, tzinfo=UTC)
    found = periods_of(new, plans, NOW, later)
    assert list(found)[:5] == [f"2026{day}T0000" for day in ("1101", "1201", "1202", "1203", "1204")]
    assert found["20261201T0000"].end - found["20261201T0000"].start == timedelta(days=1)
    assert list(periods_of(old, plans, NOW, later)) == [
        f"{month}01T0000" for month in ("202611", "202612", "202701")
    ]


def test_accounts_add_up_as_far_as_they_can_be_told() -> None:
    one = account(look(), NOW_MS)
    assert total([one, one]).granted == 200
    assert total([one, replace(one, gap=None)]).gap == 0
    assert total([replace(one, gap=None)]).gap is None
