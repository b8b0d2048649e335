"""Alerts are recorded once per scope, meter, threshold and period, whatever happens between two steps."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from cutlass.domain.alerts import AlertKind, AlertSettings, Threshold, ThresholdKind, ThresholdScope
from cutlass.domain.errors import UnavailableError
from cutlass.storage import alert_rounds
from tests.support.faults import CrashError, Faults
from tests.support.world import World

PERCENTS = tuple(Threshold(ThresholdKind.PERCENT, value) for value in (50, 80, 90, 100))


def set_alerts(world: World, *thresholds: Threshold, realert: str = "never", region: str = "london") -> None:
    settings = AlertSettings(thresholds or PERCENTS, None, {"owner": ("a@example.com",)}, realert=realert)
    world.stores[region].alert_settings.put(world.org, settings, webhook_url=None)
    world.replicate()


def founded(world: World, *thresholds: Threshold, realert: str = "never", **limits: int) -> None:
    world.found(**(limits or {"requests": 100}))
    set_alerts(world, *thresholds, realert=realert)
    world.look()


def spend(world: World, units: int, region: str = "london", user: str = "ann") -> None:
    answer = world.check(region, user, units=units)
    assert answer.allowed, answer.reason


def settle(world: World, *regions: str) -> None:
    """Let everything written arrive and be looked at."""
    for region in regions or world.stores:
        world.meter(region)
    world.replicate()
    for region in world.stores:
        world.watch(region)
    world.pass_time(seconds=1)


def users(world: World, region: str = "london") -> list[tuple[str, str, int]]:
    return [(a.kind, a.threshold, a.current_value) for a in world.told(region) if a.scope == "user:ann"]


def test_usage_of_both_regions_adds_up(world: World) -> None:
    founded(world)
    spend(world, 40)
    settle(world)
    assert not users(world)
    spend(world, 15, "sydney")
    settle(world)
    assert users(world) == [("crossed", "50%", 55)]
    world.replicate()
    assert world.told("sydney") == world.told("london")


def test_many_small_steps_and_records_told_again_in_any_order_alert_once(world: World) -> None:
    founded(world)
    rng, seen = random.Random(7), []
    for _ in range(20):
        spend(world, 5, rng.choice(["london", "sydney"]))
        world.meter("london")
        world.meter("sydney")
        world.replicate()
        seen += world.watch()
        world.pass_time(seconds=1)
        again = rng.sample(seen, min(len(seen), 6))
        world.stores["london"].alert_evaluator.record(again)
    names = [a.threshold for a in world.told() if a.scope == "user:ann" and a.kind is AlertKind.CROSSED]
    assert names == ["50%", "80%", "90%", "100%"]
    assert len(world.messages()) == 4
    assert not world.messages("sydney"), "the copies are London's to tell"


def test_a_large_step_tells_the_highest_and_records_all(world: World) -> None:
    founded(world)
    spend(world, 100)
    settle(world)
    alerts = [a for a in world.told() if a.scope == "user:ann"]
    assert [(a.threshold, a.tell) for a in alerts] == [
        ("50%", False),
        ("80%", False),
        ("90%", False),
        ("100%", True),
    ]
    told = next(a for a in alerts if a.tell)
    assert {a.told_by for a in alerts if not a.tell} == {told.alert_id}
    assert world.messages() == [told.alert_id]
    assert world.stores["london"].alerts.alert(world.org, told.alert_id) == told


def test_exactly_exhausted_is_told(world: World) -> None:
    """openmeter #4157: silence where usage ends at the limit itself."""
    founded(world, Threshold(ThresholdKind.PERCENT, 100))
    spend(world, 99)
    settle(world)
    assert not users(world)
    spend(world, 1)
    settle(world)
    assert not world.check(units=1).allowed
    assert users(world) == [("crossed", "100%", 100)]


