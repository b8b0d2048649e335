"""The stream's consumer: ledger, usage and balances agree with the answers, however often it is told."""

import random
from datetime import timedelta

import pytest

from cutlass.domain.decisions import Decision
from cutlass.domain.errors import UnavailableError
from cutlass.domain.ledger import EntryKind
from cutlass.domain.metering import AllotmentKey, Event
from cutlass.domain.periods import Period
from tests.support.world import World


def ledger(world: World, region: str = "london", **options: object) -> list:
    start, end = world.now - timedelta(days=2), world.now + timedelta(days=1)
    return world.stores[region].ledger.page(world.org, start, end, limit=5000, **options).items


def usage(world: World, group_by: str) -> dict[str, tuple[int, int]]:
    start, end = world.now - timedelta(days=2), world.now + timedelta(days=1)
    rows = world.stores["london"].usage.page(world.org, start, end, group_by=group_by, meter="requests").items
    return {row.group: (row.units, row.refusals) for row in rows}


def test_every_decision_is_in_the_ledger_with_before_and_after(world: World) -> None:
    world.found(requests=10)
    world.cut()
    answers = [world.check(units=2) for _ in range(5)]
    world.meter()
    entries = [e for e in ledger(world) if e.kind in {EntryKind.DECISION, EntryKind.REFUSAL}]
    allowed = [e for e in entries if e.kind is EntryKind.DECISION]
    assert sorted(e.entry_id for e in allowed) == sorted(d.decision_id for d in answers if d.allowed)
    assert sorted((e.before, e.after, e.units) for e in allowed) == [(0, 2, 2), (2, 4, 2), (4, 6, 2), (6, 8, 2)]
    assert [(e.reason, e.before, e.after) for e in entries if e.reason] == [("region_short", 8, 8)]


def test_records_that_come_twice_in_one_batch_are_recorded_once(world: World) -> None:
    world.found(requests=10)
    answers = [world.check(units=2) for _ in range(3)]
    records = world.records("london", "usage-credits", "meter")
    world.stores["london"].meter.record(records + records)
    charged = [e.entry_id for e in ledger(world) if e.kind is EntryKind.DECISION]
    assert sorted(charged) == sorted(answer.decision_id for answer in answers)
    assert usage(world, "user") == {"ann": (6, 0)}


def test_grants_and_voids_are_in_the_ledger(world: World) -> None:
    world.found()
    view, _ = world.stores["sydney"].grants.create(world.org, meter="requests", amount=100)
    world.stores["sydney"].grants.void(world.org, view.grant.grant_id)
    world.replicate()
    for region in world.stores:
        world.meter(region)
    world.replicate()
    lines = {(e.region, e.kind, e.units) for e in ledger(world, "sydney") if e.entry_id == view.grant.grant_id}
    assert lines == {
        ("london", EntryKind.GRANT, 100),
        ("london", EntryKind.VOID, 80),
        ("sydney", EntryKind.VOID, 20),
    }


@pytest.mark.parametrize("seed", range(3))
def test_usage_counts_each_decision_once_when_batches_are_told_again(world: World, seed: int) -> None:
    """Batches are cut anew, repeated and interrupted between any two steps, in order per allotment."""
    rng = random.Random(seed)
    world.found(requests=500)
    world.stores["london"].organisations.put_user(world.org, "bob", limits={})
    world.now = world.now.replace(hour=23, minute=59, second=40)
    answers: list[Decision] = []
    for _ in range(120):
        feature = rng.choice(["default", "data.query"])
        answers.append(world.check(user=rng.choice(["ann", "bob"]), feature=feature, units=rng.randint(1, 4)))
        world.pass_time(milliseconds=rng.randint(1, 600))
    records = world.records("london", "usage-credits", "meter")
    done = 0
    while done < len(records):
        start = max(0, done - rng.randint(0, 30))
        batch = records[start : done + rng.randint(1, 25)]
        with Interruption(world, rng, seed):
            world.stores["london"].meter.record(batch)
            done = start + len(batch)
    allowed = sum(d.units for d in answers if d.allowed)
    assert sum(units for units, _ in usage(world, "user").values()) == allowed, f"seed {seed}"
    assert sum(units for units, _ in usage(world, "hour").values()) == allowed, f"seed {seed}"
    assert usage(world, "region") == {"london": (allowed, sum(not d.allowed for d in answers))}, f"seed {seed}"
    assert len(usage(world, "day")) == 2
    per_feature = {
        f: (sum(d.units for d in answers if d.allowed and d.feature == f), 0) for f in ("default", "data.query")
    }
    assert {f: (units, 0) for f, (units, _) in usage(world, "feature").items()} == per_feature, f"seed {seed}"
    entries = [e for e in ledger(world) if e.kind is EntryKind.DECISION]
    assert {e.entry_id for e in entries} == {d.decision_id for d in answers if d.allowed}, f"seed {seed}"
    assert len(entries) == len({e.entry_id for e in entries})
    world.replicate()  # Sydney's pools, made when its grants arrived
    balance = world.stores["london"].balances.organisation(world.org).meters["requests"]
    assert balance.used == allowed
    assert balance.remaining == 10_000 - allowed
    assert world.audit() == []


def test_a_balance_counts_the_share_of_a_region_that_has_not_heard_of_a_grant(world: World) -> None:
    world.found(plan="basic")
    store = world.stores["london"]
    assert world.check(units=3).allowed
    store.grants.create(world.org, meter="requests", amount=500, user_id="ann")
    world.meter()
    of_all = store.balances.organisation(world.org).meters["requests"]
    assert (of_all.limit, of_all.used, of_all.remaining) == (10_000, 3, 9_997)
    assert of_all.regions["sydney"].remaining == 2_000
    of_ann = store.balances.user(world.org, "ann").meters["requests"]
    assert (of_ann.remaining, of_ann.credits) == (1_000 - 3 + 500, 500)


