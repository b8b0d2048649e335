"""Units move before they are missed, and none idles when a limit ends."""

import pytest

from cutlass.domain.decisions import Reason
from cutlass.domain.periods import to_millis
from cutlass.domain.pools import Pool
from cutlass.domain.rebalancing import PULL_MS
from cutlass.functions import rebalance
from cutlass.storage import sweeps
from cutlass.storage.sweeps import Swept
from tests.support.world import World

LIMIT = 10_000


def pool_of(world: World, region: str) -> Pool:
    (found,) = world.stores[region].pools.of(world.org, "requests")
    return found


def add_users(world: World, *names: str) -> None:
    for name in names:
        world.stores["london"].organisations.put_user(world.org, name, limits={"requests": 10**6})
    world.replicate()


def test_a_limit_is_sold_in_full_though_units_idle_with_many_users(world: World) -> None:
    world.found(requests=10**6)
    idle = [f"idle{n}" for n in range(30)]
    add_users(world, *idle)
    assert all(world.check(user=name).allowed for name in idle)
    assert pool_of(world, "london").available <= 8000 - 2 * len(idle), "they hold more than they use"
    assert world.check(units=LIMIT - len(idle)).allowed
    assert world.check().reason is Reason.CREDITS_EXHAUSTED
    assert world.audit() == []


def test_what_idles_in_the_other_region_is_sold_too(world: World) -> None:
    world.found(requests=10**6)
    add_users(world, "bob", "eve")
    assert world.check("sydney", user="bob").allowed
    assert world.check("sydney", user="eve").allowed
    world.pass_time(seconds=30)
    world.replicate()
    sold = 2
    while world.check("london", units=200).allowed:
        sold += 200
    while sold < LIMIT + 1 and world.check("london").allowed:
        sold += 1
    assert sold == LIMIT
    assert world.audit() == []


def test_of_two_sweeps_at_once_one_is_made(world: World) -> None:
    world.found(requests=10**6)
    assert world.check().allowed
    store, other = world.stores["london"], world.store("london")
    pool = pool_of(world, "london")
    swept = _swept(world)
    claims = [
        one.rebalancer._sweeps.claim(one.dynamo, "london", swept, pool.key, only_idle=False)
        for one in (store, other, store)
    ]
    assert claims == [True, False, False]
    world.pass_time(seconds=1)
    assert other.rebalancer._sweeps.claim(other.dynamo, "london", swept, pool.key, only_idle=False)


def test_a_sweep_leaves_out_who_spends_meanwhile(world: World) -> None:
    world.found(requests=10**6)
    add_users(world, "bob")
    assert world.check(user="ann").allowed
    assert world.check(user="bob").allowed
    sweeps, dynamo = world.stores["london"].rebalancer._sweeps, world.stores["london"].dynamo
    transact = dynamo.transact

    def spend_first(writes: list) -> None:
        dynamo.transact = transact
        assert world.check(user="ann").allowed
        transact(writes)

    dynamo.transact = spend_first
    assert sweeps.sweep(dynamo, "london", _swept(world), 10**6, only_idle=False) == 8, "bob's, not ann's"
    assert world.audit() == []


@pytest.mark.parametrize(("pages", "first", "second"), [(1, 17, 8), (2, 25, 0)])
def test_a_sweep_reads_on_and_the_next_goes_on_behind_it(
    world: World, monkeypatch: pytest.MonkeyPatch, pages: int, first: int, second: int
) -> None:
    monkeypatch.setattr(sweeps, "LOOKED_AT", 2)
    world.found(requests=10**6)
    add_users(world, "bob", "eve")
    assert all(world.check(user=name).allowed for name in ("ann", "bob", "eve"))
    store = world.stores["london"]
    came = [
        store.rebalancer._sweeps.sweep(store.dynamo, "london", _swept(world), 10**6, only_idle=False, pages=pages)
        for _ in range(2)
    ]
    assert came == [first, second], "of 10, 9 and 9 drawn, one each is spent"
    assert world.audit() == []


