"""A period's grants add up to the plan's, whatever was granted before and in whichever order."""

import itertools
from collections import Counter
from collections.abc import Container, Iterable

from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.grants import Grant, missing_grants, superseded_grants
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


def standing(grants: Iterable[Grant], voided: Container[str] = ()) -> list[tuple[Grant, bool]]:
    return [(one, one.grant_id in voided) for one in grants]


def totals(grants: Iterable[Grant]) -> Counter[str]:
    """Units by category."""
    found: Counter[str] = Counter()
    for one in grants:
        found[one.category] += one.amount
    return found


def wanted(of: Plan) -> Counter[str]:
    """What a plan includes, by category."""
    allowance = of.meters["requests"]
    return Counter(plan=allowance.included, overage=allowance.overage_cap * (allowance.at_end is AtEnd.OVERAGE))


def granted(plans: list[Plan], home: str = "london", regions: int = 3) -> list[Grant]:
    """The grants of one period in which the organisation moves from plan to plan."""
    org = organisation(plans[0])
    period = org.period_at(catalogue(*plans), NOW)
    grants: list[Grant] = []
    for of in plans:
        made = missing_grants(org, of, period, topology(regions), standing(grants), now=NOW)
        grants += made
        again = missing_grants(org, of, period, topology(regions), standing(grants), now=NOW)
        assert again == [], "grants that were just made are still missing"
        assert superseded_grants(of, period, standing(grants)) == [], "grants that were just made are wrong"
        assert all(g.effective_at == period.start and g.expires_at == period.end for g in made)
    return grants


@given(rising_plans())
def test_a_chain_of_upgrades_grants_exactly_the_last_plan(plans: list[Plan]) -> None:
    grants = granted(plans)
    for one in grants:
        assert one.amount > 0
        assert sum(one.split.values()) == one.amount
    assert totals(grants) == wanted(plans[-1])
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
        missing_grants(org, plans[-1], period, topology(), standing(existing), now=NOW)
        for existing in (grants, mixed, list(reversed(mixed)))
    ]
    assert all(one == other for one, other in itertools.pairwise(answers))


@given(rising_plans(), st.data())
def test_upgrades_at_once_grant_the_largest_of_them(plans: list[Plan], data: st.DataObject) -> None:
    """Callers look and write in any order; of one id only the first is written, and who lost looks again."""
    org = organisation(plans[0])
    period = org.period_at(catalogue(*plans), NOW)
    stored: dict[str, Grant] = {}

    def look(of: Plan) -> list[Grant]:
        return missing_grants(org, of, period, topology(), standing(stored.values()), now=NOW)

    underway = [(of, look(of)) for of in plans]
    while underway:
        of, missing = underway.pop(data.draw(st.integers(0, len(underway) - 1)))
        written = [stored.setdefault(one.grant_id, one) is one for one in missing]
        if not all(written):
            underway.append((of, look(of)))
    assert totals(stored.values()) == wanted(plans[-1])


@given(rising_plans(), st.data())
def test_a_plan_lowered_and_raised_ahead_of_a_period_grants_exactly_the_last(plans, data) -> None:
    """Whatever was written ahead: voided, written anew under free names, and then right."""
    org = organisation(plans[0])
    period = org.period_at(catalogue(*plans), NOW)
    stored: dict[str, Grant] = {}
    voided: set[str] = set()
    for of in data.draw(st.lists(st.sampled_from(plans), min_size=1, max_size=6)):
        voided |= {one.grant_id for one in superseded_grants(of, period, standing(stored.values(), voided))}
        for one in missing_grants(org, of, period, topology(), standing(stored.values(), voided), now=NOW):
            assert stored.setdefault(one.grant_id, one) is one, "a voided grant's name is not free"
        stands = [one for one in stored.values() if one.grant_id not in voided]
        assert totals(stands) == wanted(of)
        assert superseded_grants(of, period, standing(stored.values(), voided)) == []
