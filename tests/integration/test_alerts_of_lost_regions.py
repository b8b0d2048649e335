"""Alerts of organisations whose home is lost: the other region takes over, may repeat, and loses nothing."""

from collections import Counter
from collections.abc import Iterator

import pytest

from cutlass.domain.alerts import AlertKind, AlertSettings, Threshold, ThresholdKind, ThresholdScope
from cutlass.storage import keys
from cutlass.storage.region_loss import RegionLoss
from tests.support.world import World

LATE = 2 * 3600
"""Seconds after which what was told is taken for handed over."""


@pytest.fixture(autouse=True)
def _regions_as_they_were(world: World) -> Iterator[None]:
    """The state of a region is the engine's: every test begins and ends with all of them serving.

    So are the organisations of other worlds, which nobody takes over here.
    """
    for store in world.stores.values():
        every = store.directory.every
        store.directory.every = lambda every=every, **asked: (  # type: ignore[method-assign, misc]
            organisation for organisation in every(**asked) if organisation.org_id == world.org
        )
    yield
    for keeper, store in world.stores.items():
        for region in world.topology.regions:
            store.dynamo.delete(store.settings.table(keys.ORGANISATIONS), *keys.region_state(keeper, region))
            store.dynamo.delete(store.settings.table(keys.ALERTS), *keys.watched(keeper, region))


def silent(_done: int, _of: int) -> None:
    """Nobody watches how far a walk has come."""


def founded(world: World) -> None:
    world.found(requests=1000)
    world.stores["london"].alert_settings.put(
        world.org,
        AlertSettings(
            tuple(Threshold(ThresholdKind.PERCENT, value, scope=ThresholdScope.USERS) for value in (50, 80, 90)),
            None,
            {},
        ),
        webhook_url=None,
    )
    for store in world.stores.values():
        store.usage.beat()
    world.replicate()
    world.look()


def spend(world: World, units: int, region: str) -> None:
    answer = world.check(region, units=units)
    assert answer.allowed, answer.reason


def fence(world: World, region: str = "london", by: str = "sydney") -> None:
    RegionLoss(world.stores[by]).fence(region, by="olga", why="no power", progress=silent)
    world.replicate()
    world.pass_time(seconds=3)


def readmit(world: World, region: str = "london", by: str = "sydney") -> None:
    RegionLoss(world.stores[by]).readmit(region, by="olga", why="power is back", progress=silent)
    world.replicate()
    world.pass_time(seconds=3)


def told(world: World, region: str) -> Counter[tuple[str, str]]:
    return Counter((alert.kind, alert.threshold) for alert in world.told(region))


def arrive(world: World) -> None:
    """Let what was used be counted and arrive everywhere."""
    for region in world.stores:
        world.meter(region)
    world.replicate()


def test_the_other_region_is_quiet_while_the_home_serves(world: World) -> None:
    founded(world)
    spend(world, 600, "sydney")
    arrive(world)
    world.watch("sydney")
    assert not told(world, "sydney")
    world.watch("london")
    assert told(world, "london") == {("crossed", "50%"): 1}


def test_what_was_crossed_and_not_looked_at_before_the_loss_is_told_by_the_other(world: World) -> None:
    founded(world)
    spend(world, 600, "london")
    arrive(world)
    world.watch("sydney")
    assert not told(world, "sydney"), "London is there"
    fence(world)
    assert world.look("sydney").looks
    assert told(world, "sydney") == {("crossed", "50%"): 1}
    spend(world, 250, "sydney")
    arrive(world)
    world.watch("sydney")
    world.watch("london")
    assert told(world, "sydney") == {("crossed", "50%"): 1, ("crossed", "80%"): 1}
    ids = {alert.alert_id for alert in world.told("sydney") if alert.tell}
    assert set(world.messages("sydney")) == ids, "who recorded them has them told"
    assert not world.messages("london")


