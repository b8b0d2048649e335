"""Reconciliation names exactly the item that is wrong, and nothing while all is well, whatever goes on."""

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import pytest

from cutlass.domain.decisions import DecisionRequest
from cutlass.domain.errors import UnavailableError
from cutlass.storage import keys
from cutlass.storage.codec import Item, encode_item
from cutlass.storage.items import accepted_from
from cutlass.storage.reconciled import Reconciled
from tests.support.world import World

PERIOD = "20261101T0000"


@dataclass
class Found:
    """A world after some traffic in both regions, everything recorded."""

    world: World

    def pool(self, region: str = "london") -> keys.Key:
        pool = self.world.stores[region].pools.of(self.world.org, "requests")[0]
        return keys.pools(region, self.world.org, "requests"), pool.key

    def allotment(self, region: str = "london") -> keys.Key:
        return keys.allotment(region, self.world.org, "ann", "requests", PERIOD)

    def grant(self) -> keys.Key:
        return keys.grants("london", self.world.org), f"requests:plan-{PERIOD}"

    def change(self, table: str, key: keys.Key, **more: object) -> None:
        """Write an item as no rule would: numbers are added, all else is set."""
        store = self.world.stores[key[0].partition("#")[0]]
        name = store.settings.table(table)
        item: Item = store.dynamo.get(name, *key) or {}
        for attribute, value in more.items():
            item[attribute] = item.get(attribute, 0) + value if isinstance(value, int) else value
        store.dynamo.put(name, item)

    def reconcile(self) -> Reconciled:
        store = self.world.store("sydney")
        return store.reconciliation.organisation(self.world.org, meters=["requests"], ledger=True)


@pytest.fixture
def found(world: World) -> Found:
    world.found(requests=100)
    for region in ("london", "sydney"):
        for units in (1, 2, 3):
            assert world.check(region, units=units).allowed
    settle(world)
    return Found(world)


def settle(world: World) -> None:
    """Let everything that is on its way arrive."""
    world.replicate()
    for region in world.topology.regions:
        world.meter(region)


def test_sound_items_are_proven_and_accounted_for(found: Found) -> None:
    report = found.reconcile()
    assert (report.problems, report.not_compared, report.behind) == ([], [], 0)
    account = report.accounts["requests"]
    assert account.granted == 10_000
    assert account.used == 12
    assert account.remaining == 10_000 - 12
    assert account.gap == 0
    assert report.items == 4


def lose_a_unit_of_a_pool(found: Found) -> keys.Key:
    found.change(keys.LIMITS, found.pool(), available=-1)
    return found.pool()


def give_an_allotment_a_unit(found: Found) -> keys.Key:
    found.change(keys.LIMITS, found.allotment("sydney"), available=1)
    return found.allotment("sydney")


def make_rights_of_nothing(found: Found) -> keys.Key:
    """As if the allotment had been born twice: it agrees with itself, but not with the user's limit."""
    found.change(keys.LIMITS, found.allotment(), rights=20, unbacked=20)
    return found.allotment()


def mint_a_pool_twice(found: Found) -> keys.Key:
    found.change(keys.LIMITS, found.pool("sydney"), minted=2000, available=2000)
    return found.pool("sydney")


def mint_a_pool_of_no_grant(found: Found) -> keys.Key:
    store = found.world.stores["sydney"]
    pk, sk = found.pool("sydney")
    item = store.dynamo.get(store.settings.table(keys.LIMITS), pk, sk)
    assert item is not None
    fresh = {"minted": 5, "available": 5, "allotted": 0, "returned": 0, "members": 0}
    store.dynamo.put(
        store.settings.table(keys.LIMITS),
        item | fresh | {"sk": f"{sk}-other", "grant_id": f"{item['grant_id']}-other"},
    )
    return pk, f"{sk}-other"


def divide_a_grant_with_a_rest(found: Found) -> keys.Key:
    found.change(keys.ORGANISATIONS, found.grant(), amount=-1)
    return found.grant()


def accept_units_never_sent(found: Found) -> keys.Key:
    found.change(keys.LIMITS, found.pool("sydney"), **{accepted_from("london"): 7, "available": 7})
    return found.pool("sydney")


def accept_rights_never_sent(found: Found) -> keys.Key:
    found.change(keys.LIMITS, found.allotment("sydney"), **{accepted_from("london"): 7, "unbacked": 7})
    return found.allotment("sydney")


def hand_out_units_nobody_drew(found: Found) -> keys.Key:
    """The pool agrees with itself: only all allotments together can tell."""
    found.change(keys.LIMITS, found.pool(), allotted=1, available=-1)
    return found.pool()[0], ""


def forget_an_allotment(found: Found) -> keys.Key:
    store = found.world.stores["sydney"]
    store.dynamo.delete(store.settings.table(keys.LIMITS), *found.allotment("sydney"))
    return found.pool("sydney")[0], ""


def count_usage_twice(found: Found) -> keys.Key:
    day = keys.user_rollup("london", found.world.org, "20261122", "ann", "requests", PERIOD)
    found.change(keys.USAGE, day, **{"12+default": 6})
    return found.allotment()


