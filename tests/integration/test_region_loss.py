"""A region is fenced, claimed and readmitted: nothing is sold twice, or it is told to the unit."""

import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from cutlass.domain.decisions import DecisionRequest
from cutlass.domain.errors import ConflictError, RegionFencedError, UnavailableError
from cutlass.domain.ledger import EntryKind
from cutlass.domain.regions import Standing
from cutlass.storage import keys
from cutlass.storage.region_loss import RegionLoss, Returned
from tests.support.world import World


@pytest.fixture(autouse=True)
def _regions_as_they_were(world: World) -> Iterator[None]:
    """The state of a region is the engine's: every test begins and ends with all of them serving."""
    yield
    world.heal()
    for keeper, store in world.stores.items():
        for region in world.topology.regions:
            store.dynamo.delete(store.settings.table(keys.ORGANISATIONS), *keys.region_state(keeper, region))


def quiet(_done: int, _of: int) -> None:
    pass


def fence(world: World, region: str = "sydney", by: str = "olga"):
    desk = RegionLoss(world.stores["london"])
    return desk.fence(region, by=by, why="the data centre is dark", progress=quiet)


def readmit(world: World, region: str = "sydney") -> Returned:
    returned = RegionLoss(world.stores["london"]).readmit(region, by="olga", why="it is back", progress=quiet)
    world.pass_time(seconds=2)  # for so long the region believes what it saw
    return returned


def claim(world: World, *, margin_seconds: int | None = 0, dry_run: bool = False):
    return RegionLoss(world.stores["london"]).claim(
        "sydney",
        denied="a policy on the table",
        margin_seconds=margin_seconds,
        org_id=world.org,
        progress=quiet,
        dry_run=dry_run,
    )


def spend(world: World, region: str, most: int) -> int:
    """Ask until it is refused, `most` times at most; returns how often it was allowed."""
    for allowed in range(most):
        world.pass_time(milliseconds=1)
        if not world.check(region).allowed:
            return allowed
    return most


def restart(world: World, region: str) -> None:
    """Forget what the region's execution environments remember."""
    world.stores[region] = world.store(region)


def test_a_fenced_region_decides_nothing_and_the_other_sells_all_it_held(world: World) -> None:
    world.found(plan="basic", requests=120)
    assert spend(world, "sydney", 7) == 7
    fenced = fence(world)
    assert fenced.exact
    assert fenced.pools >= 1
    assert fenced.allotments >= 1
    for _ in range(3):
        with pytest.raises(RegionFencedError):
            world.check("sydney")
        with pytest.raises(RegionFencedError):
            world.check("sydney", units=0)
    moved = RegionLoss(world.stores["london"]).move("sydney", org_id=world.org, progress=quiet)
    assert moved.units
    assert spend(world, "london", 200) == 113
    assert world.audit() == []
    returned = readmit(world)
    assert returned.state.standing is Standing.SERVING
    assert not world.check("sydney").allowed
    assert world.audit() == []


def test_a_fence_holds_for_those_who_did_not_hear_of_it(world: World) -> None:
    """Other execution environments look at the state every two seconds only: the items refuse them at once."""
    world.found(plan="basic", requests=120)
    world.check("sydney")
    other = world.stores["sydney"]
    other.gate.admit()  # has just looked
    fence(world)
    before = other.gate.epoch
    with pytest.raises(RegionFencedError):
        world.check("sydney")
    assert other.gate.epoch == before
    assert world.audit() == []


def test_a_readmitted_region_serves_again_and_an_old_fence_does_not_return(world: World) -> None:
    world.found(plan="basic", requests=120)
    assert spend(world, "sydney", 3) == 3
    fence(world)
    readmit(world)
    assert spend(world, "sydney", 4) == 4
    fence(world)
    with pytest.raises(RegionFencedError):
        world.check("sydney")
    readmit(world)
    world.stores["sydney"].keeper.apply_organisation(world.stores["sydney"].directory.get(world.org))
    restart(world, "sydney")
    assert spend(world, "sydney", 200) + spend(world, "london", 200) == 113
    assert world.audit() == []