@pytest.mark.parametrize("seconds", [60, LATE])
def test_what_was_told_long_before_the_loss_is_not_told_again_and_what_was_told_just_before_is(
    world: World, seconds: int
) -> None:
    founded(world)
    spend(world, 600, "london")
    arrive(world)
    world.watch("london")
    world.pass_time(seconds=seconds)
    for store in world.stores.values():
        store.usage.beat()
    world.replicate()
    fence(world)
    (alert,) = world.told("sydney")
    for _ in range(2):
        world.look("sydney")
        world.watch("sydney")
        assert world.messages("sydney") == ([alert.alert_id] if seconds < LATE else []), "by the id it had, once"
        assert world.told("sydney") == [alert]
        seconds = LATE


def test_a_watch_that_arrived_without_its_alert_hides_nothing(world: World) -> None:
    """The items of a transaction travel by themselves: one may be lost with the region that wrote it."""
    founded(world)
    spend(world, 600, "london")
    arrive(world)
    world.watch("london")
    world.replicator.collect()
    world.replicator._travelling = [
        copy for copy in world.replicator._travelling if "alert_id" not in copy.record["dynamodb"]["NewImage"]
    ]
    world.replicate()
    assert not told(world, "sydney")
    fence(world)
    world.look("sydney")
    assert told(world, "sydney") == {("crossed", "50%"): 1}


def test_nothing_is_over_because_figures_are_behind(world: World) -> None:
    founded(world)
    spend(world, 600, "london")
    world.meter("london")
    world.watch("london")
    world.pass_time(seconds=LATE)
    spend(world, 1, "sydney")
    world.meter("sydney")
    # The usage does not arrive in Sydney, what was told does.
    world.replicator.collect()
    world.replicator._travelling = [
        copy
        for copy in world.replicator._travelling
        if copy.table not in {"usage", "usage-credits"} or copy.source != "london"
    ]
    world.replicate()
    fence(world)
    world.look("sydney")
    world.watch("sydney")
    assert AlertKind.RESOLVED not in {alert.kind for alert in world.told("sydney")}


def test_the_home_goes_on_from_what_the_other_told_when_it_is_back(world: World) -> None:
    founded(world)
    fence(world)
    world.look("sydney")
    spend(world, 600, "sydney")
    arrive(world)
    world.watch("sydney")
    assert told(world, "sydney") == {("crossed", "50%"): 1}
    world.watch("london")
    world.replicate()
    readmit(world)
    world.look("london")
    assert told(world, "london") == {("crossed", "50%"): 1}, "Sydney has told it"
    spend(world, 250, "sydney")
    arrive(world)
    for region in world.stores:
        world.watch(region)
    assert told(world, "london") == {("crossed", "50%"): 1, ("crossed", "80%"): 1}
    assert set(world.messages("london")) == {a.alert_id for a in world.told("london") if a.threshold == "80%"}


def test_a_takeover_cut_short_is_finished_by_the_next_run(world: World) -> None:
    founded(world)
    spend(world, 600, "london")
    arrive(world)
    fence(world)
    rounds = world.stores["sydney"].alert_rounds
    looks = rounds._dues.everyone

    def crash(*_: object) -> None:
        raise SystemExit

    rounds._dues.everyone = crash  # type: ignore[method-assign]
    with pytest.raises(SystemExit):
        rounds.run(600)
    rounds._dues.everyone = looks  # type: ignore[method-assign]
    world.look("sydney")
    assert told(world, "sydney") == {("crossed", "50%"): 1}


def test_a_crossing_in_the_last_period_of_a_region_that_was_lost_over_its_end_is_told(world: World) -> None:
    world.now = world.now.replace(day=30, hour=23)
    founded(world)
    spend(world, 600, "london")
    arrive(world)
    world.pass_time(hours=2)
    fence(world)
    world.look("sydney")
    assert [(a.period, a.threshold) for a in world.told("sydney")] == [("20261101T0000", "50%")]
