"""The DynamoDB expressions of fences and settlements do what the pure rules say, on real engines."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cutlass.domain.allotments import Allotment
from cutlass.domain.invariants import check_allotment, check_pool
from cutlass.domain.regions import Claim, fence_allotment, fence_pool, settle_rights, settle_units
from cutlass.storage import keys
from cutlass.storage.fences import _close_allotment, _close_pool
from cutlass.storage.items import allotment_to_item, pool_from_item, pool_to_item
from cutlass.storage.settlements import _settling
from tests.integration.test_rules_and_expressions import NOW_MS, NUMBERS, _pool
from tests.support.world import World


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    available=st.integers(0, 60),
    sent=st.integers(0, 40),
    ended=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    epochs=st.lists(st.integers(2, 5), max_size=3),
    claimed=st.lists(st.integers(1, 90), min_size=1, max_size=3),
)
def test_fences_and_settlements_of_pools_are_the_same_in_the_store(
    world: World, available: int, sent: int, ended: tuple[int, int], epochs: list[int], claimed: list[int]
) -> None:
    dynamo, table = world.stores["london"].dynamo, world.stores["london"].allotments.table
    expired, burned = ended
    moved = {"sydney": sent} if sent else {}
    model = replace(
        _pool(next(NUMBERS), NOW_MS, own=False),
        available=available,
        expired=expired,
        burned=burned,
        allotted=1000 - available - sent - expired - burned,
        sent=moved,
    )
    pk = keys.pools("london", world.org, "requests")
    dynamo.put(table, pool_to_item(model, pk))
    for epoch in epochs:
        _close_pool(dynamo, table, (pk, model.key), epoch)
        model = fence_pool(model, epoch)
    for cumulative in claimed:
        settled = settle_units(model, "sydney", cumulative)
        if settled != model:
            claim = Claim("london", "sydney", 2, world.org, "requests", model.key, "", "g", cumulative, 1, 0)
            dynamo.update(table, pk, model.key, _settling(claim, model, settled))
        model = settled
        item = dynamo.get(table, pk, model.key)
        assert item is not None
        assert pool_from_item(item) == model
        assert check_pool(model) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    epochs=st.lists(st.integers(2, 5), max_size=3),
    claimed=st.lists(st.integers(1, 200), min_size=1, max_size=3),
)
def test_fences_and_settlements_of_rights_are_the_same_in_the_store(
    world: World, epochs: list[int], claimed: list[int]
) -> None:
    allotments, dynamo = world.stores["london"].allotments, world.stores["london"].dynamo
    key = keys.allotment("london", world.org, f"u{next(NUMBERS)}", "requests", "20261101T0000")
    model = Allotment(rev=1, plan="basic", limit=100, rights=100, unbacked=100)
    dynamo.put(allotments.table, allotment_to_item(model, *key, NOW_MS))
    for epoch in epochs:
        _close_allotment(dynamo, allotments.table, key, epoch)
        model = fence_allotment(model, epoch)
        allotments.note_terms(key, 7)
        assert allotments.read(key) == model, "changed terms lift no fence"
    for cumulative in claimed:
        settled = settle_rights(model, "sydney", cumulative)
        if settled != model:
            claim = Claim("london", "sydney", 2, world.org, "requests", "p", "u", "", cumulative, 1, 0)
            dynamo.update(allotments.table, *key, _settling(claim, model, settled))
        model = settled
        assert allotments.read(key) == model
        assert check_allotment(model) == []
