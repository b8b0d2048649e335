"""Many at once, on engines that are atomic: never one unit too many, and nothing lost."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from cutlass.domain.decisions import DecisionRequest
from tests.support.world import World


@pytest.mark.parametrize("regions", [("london",), ("london", "sydney")])
@pytest.mark.parametrize("containers", [1, 4])
def test_a_limit_admits_no_more_than_itself(world: World, regions: tuple[str, ...], containers: int) -> None:
    """Each container is an execution environment of its own, which shares nothing with the others."""
    world.found(requests=80)
    stores = [world.store(region) for region in regions for _ in range(containers)]

    def ask(number: int) -> bool:
        return stores[number % len(stores)].decider.decide(DecisionRequest(world.org, "ann")).allowed

    with ThreadPoolExecutor(16) as pool:
        answers = Counter(pool.map(ask, range(160)))
    assert answers[True] == 80
    for region in regions:
        world.meter(region)
    world.replicate()
    balance = world.stores["london"].balances.organisation(world.org).meters["requests"]
    assert balance.used == answers[True]
    assert world.audit() == []


def test_users_share_an_organisations_last_units_without_overselling(world: World) -> None:
    world.found(plan="basic", reports=100)
    for name in "abcdefgh":
        world.stores["london"].organisations.put_user(world.org, name, limits={"reports": 100})

    def ask(number: int) -> bool:
        return world.check(user="abcdefgh"[number % 8], feature="report.export", units=1).allowed

    with ThreadPoolExecutor(16) as pool:
        allowed = sum(pool.map(ask, range(200)))
    assert allowed <= 100
    assert allowed >= 100 - 8, "units that idle in allotments are few"
    assert world.audit("reports") == []


def test_the_same_request_sent_at_once_is_charged_once(world: World) -> None:
    world.found()
    request_id = world.request_id()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: world.check(request_id=request_id), range(16)))
    assert sum(not a.replayed for a in answers) == 1
    assert {a.used for a in answers} == {1}
    assert {a.decision_id for a in answers} == {answers[0].decision_id}


def test_period_grants_are_made_once_by_many(world: World) -> None:
    world.found()
    world.pass_time(days=9)
    stores = [world.store(region) for region in ("london", "sydney") for _ in range(4)]

    def ask(number: int) -> bool:
        return stores[number % 8].decider.decide(DecisionRequest(world.org, "ann")).allowed

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(32)))
    world.replicate()
    for region, store in world.stores.items():
        december = [p.minted for p in store.pools.of(world.org, "requests") if "20261201T0000" in p.grant_id]
        assert december == [{"london": 8000, "sydney": 2000}[region]]
    assert world.audit() == []
