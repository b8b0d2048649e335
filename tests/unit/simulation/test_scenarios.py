"""Scenarios and their workload."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest

from cutlass.domain.errors import InvalidRequestError
from cutlass.simulation.geography import PLACES, round_trip_ms
from cutlass.simulation.scenarios import SCENARIOS, fuzzed, scenario
from cutlass.simulation.workload import usual_region, workload


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_make_sense(name: str) -> None:
    found = scenario(name)
    assert 2 <= len(found.regions) <= 10
    assert len(found.regions) == len(set(found.regions))
    for _, shares in found.weights:
        assert len(shares) == len(found.regions)
        assert sum(shares) == pytest.approx(1)
    assert found.requests == pytest.approx(1.4 * found.limit, abs=1)


def test_a_workload_is_the_same_for_the_same_seed_only() -> None:
    found = scenario("flip")
    first, again, other = (list(islice(workload(found, seed), 500)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_load_goes_where_the_scenario_says() -> None:
    found = replace(scenario("flip"), requests=20_000, requests_per_second=20_000 / 373)
    before, after = Counter[int](), Counter[int]()
    for now, _, _, region, _ in workload(found, 1):
        (before if now < found.weights[1][0] else after)[region] += 1
    assert before[0] > 2.5 * before[1]
    assert after[1] > 2.5 * after[0]


def test_a_user_who_does_not_roam_stays_in_the_usual_region() -> None:
    found = replace(scenario("three-regions"), roaming=0.0, requests=2000)
    assert all(found.regions[region] == usual_region(found, user) for _, _, user, region, _ in workload(found, 1))


def test_a_larger_scenario_takes_as_long_and_a_given_rate_stretches_it() -> None:
    plain, larger = scenario("flip"), scenario("flip", users=1_000_000)
    assert larger.limit == 1_000_000
    assert larger.span_ms == pytest.approx(plain.span_ms, rel=0.01)
    slow = scenario("flip", requests_per_second=plain.requests_per_second / 2)
    assert slow.weights[1][0] == pytest.approx(2 * plain.weights[1][0])
    cut = scenario("partition", requests_per_second=30).cuts[0]
    assert cut.end_ms - cut.start_ms == pytest.approx(60_000)


@pytest.mark.parametrize(
    "wrong", [{"name": "no-such"}, {"name": "skew", "users": 0}, {"name": "fuzz", "limit": 3}]
)
def test_wrong_scenarios_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidRequestError):
        scenario(**wrong)  # type: ignore[arg-type]


def test_fuzzed_scenarios_follow_from_their_seed_and_differ() -> None:
    assert fuzzed(5) == fuzzed(5) == scenario("fuzz", seed=5)
    drawn = [fuzzed(seed) for seed in range(200)]
    assert {len(found.regions) for found in drawn} >= {2, 3, 4, 10}
    for what in ("cuts", "outages", "credits", "lost", "duplicated", "region_skew_ms", "client_skew_ms"):
        assert {bool(getattr(found, what)) for found in drawn} == {True, False}, f"no variety of {what}"


def test_round_trips_are_those_of_the_globe() -> None:
    assert round_trip_ms("london", "sydney") == pytest.approx(270, abs=5)
    assert round_trip_ms("london", "frankfurt") < 20
    assert all(round_trip_ms(one, other) == round_trip_ms(other, one) for one in PLACES for other in PLACES)