def lose_a_charge_in_the_ledger(found: Found) -> keys.Key:
    store, org = found.world.stores["sydney"], found.world.org
    name = store.settings.table(keys.LEDGER)
    for shard in range(keys.LEDGER_SHARDS):
        for item in list(store.dynamo.query(name, keys.ledger("sydney", org, "20261122", shard))):
            store.dynamo.delete(name, item["pk"], item["sk"])
    return found.allotment("sydney")


@pytest.mark.parametrize(
    ("wrong", "invariant"),
    [
        (lose_a_unit_of_a_pool, "pool"),
        (give_an_allotment_a_unit, "allotment"),
        (make_rights_of_nothing, "rights"),
        (mint_a_pool_twice, "share"),
        (mint_a_pool_of_no_grant, "share"),
        (divide_a_grant_with_a_rest, "grant"),
        (accept_units_never_sent, "accepted"),
        (accept_rights_never_sent, "accepted"),
        (hand_out_units_nobody_drew, "handed-out"),
        (forget_an_allotment, "handed-out"),
        (count_usage_twice, "usage"),
        (lose_a_charge_in_the_ledger, "ledger"),
    ],
)
def test_the_item_that_is_wrong_is_named_first(
    found: Found, wrong: Callable[[Found], keys.Key], invariant: str
) -> None:
    expected = wrong(found)
    first = found.reconcile().problems[0]
    assert (first.pk, first.sk, first.invariant) == (*expected, invariant), first.words
    assert first.region == expected[0].partition("#")[0]


def test_a_user_who_spent_more_than_the_limit_is_named(found: Found) -> None:
    """Whatever made it possible: here the limit is what was changed, behind the back of the terms."""
    for region in ("london", "sydney"):
        key = found.allotment(region)
        store = found.world.stores[region]
        table = store.settings.table(keys.LIMITS)
        store.dynamo.put(table, (store.dynamo.get(table, *key) or {}) | {"limit": 10})
    broken = {problem.invariant for problem in found.reconcile().problems}
    assert broken == {"rights", "limit"}


def test_units_on_their_way_between_regions_are_no_gap(found: Found) -> None:
    """As when the second write of a transfer never came: sent, and not accepted yet."""
    store = found.world.stores["sydney"]
    pool = store.pools.of(found.world.org, "requests")[0]
    table, (pk, sk) = store.settings.table(keys.LIMITS), found.pool("sydney")
    item = store.dynamo.get(table, pk, sk) or {}
    store.dynamo.put(table, item | {"available": pool.available - 30, "sent>london": 30})
    report = found.reconcile()
    assert report.problems == []
    assert (report.accounts["requests"].in_transit, report.accounts["requests"].gap) == (30, 0)


def test_a_lowered_limit_and_decisions_not_counted_yet_are_no_problem(found: Found) -> None:
    world = found.world
    assert world.check(units=70).allowed
    world.stores["london"].organisations.put_user(world.org, "ann", limits={"requests": 10})
    world.replicate()
    report = found.reconcile()
    assert report.problems == []
    assert report.behind > 0


def test_a_region_that_does_not_answer_proves_nothing(found: Found) -> None:
    found.world.cut()
    with pytest.raises(UnavailableError):
        found.world.stores["london"].reconciliation.organisation(found.world.org)
    found.world.heal()


def test_under_load_there_is_no_false_alarm(world: World) -> None:
    """Sixteen clients in both regions while it is looked at, again and again; then all of it is compared."""
    world.found(plan="basic", requests=100)
    users = "abcd"
    for user in users:
        world.stores["london"].organisations.put_user(world.org, user, limits={"requests": 100})
    world.replicate()
    rng = random.Random(7)
    questions = [(rng.choice(["london", "sydney"]), rng.choice(users), rng.randint(1, 5)) for _ in range(200)]

    def ask(question: tuple[str, str, int]) -> None:
        region, user, units = question
        with suppress(UnavailableError):
            world.stores[region].decider.decide(DecisionRequest(world.org, user, units=units))

    watched = world.store("london").reconciliation
    reports = []
    with ThreadPoolExecutor(16) as pool:
        asked = [pool.submit(ask, question) for question in questions]
        while not all(one.done() for one in asked):
            reports.append(watched.organisation(world.org, meters=["requests"]))
    for one in asked:
        one.result()
    assert reports
    assert [problem.words for report in reports for problem in report.problems] == []
    settle(world)
    world.pass_time(seconds=5)
    assert world.audit(ledger=True) == []
    assert world.audited.behind == 0


def test_items_read_are_the_very_items(found: Found) -> None:
    """An item put back as it was read is the same item: what the tests above change is all they change."""
    key = found.allotment()
    store = found.world.stores["london"]
    table = store.settings.table(keys.LIMITS)
    before = store.dynamo.get(table, *key)
    found.change(keys.LIMITS, key, available=0)
    assert before is not None
    assert encode_item(before) == encode_item(store.dynamo.get(table, *key) or {})