def test_one_crossing_is_one_alert_however_many_look_at_it(world: World) -> None:
    """flexprice #2155: duplicates, where two workers see the same crossing."""
    founded(world)
    spend(world, 85)
    world.meter()
    records = world.records("london", "usage", "alert-evaluator")
    workers = [world.store("london") for _ in range(3)]
    first = workers[0].alert_evaluator
    write = first._write

    def held_up(told: list) -> list:
        for worker in workers[1:]:
            worker.alert_evaluator.record(records)
        return write(told)

    first._write = held_up  # type: ignore[method-assign]
    first.record(records)
    assert Counter(a.threshold for a in world.told() if a.scope == "user:ann") == {"50%": 1, "80%": 1}


def test_a_crossing_just_after_renewal_and_one_in_the_last_second_before_are_told(world: World) -> None:
    """lago-api #6132: crossings around the turn of the period are lost."""
    world.now = world.now.replace(day=30, hour=23, minute=59, second=59)
    founded(world)
    spend(world, 90)
    world.pass_time(seconds=1)
    spend(world, 80)
    settle(world)
    told = {(a.period, a.threshold) for a in world.told() if a.scope == "user:ann"}
    assert told == {
        *(("20261101T0000", name) for name in ("50%", "80%", "90%")),
        *(("20261201T0000", name) for name in ("50%", "80%")),
    }


def test_each_period_alerts_again(world: World) -> None:
    """twenty #16801: one alert for life."""
    founded(world)
    for _ in range(3):
        spend(world, 80)
        settle(world)
        world.pass_time(days=31)
    assert Counter(a.threshold for a in world.told() if a.scope == "user:ann") == {"50%": 3, "80%": 3}


def test_credits_that_fall_again_after_a_top_up_alert_again(world: World) -> None:
    """twenty #16801, of a balance: told once, then never again."""
    founded(world, Threshold(ThresholdKind.BALANCE, 50, scope=ThresholdScope.ORGANISATION), requests=10**6)
    for _ in range(2):
        world.stores["london"].grants.create(world.org, meter="requests", amount=100, priority=1)
        world.replicate()
        world.look()
        world.pass_time(seconds=1)  # alerts of one millisecond have no order of their own
        spend(world, 95)
        settle(world)
        world.pass_time(days=31)
    kinds = [a.kind for a in world.told() if a.threshold == "balance<50"]
    assert kinds == [AlertKind.BALANCE_LOW, AlertKind.BALANCE_RESTORED, AlertKind.BALANCE_LOW]


def test_a_top_up_resolves_and_what_is_crossed_again_alerts_as_chosen(world: World) -> None:
    for realert, wanted in (("never", 2), ("on_resolve", 3)):
        world.org += realert.replace("_", "-")
        founded(world, Threshold(ThresholdKind.UNITS, 10**9), realert=realert)
        set_alerts(world, Threshold(ThresholdKind.PERCENT, 80), realert=realert)
        spend(world, 80)
        settle(world)
        world.stores["london"].organisations.put_user(world.org, "ann", limits={"requests": 200})
        world.replicate()
        world.look()
        world.pass_time(seconds=1)
        spend(world, 80)
        settle(world)
        kinds = [a.kind for a in world.told() if a.scope == "user:ann"]
        assert kinds == [AlertKind.CROSSED, AlertKind.RESOLVED, AlertKind.CROSSED][:wanted]


def test_a_limit_lowered_below_usage_is_told_without_more_usage(world: World) -> None:
    founded(world, requests=1000)
    spend(world, 90)
    settle(world)
    assert not users(world)
    world.stores["sydney"].organisations.put_user(world.org, "ann", limits={"requests": 100})
    world.replicate()
    world.look()
    assert {(kind, name) for kind, name, _ in users(world)} == {
        *(("crossed", name) for name in ("50%", "80%", "90%"))
    }


