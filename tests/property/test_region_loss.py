"""No history of a region that dies oversells beyond what the operator was told; wrong rules are noticed."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from cutlass.domain import regions
from cutlass.domain.regions import Standing
from tests.property.region_machine import LONDON, SYDNEY, RegionHistories, die_and_come_back, play

TestRegionHistories = RegionHistories.TestCase
TestRegionHistories.settings = settings(max_examples=300, stateful_step_count=40)

SEARCH = settings(
    max_examples=300,
    stateful_step_count=40,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def _unfenced(state, survivor, denied):
    return replace(state, standing=Standing.CLAIMED, claimant=survivor, denied=denied)


MUTANTS = {
    "a region that serves is claimed from": (regions, "claim_by", lambda _: _unfenced),
    "a pool is claimed twice in an epoch": (RegionHistories, "booked", lambda _: lambda *_: False),
    "a claim is settled as a difference": (
        regions,
        "settle_units",
        lambda right: lambda pool, to, total: right(pool, to, total + pool.sent.get(to, 0)),
    ),
    "what is missing is not booked": (
        regions,
        "settle_units",
        lambda right: lambda pool, to, total: replace(right(pool, to, total), overdrawn=pool.overdrawn),
    ),
    "a region serves before its claims are settled": (
        regions,
        "readmit",
        lambda right: lambda state, _, **who: right(state, 0, **who),
    ),
    "a claim forgets what others accepted": (
        regions.Sight,
        "left",
        lambda _: lambda sight: sight.free,
    ),
    "a fence stays open": (regions, "fence_pool", lambda _: lambda pool, _: pool),
    "an old fence holds forever": (regions, "fence_pool", lambda right: lambda pool, _: right(pool, 10**6)),
}


@pytest.mark.parametrize("unseen", [0, 3, 30])
@pytest.mark.parametrize("denied", [True, False])
def test_a_region_dies_and_comes_back_twice(*, unseen: int, denied: bool) -> None:
    def twice(history: RegionHistories) -> None:
        die_and_come_back(history, unseen=unseen, denied=denied)
        die_and_come_back(history, unseen=unseen, denied=denied)

    play(twice)


def test_units_really_sent_before_the_death_are_not_taken_twice() -> None:
    def story(history: RegionHistories) -> None:
        history.replicate()
        history.send(SYDNEY, LONDON, 20)  # London hears of it only when Sydney is back
        history.network(dark=True)
        history.deny_writes()
        history.fence(to_the_end=True)
        history.claim(0)
        history.network(dark=False)
        history.accept(SYDNEY, LONDON)
        history.fence(to_the_end=True)
        history.readmit(None)
        assert history.pools[SYDNEY].overdrawn == 0

    play(story)


def test_a_claim_leaves_what_london_got_since_the_copy() -> None:
    def story(history: RegionHistories) -> None:
        history.replicate()
        history.send(SYDNEY, LONDON, 20)
        history.accept(SYDNEY, LONDON)
        history.network(dark=True)
        history.deny_writes()
        history.fence(to_the_end=True)
        history.claim(0)

    play(story)


def test_a_fence_stops_draws_and_a_readmission_lets_them_again() -> None:
    def story(history: RegionHistories) -> None:
        history.fence(to_the_end=False)
        history.draw(SYDNEY, 5)
        assert history.held[SYDNEY] == 0
        history.fence(to_the_end=True)
        history.readmit(None)
        history.draw(SYDNEY, 5)
        assert history.held[SYDNEY] == 5

    play(story)


def _all() -> None:
    for unseen in (0, 30):
        test_a_region_dies_and_comes_back_twice(unseen=unseen, denied=True)
    test_units_really_sent_before_the_death_are_not_taken_twice()
    test_a_claim_leaves_what_london_got_since_the_copy()
    test_a_fence_stops_draws_and_a_readmission_lets_them_again()
    run_state_machine_as_test(RegionHistories, settings=SEARCH)


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, rule, mutate = MUTANTS[name]
    right: Callable[..., object] = getattr(module, rule)
    monkeypatch.setattr(module, rule, mutate(right))
    with pytest.raises(AssertionError):
        _all()