def test_a_pool_that_will_be_short_gets_its_share_before_it_is(world: World) -> None:
    world.found(requests=10**6)
    short = spend_until_short(world, "sydney")
    came = world.stores["sydney"].rebalancer.pull_ahead(world.org, "requests")
    assert came > 4000, "nobody asks in London: nearly all belongs here"
    assert pool_of(world, "sydney").available == short.available + came
    assert world.stores["sydney"].rebalancer.pull_ahead(world.org, "requests") == 0
    assert world.audit() == []


def test_the_stream_tells_of_a_short_pool(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.found(requests=10**6)
    before = spend_until_short(world, "sydney").available
    run(world, "sydney", {"Records": world.records("sydney", "usage-credits", "rebalance")}, monkeypatch)
    assert pool_of(world, "sydney").available > before
    assert world.audit() == []


def test_the_schedule_sends_to_a_region_that_lasts_less(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.found(requests=10**6)
    assert world.check("london").allowed
    before = spend_until_short(world, "sydney").available
    run(world, "london", {"detail-type": "Scheduled Event"}, monkeypatch)
    assert pool_of(world, "sydney").available > before
    assert pool_of(world, "london").sent["sydney"] == pool_of(world, "sydney").accepted["london"]
    assert world.audit() == []


def test_what_was_pushed_into_a_partition_is_found_in_the_copy(world: World) -> None:
    world.found(requests=10**6)
    assert world.check("london").allowed
    assert world.check("sydney").allowed
    grant = next(iter(world.stores["london"].directory.grants(organisation(world), "requests")))[0]
    world.cut()
    assert world.stores["london"].transfers.push_units(grant, pool_of(world, "london"), "sydney", 500)
    assert "london" not in pool_of(world, "sydney").accepted
    world.heal()
    world.replicate()
    world.stores["sydney"].rebalancer.even_out(organisation(world))
    assert pool_of(world, "sydney").accepted == {"london": 500}
    world.stores["sydney"].rebalancer.even_out(organisation(world))
    assert pool_of(world, "sydney").accepted == {"london": 500}
    assert world.audit() == []


def test_a_dry_organisation_costs_one_search_a_second_whoever_asks(world: World) -> None:
    world.found(requests=10**6)
    add_users(world, "bob", "eve")
    assert all(world.check(user=name).allowed for name in ("bob", "eve"))
    assert world.check(units=LIMIT - 2).allowed
    assert world.check().reason is Reason.CREDITS_EXHAUSTED
    for name in ("bob", "eve", "ann", "bob"):
        with world.counting("london") as counted, world.counting("sydney") as away:
            assert world.check(user=name).reason is Reason.CREDITS_EXHAUSTED
        assert counted.write_units == 2, "the decision's write, and the record of the refusal"
        assert away.requests.total() == 0
    assert world.audit() == []


def spend_until_short(world: World, region: str) -> Pool:
    """Spend at an even rate until the region's pool will be short."""
    for _ in range(40):
        assert world.check(region, units=40).allowed
        pool = pool_of(world, region)
        if pool.rate and pool.cover_ms(to_millis(world.now)) < PULL_MS:
            assert pool.available > 0
            world.replicate()
            return pool
        world.pass_time(seconds=1)
    raise AssertionError("the pool never became short")


def run(world: World, region: str, event: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Call the function in a region."""
    monkeypatch.setattr(rebalance, "open_store", lambda: world.stores[region])
    monkeypatch.setattr(rebalance.metrics.provider, "namespace", "Cutlass")
    rebalance.handler(event, None)


def organisation(world: World):
    return world.stores["london"].directory.get(world.org)


def _swept(world: World):
    store = world.stores["london"]
    period = organisation(world).period_at(store.catalogue, world.now)
    return Swept(world.org, "requests", period.key)
