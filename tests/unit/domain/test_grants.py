"""Grants of plans and of credits."""

from dataclasses import replace
from datetime import timedelta

from cutlass.domain.grants import (
    DEFAULT_PRIORITY,
    MAX_PRIORITY,
    OVERAGE_PRIORITY,
    PLAN_PRIORITY,
    Category,
    Grant,
    grant_id,
    missing_grants,
    spendable,
    superseded_grants,
)
from cutlass.domain.ids import ID_PATTERN
from cutlass.domain.plans import Allowance, AtEnd, Plan
from tests.unit.domain.samples import NOW, catalogue, grant, organisation, plan, topology

CATALOGUE = catalogue()
BASIC, PREMIUM, ENTERPRISE = CATALOGUE.plans.values()
PERIOD = organisation().period_at(CATALOGUE, NOW)


def missing(of: Plan, *existing: Grant, voided: tuple[Grant, ...] = ()) -> list[Grant]:
    pairs = [(grant, grant in voided) for grant in existing]
    return missing_grants(organisation(), of, PERIOD, topology(), pairs, now=NOW)


def superseded(of: Plan, *existing: Grant, voided: tuple[Grant, ...] = ()) -> list[Grant]:
    return superseded_grants(of, PERIOD, [(grant, grant in voided) for grant in existing])


def test_a_period_begins_with_its_plans_grant() -> None:
    (made,) = missing(BASIC)
    assert made == Grant(
        grant_id="requests:plan-20261101T0000",
        org_id="org",
        meter="requests",
        category=Category.PLAN,
        amount=1000,
        priority=PLAN_PRIORITY,
        effective_at=PERIOD.start,
        expires_at=PERIOD.end,
        user_id=None,
        split={"london": 800, "sydney": 200},
        created_at=NOW,
    )


def test_an_overage_plan_also_grants_its_cap() -> None:
    of_plan, overage = missing(ENTERPRISE)
    assert (of_plan.amount, of_plan.category, of_plan.priority) == (20_000, Category.PLAN, PLAN_PRIORITY)
    assert (overage.amount, overage.category, overage.priority) == (3000, Category.OVERAGE, OVERAGE_PRIORITY)


def test_an_upgrade_grants_the_difference_under_a_name_of_its_own() -> None:
    basic = missing(BASIC)
    (more,) = missing(PREMIUM, *basic)
    assert (more.grant_id, more.amount) == ("requests:plan-20261101T0000@1", 4000)
    assert missing(PREMIUM, *basic, more) == []
    of_plan, overage = missing(ENTERPRISE, *basic, more)
    assert (of_plan.grant_id, of_plan.amount) == ("requests:plan-20261101T0000@2", 15_000)
    assert overage.grant_id == "requests:overage-20261101T0000"


def test_of_two_upgrades_that_see_the_same_only_one_can_be_written() -> None:
    basic = missing(BASIC)
    (one,), (other, _) = missing(PREMIUM, *basic), missing(ENTERPRISE, *basic)
    assert one.grant_id == other.grant_id
    (rest, _) = missing(ENTERPRISE, *basic, one)
    assert basic[0].amount + one.amount + rest.amount == 20_000
    assert missing(PREMIUM, *basic, other) == [], "the larger one was first"


def test_a_voided_grant_does_not_count_but_its_name_is_taken() -> None:
    basic = missing(BASIC)
    (again,) = missing(BASIC, *basic, voided=tuple(basic))
    assert (again.grant_id, again.amount) == ("requests:plan-20261101T0000@1", 1000)
    assert missing(BASIC, *basic, again, voided=tuple(basic)) == []


def test_a_grant_for_a_period_that_ends_otherwise_does_not_count() -> None:
    (short,) = missing(BASIC)
    short = replace(short, expires_at=PERIOD.end - timedelta(days=9))
    (whole,) = missing(BASIC, short)
    assert (whole.grant_id, whole.amount, whole.expires_at) == (f"{short.grant_id}@1", 1000, PERIOD.end)


