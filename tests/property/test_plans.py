"""Nothing is lost in a division."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.organisations import User, change_user
from cutlass.domain.periods import PeriodRule, period_at
from cutlass.domain.plans import MAX_UNITS, PeriodKind
from tests.unit.domain.samples import NOW, plan, topology

topologies = st.builds(topology, st.integers(1, 10), st.integers(0, 100))


@given(topologies, st.integers(0, MAX_UNITS), st.data())
def test_a_division_gives_every_region_something_and_nobody_too_much(regions, amount, data) -> None:
    home = data.draw(st.sampled_from(sorted(regions.regions)))
    shares = regions.split(amount, home)
    assert shares.keys() == regions.regions.keys()
    assert sum(shares.values()) == amount
    assert min(shares.values()) >= 0
    assert shares[home] * 100 >= amount * regions.home_percent
    others = [units for region, units in shares.items() if region != home]
    assert max(others, default=0) - min(others, default=0) <= 1, "regions that are not the home are treated alike"


@given(topologies, st.integers(0, MAX_UNITS), st.integers(1, 100), st.data())
def test_no_share_falls_when_the_amount_rises(regions, amount, more, data) -> None:
    """Else a raised limit would give units to one region that another has handed out already."""
    home = data.draw(st.sampled_from(sorted(regions.regions)))
    before, after = regions.split(amount, home), regions.split(amount + more, home)
    assert all(after[region] >= units for region, units in before.items())


@given(topologies, st.integers(0, MAX_UNITS), st.data())
def test_the_shares_of_a_limit_add_up_to_it_however_its_user_moves(regions, limit, data) -> None:
    """Within a period they also stay what they were, because a region may have handed out its share."""
    places = st.sampled_from([None, *sorted(regions.regions)])
    home = data.draw(st.sampled_from(sorted(regions.regions)))
    user, now = User("org", "ann", {"requests": limit}, usual_region=data.draw(places)), NOW
    divided: dict[str, list[int]] = {}
    for to, wait in data.draw(st.lists(st.tuples(places, st.integers(0, 60)), max_size=6)):
        now += timedelta(hours=wait)
        period = period_at(PeriodKind.DAY, PeriodRule(), now)
        for _ in range(2):
            shares = [
                user.share(plan("basic", 0), "requests", one, home, regions, period) for one in regions.regions
            ]
            assert sum(shares) == limit
            assert divided.setdefault(period.key, shares) == shares, "a move has divided rights within a period"
            user = change_user(user, limits=user.limits, usual_region=to, period=period, now=now)
        following = period_at(PeriodKind.DAY, PeriodRule(), period.end)
        assert user.region_in(following) == to