def test_a_threshold_set_below_what_is_used_is_told_of_everyone(world: World) -> None:
    founded(world, Threshold(ThresholdKind.PERCENT, 90))
    spend(world, 60)
    settle(world)
    assert not users(world)
    set_alerts(world, Threshold(ThresholdKind.PERCENT, 50))
    world.look()
    assert users(world) == [("crossed", "50%", 60)]
    assert world.look().looks == 0, "a look that was taken is due no more"


def test_an_upgrade_and_unlimited_users_resolve(world: World) -> None:
    world.found(plan="basic")
    set_alerts(world)
    world.look()
    spend(world, 800)
    settle(world)
    assert {name for _, name, _ in users(world)} == {"50%", "80%"}
    world.stores["london"].organisations.put(world.org, plan="enterprise")
    world.replicate()
    world.look()
    assert [name for kind, name, _ in users(world) if kind == "resolved"] in (["50%", "80%"], ["80%", "50%"])
    spend(world, 5000)
    settle(world)
    assert len(users(world)) == 4, "without a limit there are no shares of it"


def test_the_organisation_is_told_of_too(world: World) -> None:
    founded(world, Threshold(ThresholdKind.UNITS, 150, scope=ThresholdScope.ORGANISATION))
    world.stores["london"].organisations.put_user(world.org, "bob", limits={})
    spend(world, 100)
    spend(world, 49, user="bob")
    settle(world)
    assert not world.told()
    spend(world, 1, "sydney", user="bob")
    settle(world)
    assert [(a.scope, a.threshold, a.current_value) for a in world.told()] == [(f"org:{world.org}", "150", 150)]


@pytest.mark.parametrize("kept_back", ["usage-credits", "usage"])
def test_copies_that_come_one_table_after_the_other_lose_nothing(world: World, kept_back: str) -> None:
    """After a cut each table catches up by itself: the one that comes last must not be the one that was needed."""
    founded(world)
    spend(world, 45)
    spend(world, 45, "sydney")
    world.meter("london")
    world.meter("sydney")
    travelling = world.replicator
    travelling.collect()
    late = [copy for copy in travelling._travelling if copy.table == kept_back]
    travelling._travelling = [copy for copy in travelling._travelling if copy.table != kept_back]
    world.replicate()
    world.watch()
    travelling._travelling = late
    world.replicate()
    world.watch()
    assert {name for _, name, _ in users(world)} == {"50%", "80%", "90%"}


@pytest.mark.parametrize("seed", range(6))
def test_a_consumer_that_dies_between_any_two_steps_neither_loses_nor_repeats(world: World, seed: int) -> None:
    founded(world)
    faults = Faults(seed, 0.15)
    rng = random.Random(seed)
    for _ in range(10):
        spend(world, 10, rng.choice(["london", "sydney"]))
        for region in world.stores:
            world.meter(region)
        world.replicate()
        records = world.records("london", "usage", "alert-evaluator")
        for attempt in range(50):
            worker = world.store("london")
            try:
                with faults.inside([worker] if attempt < 40 else []):
                    worker.alert_evaluator.record(records)
            except (UnavailableError, CrashError):
                continue
            break
    assert faults.injected, "no fault was injected"
    assert not world.audit()
    names = Counter(a.threshold for a in world.told() if a.scope == "user:ann")
    assert names == {"50%": 1, "80%": 1, "90%": 1, "100%": 1}
    assert sorted(world.messages()) == sorted(a.alert_id for a in world.told() if a.tell)


def test_a_batch_of_many_users_reads_little_and_writes_one_watch_per_alert(world: World) -> None:
    founded(world, Threshold(ThresholdKind.PERCENT, 50, scope=ThresholdScope.USERS))
    names = [f"user{number}" for number in range(30)]
    for name in names:
        world.stores["london"].organisations.put_user(world.org, name, limits={"requests": 100})
        spend(world, 60, user=name)
    world.meter()
    records = world.records("london", "usage", "alert-evaluator")
    with world.counting() as counted:
        world.stores["london"].alert_evaluator.record(records)
    # The organisation, its settings, watches (one read each), the users' figures (two), the users, its grants.
    assert counted.requests["BatchGetItem"] <= 8
    assert counted.requests["Query"] <= 1
    assert counted.requests["TransactWriteItems"] == 1, "60 writes go together"
    assert sum(a.scope.startswith("user:user") for a in world.told()) == 30
    with world.counting() as counted:
        world.stores["london"].alert_evaluator.record(records)
    assert not counted.requests["TransactWriteItems"], "looking again writes nothing"


