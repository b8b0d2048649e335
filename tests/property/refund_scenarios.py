"""Histories of refunds and of grants that end, each near the edge of one rule."""

from collections.abc import Iterator

from tests.property.machine import Histories
from tests.property.model import REGIONS

LONDON, SYDNEY, _ = REGIONS
Story = Iterator[None]


def a_charge_is_refunded_in_parts_and_again(history: Histories) -> Story:
    """What comes back may be spent again, and no unit more."""
    history.set_limit(user="ann", limit=20)
    for region in (*REGIONS, LONDON):
        history.learn(region=region)
    history.check(region=LONDON, user="ann", units=9, ahead=0)
    history.catch_up()
    for number, units, later in ((0, 4, True), (0, 4, True), (1, 3, False), (1, 3, False), (2, 3, False)):
        history.refund(age=0, units=units, number=number, later=later)
        yield
    for first in (True, False):
        history.finish_refund(first=first)
        yield
    history.refund(age=0, units=2, number=3, later=False)
    history.refund(age=0, units=1, number=3, later=False)
    yield
    history.refund(age=0, units=4, number=0, later=False)  # one is left
    history.catch_up()
    yield
    for region in (*REGIONS, LONDON, LONDON):
        history.burst(region=region, user="ann", count=17, gap=1)
        history.catch_up()
        yield
    assert _kept(history) == 20, f"{_kept(history)} units were kept of a limit of 20"


def units_of_several_pools_go_back_where_they_came_from(history: Histories) -> Story:
    """A charge that three pools paid is refunded a unit at a time; each gets what it paid."""
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.grant(amount=4, priority=5, lasts_ms=None, user="ann")
    history.grant(amount=6, priority=6, lasts_ms=None, user=None)
    history.begin_refill(region=LONDON, user="ann", units=30)
    history.finish(first=True)
    history.check(region=LONDON, user="ann", units=25, ahead=0)
    history.catch_up()
    yield
    for number, units in enumerate((5, 7, 12, 1)):
        history.refund(age=0, units=units, number=number, later=False)
        history.catch_up()
        yield
    assert _kept(history) == 1, f"{_kept(history)} units were kept of 26 charged and 25 refunded"


def a_users_own_units_are_refunded(history: Histories) -> Story:
    """They come back to the user's own grant, and not as rights of the user's limit."""
    history.grant(amount=40, priority=5, lasts_ms=None, user="ann")
    history.check(region=LONDON, user="ann", units=20, ahead=0)
    history.catch_up()
    history.refund(age=0, units=20, number=0, later=False)
    yield
    for region in (*REGIONS, LONDON, LONDON):
        history.learn(region=region)
        history.burst(region=region, user="ann", count=40, gap=1)
        history.burst(region=region, user="ann", count=30, gap=1)
        yield
    assert _kept(history) == 60 + 40, f"{_kept(history)} units were kept of a limit of 60 and 40 own"


def refunds_come_to_ended_grants(history: Histories) -> Story:
    """Units go back to a grant that was voided, to one that expired, and to a period's that is over."""
    history.grant(amount=30, priority=5, lasts_ms=None, user=None)
    history.check(region=LONDON, user="ann", units=8, ahead=0)
    history.void(which=0)
    history.grant(amount=30, priority=4, lasts_ms=3_000, user=None)
    history.begin_refill(region=LONDON, user="ann", units=20)
    history.finish(first=True)
    history.check(region=LONDON, user="ann", units=15, ahead=0)
    history.catch_up()
    yield
    history.wait(ms=3_100)
    history.end_pools(region=LONDON)
    yield
    for age in (0, 1):
        history.refund(age=age, units=6, number=0, later=False)
        yield
    history.send(origin=LONDON, to=SYDNEY, which=0, moved=3)
    history.deliver(age=0)
    history.end_pools(region=LONDON)
    yield
    history.check(region=LONDON, user="bob", units=5, ahead=0)
    history.come_to_the_end_of_a_period(before=100)
    history.wait(ms=6_000)
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.sweep(region=LONDON, later=False)
    history.catch_up()
    yield
    for age in (1, 2):
        history.refund(age=age, units=2, number=1, later=False)
    history.end_pools(region=LONDON)
    history.catch_up()
    yield


def a_refund_meets_a_refill_and_a_lowered_limit(history: Histories) -> Story:
    """What was planned before a refund holds beside it, or does not hold at all."""
    history.check(region=LONDON, user="ann", units=30, ahead=0)
    history.catch_up()
    history.begin_refill(region=LONDON, user="ann", units=10)
    history.refund(age=0, units=7, number=0, later=True)
    history.refund(age=0, units=9, number=1, later=False)
    yield
    history.finish(first=True)
    history.finish_refund(first=True)
    yield
    history.set_limit(user="ann", limit=10)
    for region in REGIONS:
        history.learn(region=region)
    history.refund(age=0, units=9, number=2, later=False)
    history.burst(region=LONDON, user="ann", count=40, gap=1)
    history.catch_up()
    yield


def _kept(history: Histories) -> int:
    company = history.company
    refunded = sum(sum(parts.values()) for parts in company.refunded.values())
    return sum(units for _, _, units in company.charged.values()) - refunded


REFUND_SCENARIOS = [
    a_charge_is_refunded_in_parts_and_again,
    units_of_several_pools_go_back_where_they_came_from,
    a_users_own_units_are_refunded,
    refunds_come_to_ended_grants,
    a_refund_meets_a_refill_and_a_lowered_limit,
]
