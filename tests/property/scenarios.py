"""Histories worth telling every time: each comes near the edge of one rule."""

from collections.abc import Callable, Iterator

from hypothesis.stateful import RuleBasedStateMachine

from cutlass.domain.ids import MAX_AHEAD_MS
from tests.property.machine import HOUR_MS, Histories
from tests.property.model import HOME, REGIONS
from tests.property.refund_scenarios import REFUND_SCENARIOS
from tests.property.scenarios_of_depots import OF_DEPOTS
from tests.property.scenarios_of_reservations import OF_RESERVATIONS

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
        history.what_is_set_aside_is_known,
        history.grants_are_minted_once,
        history.rights_are_sent_before_they_arrive,
        history.plans_are_granted_exactly,
        history.nobody_exceeds_a_limit,
        history.what_is_metered_is_what_was_used,
        history.the_ledger_knows_who_paid,
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
    assert _spent(history) == 31, f"{_spent(history)} units were spent of a limit of 31"
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
    assert _spent(history) == 60 + 40, f"{_spent(history)} units were spent of a limit of 60 and 40 own"


def a_plan_is_raised(history: Histories) -> Story:
    """An upgrade adds the difference, in every region, at once."""
    history.check(region=LONDON, user="ann", units=40, ahead=0)
    history.set_plan(plan="premium")
    for region in REGIONS:
        history.learn(region=region)
        history.burst(region=region, user="bob", count=17, gap=1)
        yield


def ids_ahead_come_over_the_turn_of_a_period(history: Histories) -> Story:
    """An id ahead of its time is fresh only in the next period, where the newborn looks it up."""
    history.come_to_the_end_of_a_period(before=500)
    for ahead in (8_000, HOUR_MS, MAX_AHEAD_MS):
        history.check(region=LONDON, user="ann", units=2, ahead=ahead)
    assert len(history.company.charged) == 3
    history.check(region=LONDON, user="ann", units=2, ahead=MAX_AHEAD_MS + 1)
    assert len(history.company.charged) == 3, "an id more than a day ahead is refused"
    yield
    history.wait(ms=6_000)
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    yield
    for age in range(4):
        history.replay(age=age)
    yield
    history.rest(ms=HOUR_MS - 6_500)
    for age in range(4):
        history.replay(age=age)
    yield


def rights_of_expired_credits_serve_again(history: Histories) -> Story:
    """What expired unspent in the user's hands has not used up the user's limit."""
    history.grant(amount=40, priority=5, lasts_ms=3_000, user=None)
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.begin_refill(region=LONDON, user="ann", units=25)
    history.finish(first=True)
    yield
    history.wait(ms=3_100)
    for region in (*REGIONS, LONDON):
        history.learn(region=region)
        history.burst(region=region, user="ann", count=40, gap=1)
        history.burst(region=region, user="ann", count=20, gap=1)
        yield
    assert _spent(history) == 60, f"{_spent(history)} units were spent of a limit of 60"


def a_users_own_credits_expire(history: Histories) -> Story:
    """Units of a user's own grant expire without becoming rights of the user's limit."""
    history.grant(amount=40, priority=5, lasts_ms=3_000, user="ann")
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.begin_refill(region=LONDON, user="ann", units=20)
    history.finish(first=True)
    yield
    history.wait(ms=3_100)
    for region in (*REGIONS, LONDON):
        history.learn(region=region)
        history.burst(region=region, user="ann", count=40, gap=1)
        history.burst(region=region, user="ann", count=30, gap=1)
        yield
    assert _spent(history) == 61, f"{_spent(history)} units were spent: 1 of the user's own, and of a limit of 60"