def test_a_look_at_everyone_goes_on_where_its_time_was_over(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_rounds, "_USERS", 3)
    founded(world, Threshold(ThresholdKind.PERCENT, 90))
    names = [f"user{number:03}" for number in range(10)]
    for name in names:
        world.stores["london"].organisations.put_user(world.org, name, limits={"requests": 10})
        spend(world, 6, user=name)
    settle(world)
    set_alerts(world, Threshold(ThresholdKind.PERCENT, 50, scope=ThresholdScope.USERS))
    runs = [world.stores["london"].alert_rounds.run(0)]
    while not runs[-1].whole:
        runs.append(world.stores["london"].alert_rounds.run(0))
    assert len(runs) >= 3, "no run has the time for more than a page"
    assert sorted(a.scope for a in world.told()) == [f"user:{name}" for name in names]


def test_settings_are_kept_at_home_and_their_secret_is_shown_once(world: World) -> None:
    world.found()
    store = world.stores["sydney"].alert_settings
    assert store.get(world.org).defaults
    wanted = AlertSettings(PERCENTS, None, {})
    first = store.put(world.org, wanted, webhook_url="https://hooks.example.com/x")
    assert first.secret
    assert first.settings.webhook is not None
    assert store.put(world.org, wanted, webhook_url="https://hooks.example.com/x").secret is None
    moved = store.put(world.org, wanted, webhook_url="https://hooks.example.com/y")
    assert moved.secret not in {None, first.secret}
    rotated = store.rotate(world.org)
    webhook = rotated.settings.webhook
    assert webhook is not None
    assert (webhook.secret, webhook.previous_secret) == (rotated.secret, moved.secret)
    assert webhook.previous_until == world.now + timedelta(days=1)
    world.replicate()
    assert store.get(world.org).settings == rotated.settings
    dropped = store.put(world.org, replace(wanted, digest="daily"), webhook_url=None)
    assert dropped.settings.webhook is None
    assert world.stores["london"].alert_settings.get(world.org).settings == dropped.settings


def test_history_comes_page_by_page_the_newest_first(world: World) -> None:
    founded(world)
    for _ in range(10):
        spend(world, 10)
        settle(world)
        world.pass_time(seconds=1)
    whole = world.stores["london"].alerts.history(world.org, limit=100)
    assert whole.next is None
    assert [a.at for a in whole.items] == sorted((a.at for a in whole.items), reverse=True)
    pages, after = [], None
    while True:
        page = world.stores["london"].alerts.history(world.org, limit=2, after=after)
        pages += page.items
        after = page.next
        if after is None:
            break
    assert pages == whole.items
    assert len(pages) == 4


def test_a_test_is_told_and_in_the_history(world: World) -> None:
    founded(world)
    made = world.stores["sydney"].alerts.test(world.org)
    assert world.messages() == [made.alert_id]
    assert [a.kind for a in world.told()] == [AlertKind.TEST]


def test_a_look_counts_what_another_look_was_started_by(world: World) -> None:
    """Sydney's allotment is still to come when London's usage crosses: Sydney's day says what was spent there."""
    founded(world)
    spend(world, 20, "sydney")
    world.meter("sydney")
    world.replicator.collect()
    world.replicator._travelling = [c for c in world.replicator._travelling if c.table != "usage-credits"]
    world.replicate()
    world.watch()
    assert not users(world)
    spend(world, 40)
    world.meter()
    world.watch()
    assert users(world) == [("crossed", "50%", 60)]