class TestSuperseded:
    def test_what_the_plan_includes_stays(self) -> None:
        assert superseded(ENTERPRISE, *missing(ENTERPRISE)) == []
        assert superseded(PREMIUM, *missing(BASIC)) == [], "an upgrade lacks something, and has nothing wrong"

    def test_all_parts_go_when_they_are_more_than_the_plan_includes(self) -> None:
        basic = missing(BASIC)
        raised = [*basic, *missing(PREMIUM, *basic)]
        assert superseded(PREMIUM, *raised) == []
        assert superseded(BASIC, *raised) == raised
        (again,) = missing(BASIC, *raised, voided=tuple(raised))
        assert (again.grant_id, again.amount) == ("requests:plan-20261101T0000@2", 1000)
        assert superseded(BASIC, *raised, again, voided=tuple(raised)) == []

    def test_overage_that_the_plan_does_not_have_goes(self) -> None:
        of_plan, overage = missing(ENTERPRISE)
        assert superseded(replace(ENTERPRISE, meters=BASIC.meters), of_plan, overage) == [of_plan, overage]
        smaller = replace(of_plan, amount=1000)
        assert superseded(BASIC, smaller, overage) == [overage]

    def test_grants_of_a_period_that_ends_otherwise_go(self) -> None:
        (short,) = missing(BASIC)
        short = replace(short, expires_at=PERIOD.end - timedelta(days=9))
        assert superseded(BASIC, short) == [short]

    def test_credits_other_periods_and_what_is_voided_are_left_alone(self) -> None:
        (other,) = missing(BASIC)
        earlier = replace(other, effective_at=PERIOD.start - timedelta(days=31), expires_at=PERIOD.start)
        credit = grant(amount=10**6, effective_at=PERIOD.start, expires_at=PERIOD.end + timedelta(days=9))
        assert superseded(BASIC, earlier, credit) == []
        big = missing(PREMIUM)
        assert superseded(BASIC, *big, voided=tuple(big)) == []


def test_grants_of_other_periods_and_credits_do_not_count() -> None:
    (other,) = missing(BASIC)
    start = PERIOD.start - timedelta(days=31)
    other = replace(other, grant_id="requests:plan-20261001T0000", effective_at=start, expires_at=PERIOD.start)
    assert len(missing(BASIC, other, grant(amount=10_000))) == 1


def test_a_smaller_plan_lacks_nothing() -> None:
    assert missing(BASIC, *missing(PREMIUM)) == []


def test_a_meter_without_included_units_has_no_grant() -> None:
    assert missing(plan("free", 0, included=0)) == []


def test_a_grant_id_names_its_meter_and_request() -> None:
    assert grant_id("requests", "org", "key") == grant_id("requests", "org", "key")
    assert grant_id("requests", "org", "key") != grant_id("requests", "org", "other")
    assert grant_id("requests", "org", "key").startswith("requests:")
    assert ID_PATTERN.fullmatch(grant_id("requests", "org", "key"))


def test_credits_are_prepaid_and_stand_between_plan_and_overage() -> None:
    assert {c for c in Category if c.prepaid} == {Category.PAID, Category.PROMOTIONAL}
    assert PLAN_PRIORITY < DEFAULT_PRIORITY < OVERAGE_PRIORITY <= MAX_PRIORITY


def test_a_plan_that_denies_at_its_end_spends_no_credits() -> None:
    strict = catalogue(plan("strict", 0, at_end=AtEnd.DENY), BASIC, ENTERPRISE)
    assert spendable(Category.PLAN, strict, "strict", "requests")
    assert not spendable(Category.PAID, strict, "strict", "requests")
    assert spendable(Category.PAID, strict, "basic", "requests")
    assert spendable(Category.OVERAGE, strict, "enterprise", "requests")
    assert not spendable(Category.PLAN, strict, "basic", "reports"), "the plan does not include this meter"


def test_each_meter_has_grants_of_its_own() -> None:
    two = replace(BASIC, meters=BASIC.meters | {"reports": Allowance(50, 10, AtEnd.DENY)})
    assert [made.grant_id.partition(":")[0] for made in missing(two)] == ["requests", "reports"]


def test_the_next_period_is_granted_anew() -> None:
    following = organisation().period_at(CATALOGUE, PERIOD.end)
    existing = missing(BASIC)
    pairs = [(one, False) for one in existing]
    (made,) = missing_grants(organisation(), BASIC, following, topology(), pairs, now=NOW)
    assert made.effective_at == existing[0].expires_at
    assert made.expires_at == following.end > PERIOD.end + timedelta(days=30)