def test_ledger_usage_and_balances_agree_about_reservations(world: World) -> None:
    """Usage is what was committed; what is set aside is in users' hands no more, and comes back when it ends."""
    world.found(plan="enterprise", requests=1000)
    store = world.stores["london"]
    store.organisations.put_user(world.org, "bob", limits={})
    held = world.reserve(units=20, user="bob")
    ends = {cost: world.reserve(units=10) for cost in (10, 4, 0, 12)}
    overdue = world.reserve(units=7, ttl_seconds=1)
    answers = [
        store.reservations.commit(made.reservation.reservation_id, cost).decision for cost, made in ends.items()
    ]
    world.pass_time(seconds=2)
    store.reservations.expire_overdue(100)
    world.check(units=5)
    records = world.records("london", "usage-credits", "meter")
    for _ in range(2):
        store.meter.record(records)
    world.replicate()
    charged = 10 + 4 + 12 + 5
    balance = store.balances.organisation(world.org).meters["requests"]
    granted = sum(g.amount for g, _ in store.directory.grants(store.directory.get(world.org), "requests"))
    assert (balance.used, balance.reserved, balance.remaining) == (charged, 20, granted - charged - 20)
    mine, bobs = (store.balances.user(world.org, user).meters["requests"] for user in ("ann", "bob"))
    assert (mine.used, mine.reserved, mine.remaining) == (charged, 0, 1000 - charged)
    assert (bobs.used, bobs.reserved) == (0, 20)
    assert usage(world, "user") == {"ann": (charged, 0)}
    entries = [entry for entry in ledger(world) if entry.kind is not EntryKind.GRANT]
    made = {one.reservation.reservation_id: one for one in (held, *ends.values(), overdue)}
    assert {e.entry_id: e.units for e in entries if e.kind is EntryKind.RESERVE} == {
        identity: one.reservation.units for identity, one in made.items()
    }
    released = {e.entry_id: (e.units, e.reason, e.user_id) for e in entries if e.kind is EntryKind.RELEASE}
    assert released == {
        ends[4].reservation.reservation_id: (6, "committed", "ann"),
        ends[0].reservation.reservation_id: (10, "released", "ann"),
        overdue.reservation.reservation_id: (7, "expired", "ann"),
    }
    decided = {e.entry_id: e.units for e in entries if e.kind is EntryKind.DECISION}
    assert {a.decision_id: a.units for a in answers if a.units}.items() <= decided.items()
    assert sum(decided.values()) == charged
    assert len(entries) == 6 + 3 + 4, "every line once, however often it was told"
    assert world.audit() == []


class Interruption:
    """Ends a consumer before one of its writes, at random, as kill -9 would."""

    def __init__(self, world: World, rng: random.Random, seed: int) -> None:
        self.dynamo, self.rng, self.seed = world.stores["london"].dynamo, rng, seed

    def __enter__(self) -> None:
        self.call = self.dynamo.call
        countdown = self.rng.randint(0, 14)

        def call(operation: str, request: dict) -> dict:
            nonlocal countdown
            countdown -= 1
            if countdown == 0:
                raise UnavailableError("killed")
            return self.call(operation, request)

        self.dynamo.call = call

    def __exit__(self, kind: type | None, *_: object) -> bool:
        self.dynamo.call = self.call
        return kind is UnavailableError


def test_pages_of_the_ledger_join_without_gap_or_overlap(world: World) -> None:
    world.found()
    for _ in range(37):
        world.check()
        world.pass_time(seconds=7)
    world.meter()
    whole = [e.entry_id for e in ledger(world)]
    store, after, joined = world.stores["london"], None, []
    while True:
        page = store.ledger.page(
            world.org, world.now - timedelta(days=2), world.now + timedelta(days=1), limit=5, after=after
        )
        joined += [e.entry_id for e in page.items]
        after = page.next
        if after is None:
            break
    assert joined == whole
    assert len(whole) >= 37


def test_a_balance_says_how_old_the_other_regions_figures_are(world: World) -> None:
    world.found()
    world.stores["sydney"].usage.beat()
    world.check("sydney")
    world.meter("sydney")
    ages = world.stores["london"].balances.organisation(world.org).meters["requests"].regions
    assert ages["sydney"].age_seconds is None or ages["sydney"].age_seconds >= 0
    assert ages["london"].age_seconds == 0
    world.replicate()
    both = world.stores["london"].balances.user(world.org, "ann").meters["requests"]
    assert both.used == 1
    assert both.remaining == 999


def test_a_batch_of_many_organisations_around_midnight_is_counted(world: World) -> None:
    """Each has events on two days, and so four writes; a transaction takes no more than 100."""
    store = world.stores["london"].usage
    events = [
        Event(AllotmentKey("london", f"{world.org}-{n}", "ann", "requests", "20261101T0000"), seq, at, None, 5)
        for n in range(60)
        for seq, at in ((1, world.now), (2, world.now + timedelta(days=1)))
    ]
    assert store.record(events) == 3
    assert store.record(events) == 0
    period = Period(world.now.replace(day=1, hour=0), world.now.replace(month=12, day=1, hour=0))
    assert store.period_totals(f"{world.org}-7", "requests", period, "london") == (0, 10, 0)
