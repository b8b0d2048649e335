"""Histories worth telling every time: each comes near the edge of one rule."""

from collections.abc import Callable, Iterator

from hypothesis.stateful import RuleBasedStateMachine

from tests.property.machine import Histories
from tests.property.model import REGIONS

LONDON, SYDNEY, THIRD = REGIONS
Story = Iterator[None]


def play(scenario: Callable[[Histories], Story]) -> None:
    """Run a scenario; what must hold is looked at after every step of it."""
    history = Histories()
    try:
        for _ in scenario(history):
            for invariant in _invariants(history):
                invariant()
    finally:
        RuleBasedStateMachine.teardown(history)


def _invariants(history: Histories) -> list[Callable[[], None]]:
    return [
        history.nothing_is_made_or_lost,
        history.grants_are_minted_once,
        history.rights_are_sent_before_they_arrive,
        history.plans_are_granted_exactly,
        history.nobody_exceeds_a_limit,
        history.what_is_metered_is_what_was_used,
    ]


def a_ring_is_trimmed_and_everything_replayed(history: Histories) -> Story:
    """Marks leave the ring once they are in the ledger; no request is charged again for it."""
    history.burst(region=LONDON, user="ann", count=30, gap=10)
    yield
    history.meter(region=LONDON, count=25, crash=True)
    history.catch_up()
    yield
    for age in range(30):
        history.replay(age=age)
    yield
    history.wait(ms=6_000)
    for age in range(30):
        history.replay(age=age)
    yield


def a_period_turns_while_the_ledger_is_behind(history: Histories) -> Story:
    """Requests of the last seconds are remembered in the period before."""
    history.come_to_the_end_of_a_period(before=1_000)
    history.check(region=LONDON, user="ann", units=3, ahead=4_900)
    history.check(region=LONDON, user="ann", units=3, ahead=None)
    history.burst(region=LONDON, user="ann", count=20, gap=5)
    yield
    history.wait(ms=3_000)
    for age in range(22):
        history.replay(age=age)
    yield
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.sweep(region=LONDON, later=False)
    yield
    history.catch_up()
    yield
    for age in range(23):
        history.replay(age=age)
    yield


def a_request_is_replayed_where_nothing_is_left(history: Histories) -> Story:
    """In a new period that has no units here yet, a replay is still answered as one."""
    history.come_to_the_end_of_a_period(before=500)
    history.burst(region=SYDNEY, user="ann", count=17, gap=5)
    yield
    history.partition()
    history.wait(ms=1_000)
    history.check(region=SYDNEY, user="bob", units=1, ahead=0)
    for age in range(5):
        history.replay(age=age)
    yield


def credits_expire_behind_units_that_stay(history: Histories) -> Story:
    """Units that expired in the user's hands are not spent, and those before them stay in order."""
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.grant(amount=40, priority=5, lasts_ms=3_000, user=None)
    history.begin_refill(region=LONDON, user="ann", units=30)
    history.finish(first=True)
    yield
    history.check(region=LONDON, user="ann", units=2, ahead=0)
    history.wait(ms=3_100)
    history.check(region=LONDON, user="ann", units=5, ahead=0)
    yield
    history.catch_up()
    yield


def a_request_is_held_up_at_the_ledger(history: Histories) -> Story:
    """It comes back after its retry was charged, recorded, and forgotten by the ring."""
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.look_up(region=LONDON, user="ann")
    history.come_back(again=True)
    yield
    history.burst(region=LONDON, user="ann", count=20, gap=5)
    history.catch_up()
    yield
    history.begin_refill(region=LONDON, user="ann", units=20)
    history.finish(first=True)
    history.come_back(again=False)
    yield


def two_refills_race(history: Histories) -> Story:
    """Only one of two refills planned from the same look is written."""
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.begin_refill(region=LONDON, user="ann", units=20)
    history.begin_refill(region=LONDON, user="ann", units=30)
    for first in (True, False):
        history.finish(first=first)
        yield


def a_limit_is_reached_then_raised(history: Histories) -> Story:
    """All regions together spend the old limit, and then the new one, to the unit."""
    for limit in (6, 7, 30, 31):
        history.set_limit(user="ann", limit=limit)
        for region in REGIONS:
            history.learn(region=region)
            history.burst(region=region, user="ann", count=17, gap=1)
            yield
    for _ in range(3):
        history.burst(region=LONDON, user="ann", count=17, gap=1)
    spent = sum(units for _, _, units in history.company.charged.values())
    assert spent == 31, f"{spent} units were spent of a limit of 31"
    yield


def rights_move_and_the_message_comes_twice(history: Histories) -> Story:
    """Pool units and rights of a user's limit arrive once, in whatever order they are told."""
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.check(region=SYDNEY, user="ann", units=1, ahead=0)
    for age in (0, 0, 1, 0):
        history.send(origin=LONDON, to=SYDNEY, which=0, moved=4)
        history.deliver(age=age)
        yield
        history.send_rights(origin=LONDON, to=SYDNEY, user="ann", moved=4)
        history.deliver(age=age)
        history.deliver(age=0)
        yield


def a_users_own_credits_are_released(history: Histories) -> Story:
    """Units of a user's own grant go back without becoming rights of the user's limit."""
    history.grant(amount=40, priority=5, lasts_ms=None, user="ann")
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    yield
    history.release(region=LONDON, user="ann", later=False)
    yield
    for region in (*REGIONS, LONDON, LONDON):
        history.learn(region=region)
        history.burst(region=region, user="ann", count=40, gap=1)
        yield
    spent = sum(units for _, _, units in history.company.charged.values())
    assert spent == 60 + 40, f"{spent} units were spent of a limit of 60 and 40 of the user's own"


def a_plan_is_raised(history: Histories) -> Story:
    """An upgrade adds the difference, in every region, at once."""
    history.check(region=LONDON, user="ann", units=40, ahead=0)
    history.set_plan(plan="premium")
    for region in REGIONS:
        history.learn(region=region)
        history.burst(region=region, user="bob", count=17, gap=1)
        yield


SCENARIOS = [
    a_ring_is_trimmed_and_everything_replayed,
    a_period_turns_while_the_ledger_is_behind,
    a_request_is_replayed_where_nothing_is_left,
    credits_expire_behind_units_that_stay,
    a_request_is_held_up_at_the_ledger,
    two_refills_race,
    a_limit_is_reached_then_raised,
    rights_move_and_the_message_comes_twice,
    a_users_own_credits_are_released,
    a_plan_is_raised,
]
