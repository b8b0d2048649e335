"""Histories of depots worth telling every time; see `tests.property.scenarios`."""

from collections.abc import Iterator

from cutlass.domain.depots import depot_name
from tests.property.machine import HOUR_MS, Histories
from tests.property.model import HOME, REGIONS

LONDON, SYDNEY, _ = REGIONS
Story = Iterator[None]


def a_depot_hands_over_to_users(history: Histories) -> Story:
    """Users are born from a depot and supplied by it; what all get is what their limits allow."""
    history.learn(region=LONDON)
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    for moved in (5, 17, 40):
        for user in ("ann", "bob"):
            history.hand_over(region=LONDON, user=user, moved=moved, later=False)
            yield
            history.check(region=LONDON, user=user, units=min(moved, 20), ahead=0)
            yield
    assert _depot(history).handed > 0, "nothing came through the depot"
    for region in (*REGIONS, LONDON, LONDON):
        history.learn(region=region)
        for user in ("ann", "bob"):
            history.burst(region=region, user=user, count=40, gap=1)
            yield
    history.catch_up()
    yield


def two_hand_overs_and_a_sweep_race(history: Histories) -> Story:
    """Units go to one of them; what was planned on other units than are first by then is not written."""
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.check(region=LONDON, user="bob", units=1, ahead=0)
    history.grant(amount=30, priority=5, lasts_ms=None, user=None)
    history.hand_over(region=LONDON, user="ann", moved=14, later=False)
    yield
    for swept in (False, True, False):
        for user, moved in (("ann", 26), ("bob", 19), ("bob", 33)):
            history.hand_over(region=LONDON, user=user, moved=moved, later=True)
        if swept:
            history.sweep_up(region=LONDON, only_idle=True, later=False)
        for first in (False, True, True):
            if history.company.regions[LONDON].underway:
                history.finish(first=first)
            yield
        history.check(region=LONDON, user="ann", units=10, ahead=0)
        history.check(region=LONDON, user="bob", units=10, ahead=0)
        yield


def credits_in_a_depot_are_voided(history: Histories) -> Story:
    """Nothing of them is handed out any more: they go back to their pool, and end there."""
    history.check(region=LONDON, user="bob", units=1, ahead=0)
    history.grant(amount=80, priority=5, lasts_ms=None, user=None)
    history.hand_over(region=LONDON, user="ann", moved=12, later=False)
    history.hand_over(region=LONDON, user="bob", moved=11, later=False)
    yield
    history.void(which=0)
    for user in ("ann", "bob", "bob"):
        history.hand_over(region=LONDON, user=user, moved=20, later=False)
        yield
    history.end_pools(region=LONDON)
    yield


def credits_in_a_depot_expire(history: Histories) -> Story:
    """They are handed to nobody, go back to their pool, and end there; the plan's units follow."""
    history.check(region=LONDON, user="bob", units=1, ahead=0)
    history.grant(amount=40, priority=5, lasts_ms=3_000, user=None)
    history.hand_over(region=LONDON, user="bob", moved=12, later=False)
    yield
    history.wait(ms=3_100)
    history.hand_over(region=LONDON, user="ann", moved=12, later=False)
    yield
    history.check(region=LONDON, user="bob", units=5, ahead=0)
    history.end_pools(region=LONDON)
    history.catch_up()
    yield


def a_better_grant_comes_before_what_a_depot_holds(history: Histories) -> Story:
    """The depot gives back what it holds, and the new grant is spent first."""
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.hand_over(region=LONDON, user="ann", moved=15, later=False)
    yield
    history.grant(amount=30, priority=5, lasts_ms=None, user=None)
    history.grant(amount=30, priority=4, lasts_ms=None, user="bob")
    for user in ("ann", "bob"):
        history.hand_over(region=LONDON, user=user, moved=38, later=False)
        yield


def a_period_turns_over_a_depot(history: Histories) -> Story:
    """What it still holds goes back, as users' units do; the next period has a depot of its own."""
    history.come_to_the_end_of_a_period(before=1_000)
    history.hand_over(region=LONDON, user="ann", moved=15, later=False)
    history.check(region=LONDON, user="ann", units=9, ahead=0)
    history.hand_over(region=LONDON, user="ann", moved=18, later=False)
    history.hand_over(region=LONDON, user="bob", moved=3, later=True)
    yield
    history.rest(ms=HOUR_MS)
    history.finish(first=True)
    history.sweep(region=LONDON, later=False)
    yield
    history.check(region=HOME, user="bob", units=1, ahead=0)
    history.hand_over(region=LONDON, user="bob", moved=20, later=False)
    yield
    history.end_pools(region=LONDON)
    history.catch_up()
    yield


def _depot(history: Histories, region: str = LONDON):
    place = history.company.regions[region]
    return place.allotments[history.company.key(place, depot_name(0))]


OF_DEPOTS = [
    a_depot_hands_over_to_users,
    two_hand_overs_and_a_sweep_race,
    credits_in_a_depot_are_voided,
    credits_in_a_depot_expire,
    a_better_grant_comes_before_what_a_depot_holds,
    a_period_turns_over_a_depot,
]
