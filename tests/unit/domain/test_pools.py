"""Pools: their birth and the order in which they are spent."""

from dataclasses import replace
from datetime import timedelta

from cutlass.domain.invariants import check_pool
from cutlass.domain.pools import NEVER_MS, mint, of_user
from tests.unit.domain.samples import DAY_MS, NOW, NOW_MS, grant, pool


def test_a_pool_is_born_with_its_regions_share() -> None:
    london, sydney = mint(grant(), "london"), mint(grant(), "sydney")
    assert (london.minted, london.available, sydney.minted) == (80, 80, 20)
    assert (london.starts_ms, london.expires_ms) == (NOW_MS - DAY_MS, NOW_MS + DAY_MS)


def test_a_region_outside_the_split_has_nothing() -> None:
    assert mint(grant(), "tokyo").minted == 0


def test_a_pool_of_a_voided_grant_is_born_burned() -> None:
    born = mint(grant(), "london", voided=True)
    assert (born.available, born.burned) == (0, 80)
    assert check_pool(born) == []


def test_a_voided_pool_is_not_live_also_for_units_that_come_back() -> None:
    born = replace(mint(grant(), "london", voided=True), returned=5, available=5)
    assert check_pool(born) == []
    assert not born.live(NOW_MS)
    assert replace(born, voided=False).live(NOW_MS)


def test_a_grant_without_expiry_never_expires() -> None:
    born = mint(grant(expires_at=None), "london")
    assert born.expires_ms == NEVER_MS
    assert born.live(NEVER_MS - 1)


def test_a_pool_lives_from_its_start_to_before_its_expiry() -> None:
    one = mint(grant(effective_at=NOW, expires_at=NOW + timedelta(seconds=1)), "london")
    alive = [ms for ms in (NOW_MS - 1, NOW_MS, NOW_MS + 999, NOW_MS + 1000) if one.live(ms)]
    assert alive == [NOW_MS, NOW_MS + 999]


def test_pools_are_spent_by_priority_then_expiry_and_keys_sort_alike() -> None:
    pools = [
        pool("c", priority=900),
        pool("b", priority=50, expires_ms=NEVER_MS),
        pool("a", priority=50, expires_ms=NOW_MS),
        pool("z", priority=9),
        pool("own", priority=50, expires_ms=NOW_MS + 1, user_id="ann"),
    ]
    assert [p.grant_id for p in sorted(pools, key=lambda p: p.order)] == ["z", "a", "own", "b", "c"]
    assert [p.grant_id for p in sorted(pools, key=lambda p: p.key)] == ["z", "a", "own", "b", "c"]


def test_a_key_says_whose_the_pool_is() -> None:
    assert of_user(pool(user_id="ann").key)
    assert not of_user(pool().key)
