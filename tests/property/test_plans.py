"""Nothing is lost in a division."""

from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.organisations import User
from cutlass.domain.plans import MAX_UNITS
from tests.unit.domain.samples import plan, topology

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
def test_the_shares_of_a_limit_add_up_to_it(regions, limit, data) -> None:
    home, usual = (data.draw(st.sampled_from(sorted(regions.regions))) for _ in range(2))
    user = User("org", "ann", {"requests": limit}, usual_region=data.draw(st.sampled_from([None, usual])))
    shares = [user.share(plan("basic", 0), "requests", region, home, regions) for region in regions.regions]
    assert sum(shares) == limit
