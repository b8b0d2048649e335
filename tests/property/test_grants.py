"""A period's grants add up to the plan's, whatever was granted before and in whichever order."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.grants import Grant, missing_grants
from cutlass.domain.plans import MAX_UNITS, AtEnd, Plan
from tests.unit.domain.samples import NOW, catalogue, grant, organisation, plan, topology

amounts = st.integers(0, MAX_UNITS)


@st.composite
def rising_plans(draw: st.DrawFn) -> list[Plan]:
    """Plans of which each includes at least what those before it do."""
    included = sorted(draw(st.lists(amounts, min_size=1, max_size=4)))
    caps = sorted(draw(st.lists(amounts, min_size=len(included), max_size=len(included))))
    at_end = [AtEnd.DENY, AtEnd.CREDITS, AtEnd.OVERAGE]
    chosen = sorted(draw(st.integers(0, 2)) for _ in included)
    return [
        plan(f"plan{n}", n, included=units, at_end=at_end[end], overage_cap=cap)
        for n, (units, cap, end) in enumerate(zip(included, caps, chosen, strict=True))
    ]


def granted(plans: list[Plan], home: str = "london", regions: int = 3) -> list[Grant]:
    """The grants of one period in which the organisation moves from plan to plan."""
    org = organisation(plans[0])
    period = org.period_at(catalogue(*plans), NOW)
    grants: list[Grant] = []
    for of in plans:
        made = missing_grants(org, of, period, topology(regions), grants, now=NOW)
        grants += made
        again = missing_grants(org, of, period, topology(regions), grants, now=NOW)
        assert again == [], "grants that were just made are still missing"
        assert all(g.effective_at == period.start and g.expires_at == period.end for g in made)
    return grants


@given(rising_plans())
def test_a_chain_of_upgrades_grants_exactly_the_last_plan(plans: list[Plan]) -> None:
    grants = granted(plans)
    allowance = plans[-1].meters["requests"]
    totals = {"plan": 0, "overage": 0}
    for one in grants:
        totals[one.category] += one.amount
        assert one.amount > 0
        assert sum(one.split.values()) == one.amount
    assert totals["plan"] == allowance.included
    assert totals["overage"] == (allowance.overage_cap if allowance.at_end is AtEnd.OVERAGE else 0)
    assert len({g.grant_id for g in grants}) == len(grants), "one grant would hide another"


@given(rising_plans(), st.randoms(use_true_random=False), st.integers(0, 5))
def test_what_is_missing_does_not_depend_on_order_or_on_other_grants(plans, random, credits_too) -> None:
    org = organisation(plans[0])
    period = org.period_at(catalogue(*plans), NOW)
    grants = granted(plans[:-1]) if len(plans) > 1 else []
    others = [grant(grant_id=f"requests:credit{n}") for n in range(credits_too)]
    mixed = grants + others
    random.shuffle(mixed)
    answers = [
        missing_grants(org, plans[-1], period, topology(), existing, now=NOW)
        for existing in (grants, mixed, list(reversed(mixed)))
    ]
    assert all(one == other for one, other in itertools.pairwise(answers))