def test_changed_terms_do_not_lift_a_fence(world: World) -> None:
    world.found(plan="basic", requests=120)
    world.check("sydney")
    fence(world)
    world.stores["london"].organisations.put(world.org, plan="premium")
    world.stores["london"].organisations.put_user(world.org, "ann", limits={"requests": 300})
    world.stores["london"].grants.create(world.org, meter="requests", amount=50)
    world.replicate()
    with pytest.raises(RegionFencedError):
        world.check("sydney")
    assert world.audit() == []


def test_a_pool_born_behind_the_fence_is_fenced(world: World) -> None:
    world.found(plan="basic", requests=120)
    fence(world)
    view, _ = world.stores["london"].grants.create(world.org, meter="requests", amount=50)
    world.replicate()
    born = {pool.grant_id: pool for pool in world.stores["sydney"].pools.of(world.org, "requests")}
    assert born[view.grant.grant_id].fence == 2
    with pytest.raises(RegionFencedError):
        world.check("sydney")
    readmit(world)
    assert world.check("sydney").allowed


def test_two_operators_at_once_are_told_of_each_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.found()
    desk = RegionLoss(world.stores["london"])
    known = desk._fences.known("sydney")
    fence(world, by="olga")
    monkeypatch.setattr(desk._fences, "known", lambda _: known)  # it looked before
    with pytest.raises(ConflictError, match="olga made it fenced"):
        desk.fence("sydney", by="omar", why="me too", progress=quiet)


def test_a_region_that_serves_is_neither_claimed_nor_readmitted(world: World) -> None:
    world.found()
    with pytest.raises(ConflictError, match="not fenced"):
        RegionLoss(world.stores["london"]).move("sydney", org_id=world.org, progress=quiet)
    world.cut()
    with pytest.raises(ConflictError, match="not fenced"):
        claim(world)
    world.heal()
    with pytest.raises(ConflictError, match="serves"):
        readmit(world)


def dark(world: World, *, spent_unseen: int = 0) -> None:
    """Sydney goes dark after some use that was copied, and some that was not; London fences it."""
    world.found(plan="basic", requests=300)
    assert spend(world, "sydney", 5) == 5
    assert spend(world, "london", 5) == 5
    world.replicate()
    assert spend(world, "sydney", spent_unseen) == spent_unseen
    world.cut()
    assert not fence(world).exact


def test_of_a_dark_region_only_what_is_proven_is_taken(world: World) -> None:
    dark(world)
    desk = RegionLoss(world.stores["london"])
    moved = desk.take_proven("sydney", org_id=world.org, progress=quiet, dry_run=False)
    assert (moved.units, moved.claimed) == (0, 0)
    assert moved.stranded > 0
    assert world.audit() == []


def test_a_claim_with_a_true_fence_sells_nothing_twice(world: World) -> None:
    """The region spent nothing unseen, and spends nothing more: every claimed unit was there."""
    dark(world)
    planned = claim(world, dry_run=True)
    made = claim(world)
    assert (made.claimed, made.claimed_rights) == (planned.claimed, planned.claimed_rights)
    assert made.claimed > 0
    again = claim(world)
    assert (again.claimed, again.claimed_rights) == (0, 0), "a second claim in one epoch"
    world.heal()
    assert world.audit() == [], "what is accepted is sent or claimed"
    allowed = spend(world, "london", 250)
    with pytest.raises(ConflictError, match="does not know that it is fenced"):
        readmit(world)
    assert fence(world).exact
    returned = readmit(world)
    assert returned.settled > 0
    assert returned.overdrafts == []
    assert world.claims() == []
    world.replicate()
    world.pass_time(seconds=20)
    rest = spend(world, "sydney", 300) + spend(world, "london", 300)
    assert 10 + allowed + rest == 300
    assert world.audit() == []


