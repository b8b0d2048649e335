"""The division of amounts over regions."""

from tests.unit.domain.samples import topology


def test_home_gets_its_percentage_rounded_up_and_the_others_the_rest_evenly() -> None:
    assert topology().split(100, "london") == {"london": 80, "sydney": 20}
    assert topology().split(101, "sydney") == {"sydney": 81, "london": 20}
    assert topology(regions=4).split(100, "london") == {"london": 80, "sydney": 6, "region3": 7, "region4": 7}


def test_small_amounts_stay_at_home() -> None:
    assert topology().split(1, "sydney") == {"sydney": 1, "london": 0}
    assert topology().split(0, "london") == {"london": 0, "sydney": 0}


def test_a_single_region_gets_all() -> None:
    assert topology(regions=1).split(7, "london") == {"london": 7}


def test_home_may_get_everything_or_nothing() -> None:
    assert topology(home_percent=100).split(9, "london") == {"london": 9, "sydney": 0}
    assert topology(home_percent=0).split(9, "london") == {"london": 0, "sydney": 9}