def credits_are_voided_while_users_hold_some(history: Histories) -> Story:
    """What comes back into a voided pool is not handed out again."""
    history.grant(amount=80, priority=5, lasts_ms=None, user=None)
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.begin_refill(region=LONDON, user="ann", units=20)
    history.finish(first=True)
    history.begin_refill(region=LONDON, user="bob", units=15)
    history.void(which=0)
    history.finish(first=True)
    yield
    history.release(region=LONDON, user="ann", later=False)
    history.check(region=LONDON, user="bob", units=3, ahead=0)
    history.check(region=LONDON, user="ann", units=3, ahead=0)
    yield
    history.check(region=SYDNEY, user="bob", units=3, ahead=0)  # hears of the grant and of its void at once
    yield
    history.send(origin=LONDON, to=SYDNEY, which=0, moved=5)
    history.deliver(age=0)
    history.check(region=SYDNEY, user="ann", units=3, ahead=0)
    yield


def a_user_moves(history: Histories) -> Story:
    """A move, and a move back, make no rights twice; the new division holds from the next period."""
    for region in REGIONS:
        history.learn(region=region)
        history.burst(region=region, user="ann", count=40, gap=1)
        history.burst(region=region, user="ann", count=10, gap=1)
    yield
    for to in (SYDNEY, THIRD, None, SYDNEY):
        history.move(user="ann", region=to)
        for region in REGIONS:
            history.burst(region=region, user="ann", count=20, gap=1)
        yield
    assert _spent(history) == 60, f"{_spent(history)} units were spent of a limit of 60"
    history.rest(ms=20 * HOUR_MS)
    for region in (HOME, SYDNEY):
        history.check(region=region, user="ann", units=1, ahead=0)
    rights = {
        region: allotment.rights
        for region in (LONDON, SYDNEY)
        for key, allotment in history.company.regions[region].allotments.items()
        if key == history.company.key(history.company.regions[region], "ann")
    }
    assert rights == {LONDON: 9, SYDNEY: 42}, f"60 were divided as {rights}, not by Sydney"
    yield


def two_upgrades_race(history: Histories) -> Story:
    """Of two callers that see the same grants and know different plans, one looks again."""
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    history.set_plan(plan="premium")
    history.learn(region=SYDNEY)
    history.set_plan(plan="enterprise")
    history.learn(region=LONDON)
    yield
    history.open_period()
    yield
    assert _granted(history) == 400, f"{_granted(history)} units were granted of the 400 of the largest plan"


def a_plan_is_lowered(history: Histories) -> Story:
    """What was written ahead for the next period is voided before it begins, and written anew."""
    history.set_plan(plan="premium")
    for region in REGIONS:
        history.learn(region=region)
    history.check(region=LONDON, user="ann", units=1, ahead=0)
    yield
    history.set_plan(plan="basic")
    for region in REGIONS:
        history.learn(region=region)
    history.open_period()
    yield
    for region in REGIONS:
        history.learn(region=region)
    assert _granted(history) == 300, "a plan that holds to the period's end keeps its units until then"
    history.rest(ms=20 * HOUR_MS)
    for region in REGIONS:
        history.burst(region=region, user="bob", count=40, gap=1)
        yield
    assert _granted(history) == 150, f"{_granted(history)} units stand granted of a plan of 150"


def _spent(history: Histories) -> int:
    return sum(units for _, _, units in history.company.charged.values())


def _granted(history: Histories) -> int:
    """Units of the plan's grants that stand in the current period."""
    company = history.company
    key = company.period(company.regions[HOME]).key
    return sum(
        grant.amount
        for grant in company.grants.values()
        if grant.grant_id.startswith(f"requests:plan-{key}") and grant.grant_id not in company.voided
    )


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
    ids_ahead_come_over_the_turn_of_a_period,
    rights_of_expired_credits_serve_again,
    a_users_own_credits_expire,
    credits_are_voided_while_users_hold_some,
    a_user_moves,
    two_upgrades_race,
    a_plan_is_lowered,
    *REFUND_SCENARIOS,
    *OF_RESERVATIONS,
    *OF_DEPOTS,
]