def test_what_was_spent_unseen_shows_as_an_overdraft_and_no_more(world: World) -> None:
    dark(world, spent_unseen=40)
    made = claim(world)
    world.heal()
    sold = spend(world, "london", 400)
    fence(world)
    returned = readmit(world)
    assert all(overdraft.units > 0 for overdraft in returned.overdrafts)
    rights = sum(o.units for o in returned.overdrafts if o.user_id)
    units = sum(o.units for o in returned.overdrafts if not o.user_id)
    assert units <= made.claimed
    assert rights <= made.claimed_rights
    world.replicate()
    world.pass_time(seconds=20)
    sold += 50 + spend(world, "sydney", 400) + spend(world, "london", 400)
    assert sold <= 300 + rights
    assert world.audit() == []
    entries = (
        world.stores["sydney"]
        .ledger.page(world.org, world.now.replace(hour=0), world.now, limit=100, user_id=None)
        .items
    )
    booked = sum(e.units for e in entries if e.kind is EntryKind.OVERDRAFT)
    assert booked == rights + units


@pytest.mark.parametrize("seed", range(6))
def test_a_return_may_be_cut_short_anywhere(world: World, seed: int) -> None:
    """Some call to the other region fails, before or after it did its work; the command is run again."""
    rng = random.Random(seed)
    dark(world, spent_unseen=rng.choice([0, 20, 50]))
    spent = world.stores["sydney"].allotments.read(_allotment(world)).used
    made = claim(world)
    world.heal()
    spent += 5 + spend(world, "london", rng.choice([50, 300]))
    _insist(world, rng, lambda: fence(world))
    oversold = [line for line in world.audit() if "units spent of a limit" in line]  # not booked before it settles
    assert world.audit() == oversold
    _insist(world, rng, lambda: readmit(world))
    assert world.claims() == []
    assert world.audit() == []
    world.replicate()
    world.pass_time(seconds=20)
    spent += spend(world, "sydney", 300) + spend(world, "london", 300)
    overdrawn = world.stores["sydney"].allotments.read(_allotment(world)).overdrawn
    assert overdrawn <= made.claimed_rights
    assert spent <= 300 + overdrawn
    assert world.audit() == []


def _allotment(world: World) -> keys.Key:
    store = world.stores["sydney"]
    period = store.directory.get(world.org).period_at(world.catalogue, world.now)
    return store.allotments.key(world.org, "ann", "requests", period.key)


def _insist(world: World, rng: random.Random, act: Callable[[], object]) -> None:
    """Run a command until it comes through; the first times one of its calls fails, a later one each time."""
    there = world.stores["london"].directory.at_home("sydney")
    call = type(there).call
    calls = 0
    for fails_at in [*sorted(rng.sample(range(1, 120), 12)), 10**9]:
        calls = 0

        def unreliable(operation: str, request: dict, fails_at: int = fails_at) -> dict:
            nonlocal calls
            calls += 1
            if calls == fails_at and rng.random() < 0.5:
                raise UnavailableError("lost on the way there")
            answer = call(there, operation, request)
            if calls == fails_at:
                raise UnavailableError("lost on the way back")
            return answer

        there.call = unreliable
        world.pass_time(seconds=6)
        try:
            act()
        except UnavailableError:
            continue
        except ConflictError as over:
            if "there is nothing to readmit" not in over.message:  # the answer to its last write was lost
                raise
        finally:
            del there.call
        return


def test_no_decision_is_allowed_behind_a_fence_however_many_are_under_way(world: World) -> None:
    """Eight callers of several execution environments, births and refills of many users among them."""
    world.found(plan="enterprise")
    users = [f"u{number}" for number in range(40)]
    for user in users:
        world.stores["london"].organisations.put_user(world.org, user, limits={})
    world.replicate()
    stores = [world.store("sydney") for _ in range(4)]
    fenced, busy = threading.Event(), threading.Event()
    allowed: list[bool] = []  # whether each was asked for behind the fence

    def call(number: int) -> None:
        rng = random.Random(number)
        for _ in range(400):
            behind = fenced.is_set()
            request = DecisionRequest(world.org, rng.choice(users), units=rng.choice([1, 7]))
            try:
                decision = stores[number % len(stores)].decider.decide(request)
            except RegionFencedError:
                if behind:
                    return
                continue
            if decision.allowed:
                allowed.append(behind)
            if len(allowed) >= 60:
                busy.set()

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(call, number) for number in range(8)]
        assert busy.wait(60)
        assert fence(world).exact
        fenced.set()
        for one in calls:
            one.result()
    assert not any(allowed)
    assert world.audit() == []
