"""Every way an item can be wrong is told in words."""

from dataclasses import replace

import pytest

from cutlass.domain.invariants import check_allotment, check_grant, check_pool, check_region
from cutlass.domain.pools import Pool, mint
from tests.unit.domain.samples import allotment, grant, holding, pool


def moved(london: dict[str, int], sydney: dict[str, int]) -> dict[str, Pool]:
    """The pools of a grant after London sent and Sydney accepted some units."""
    one, other = mint(grant(), "london"), mint(grant(), "sydney")
    return {
        "london": replace(one, sent=london, available=one.available - sum(london.values())),
        "sydney": replace(other, accepted=sydney, available=other.available + sum(sydney.values())),
    }


def test_sound_items_have_no_problems() -> None:
    assert check_pool(pool()) == []
    assert check_allotment(holding(5)) == []
    assert check_region([pool(available=95, minted=100, allotted=5)], [holding(5)]) == []
    assert check_grant(grant(), moved({}, {})) == []


@pytest.mark.parametrize("counter", ["minted", "available", "allotted", "returned", "burned", "expired"])
def test_a_pool_that_makes_or_loses_units_is_found(counter: str) -> None:
    wrong = replace(pool(), **{counter: getattr(pool(), counter) + 1})
    assert any("came in" in line for line in check_pool(wrong)), f"one {counter} too many was not noticed"


@pytest.mark.parametrize(
    "counter", ["rights", "unbacked", "available", "used", "drawn", "returned", "expired", "reserved", "extra"]
)
def test_an_allotment_that_makes_or_loses_units_is_found(counter: str) -> None:
    wrong = replace(holding(5), **{counter: getattr(holding(5), counter) + 1})
    assert check_allotment(wrong), f"one {counter} too many was not noticed"


def test_chunks_that_do_not_end_at_what_was_drawn_are_found() -> None:
    held = holding(5)
    wrong = replace(held, held=(replace(held.held[0], upto=4),))
    assert check_allotment(wrong) == ["allotment: the chunks held do not end at what was drawn"]


def test_a_negative_counter_is_named() -> None:
    overdrawn = pool(available=-1, minted=0, allotted=1)
    assert check_pool(overdrawn) == [f"pool {overdrawn.key}: available is -1"]
    assert check_allotment(allotment(used=-1, available=1)) == ["allotment: used is -1"]


def test_pools_and_allotments_of_a_region_must_agree() -> None:
    assert check_region([pool()], [holding(5)]) == [
        "0 units handed out on the pools' side, 5 on the allotments'",
    ]
    returned = allotment(drawn=5, returned=5, rights=100, unbacked=95)
    assert check_region([pool(available=95, minted=100, allotted=5)], [returned]) == [
        "0 units given back on the pools' side, 5 on the allotments'",
    ]


def test_a_grant_minted_twice_is_found() -> None:
    pools = {"london": mint(grant(), "london"), "sydney": mint(grant(), "london")}
    assert check_grant(grant(), pools) == ["grant requests:g: 160 minted of 100"]
    assert check_grant(grant(split={"london": 99}), {}) == ["grant requests:g: 0 minted of 100"]


def test_more_may_not_arrive_than_was_sent() -> None:
    assert check_grant(grant(), moved({"sydney": 5}, {"london": 5})) == []
    assert check_grant(grant(), moved({"sydney": 5}, {})) == [], "units on their way"
    assert check_grant(grant(), moved({"sydney": 5}, {"london": 6})) == [
        "grant requests:g: sydney accepted 6 from london, which sent 5"
    ]
    alone = {"sydney": moved({}, {"london": 1})["sydney"]}
    assert check_grant(grant(), alone) == ["grant requests:g: sydney accepted 1 from london, which sent 0"]
