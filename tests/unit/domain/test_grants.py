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
)
from cutlass.domain.ids import ID_PATTERN
from cutlass.domain.plans import Allowance, AtEnd
from tests.unit.domain.samples import NOW, catalogue, grant, organisation, plan, topology

CATALOGUE = catalogue()
BASIC, PREMIUM, ENTERPRISE = CATALOGUE.plans.values()
PERIOD = organisation().period_at(CATALOGUE, NOW)


def missing(of: object, *existing: Grant) -> list[Grant]:
    return missing_grants(organisation(), of, PERIOD, topology(), existing, now=NOW)  # type: ignore[arg-type]


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
    assert (more.grant_id, more.amount) == ("requests:plan-20261101T0000@premium", 4000)
    assert missing(PREMIUM, *basic, more) == []


def test_grants_of_other_periods_and_credits_do_not_count() -> None:
    (other,) = missing(BASIC)
    other = replace(other, grant_id="requests:plan-20261001T0000")
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
    (made,) = missing_grants(organisation(), BASIC, following, topology(), existing, now=NOW)
    assert made.effective_at == existing[0].expires_at
    assert made.expires_at == following.end > PERIOD.end + timedelta(days=30)
