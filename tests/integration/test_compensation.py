"""A request charged in both regions is charged once in the end, whoever notices first."""

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cutlass.domain.ledger import EntryKind
from cutlass.domain.refunds import CHARGED_TWICE
from tests.integration.test_metering import ledger, usage
from tests.support.desk import Desk
from tests.support.world import World

if TYPE_CHECKING:
    from cutlass.storage.compensation import Compensated

BOTH = ("london", "sydney")


def charge_in_both(world: World, request_id: str, *, units: int = 3, gap_ms: int = 400) -> None:
    """Send a request to London and, before Sydney can know of it, again to Sydney."""
    for region in BOTH:
        answer = world.check(region, units=units, request_id=request_id)
        assert (answer.allowed, answer.replayed) == (True, False)
        world.pass_time(milliseconds=gap_ms)


def used(world: World) -> dict[str, int]:
    meters = {r: world.stores[r].balances.user(world.org, "ann").meters["requests"] for r in BOTH}
    return {region: meter.regions[region].used for region, meter in meters.items()}


def settled(world: World) -> None:
    """Let everything run until nothing is left to do."""
    for _ in range(3):
        for region in BOTH:
            world.meter(region)
        world.replicate()
        for region in BOTH:
            world.compensate(region)


def refunds(world: World) -> list[tuple[str, int, str | None]]:
    return [(e.region, e.units, e.reason) for e in ledger(world) if e.kind is EntryKind.REFUND]


@pytest.mark.parametrize("order", list(itertools.permutations(["london", "sydney", "replicate"])))
def test_the_later_charge_is_refunded_by_its_region_whatever_arrives_first(world: World, order: tuple) -> None:
    world.found()
    charge_in_both(world, world.request_id())
    for step in order:
        if step == "replicate":
            world.replicate()
        else:
            world.meter(step)
        for region in BOTH:
            world.compensate(region)
    settled(world)
    assert used(world) == {"london": 3, "sydney": 0}
    assert refunds(world) == [("sydney", 3, CHARGED_TWICE)]
    assert sum(units for units, _ in usage(world, "region").values()) == 3
    assert world.audit(metered=True) == []


@pytest.mark.parametrize(
    "request_id",
    ["order-1", "late", "ahead", "upper"],
)
def test_ids_that_no_segment_leads_to_are_found_too(world: World, request_id: str) -> None:
    world.found()
    known = world.request_id(ahead_ms={"late": -60_000, "ahead": 6_000}.get(request_id, 0))
    request_id = {"order-1": "order-1", "upper": known.upper()}.get(request_id, known)
    charge_in_both(world, request_id, gap_ms=3_000)  # one ahead is fresh by the time it comes to Sydney
    settled(world)
    assert used(world) == {"london": 3, "sydney": 0}
    assert refunds(world) == [("sydney", 3, CHARGED_TWICE)]


def test_batches_told_again_and_a_region_behind_refund_once(world: World) -> None:
    world.found()
    ids = [world.request_id() for _ in range(6)]
    for request_id in ids:
        charge_in_both(world, request_id, gap_ms=10)
    world.meter("london")
    world.replicate()
    assert world.compensate("sydney").refunds == 0, "Sydney's own charges are not on record yet"
    world.meter("sydney")
    records = world.records("sydney", "ledger", "compensator")
    compensation = world.stores["sydney"].compensation
    done: list[Compensated] = [compensation.compensate(records) for _ in range(3)]
    assert [d.refunds for d in done] == [6, 0, 0]
    settled(world)
    assert used(world) == {"london": 18, "sydney": 0}
    assert len(refunds(world)) == 6
    assert world.audit(metered=True) == []


def test_what_was_refunded_by_the_caller_is_not_refunded_again(world: World) -> None:
    world.found()
    request_id = world.request_id()
    charge_in_both(world, request_id)
    world.meter("sydney")
    assert world.refund(request_id, "sydney", units=2).charge.region == "sydney"
    settled(world)
    assert used(world) == {"london": 3, "sydney": 0}
    assert sorted(units for _, units, _ in refunds(world)) == [1, 2]
    assert world.refund(request_id, "sydney", units=1).charge.region == "london"


def test_another_request_under_the_same_id_is_another_request(world: World) -> None:
    world.found()
    request_id = world.request_id()
    world.check("london", units=2, request_id=request_id)
    world.check("sydney", units=5, request_id=request_id)
    settled(world)
    assert used(world) == {"london": 2, "sydney": 5}


def test_a_replay_after_the_compensation_is_the_first_charge(world: World) -> None:
    world.found()
    request_id = world.request_id()
    charge_in_both(world, request_id)
    settled(world)
    for region in BOTH:
        again = world.check(region, units=3, request_id=request_id)
        assert (again.region, again.replayed, again.used) == ("london", True, 3)


def test_reads_go_by_segments_and_not_by_decisions(world: World) -> None:
    """40 decisions in one segment are compared for as many reads as 5."""
    world.found()
    costs = []
    for decisions in (5, 40):
        world.now = world.now.replace(microsecond=0)
        world.pass_time(seconds=20 + world.now.second % 2)
        for _ in range(decisions):
            world.check("london")
            world.pass_time(milliseconds=10)
        world.meter("london")
        world.replicate()
        world.compensate("london")
        records = world.records("sydney", "ledger", "compensator")
        with world.counting("sydney") as tally:
            assert world.stores["sydney"].compensation.compensate(records).charges == decisions
        assert tally.requests == {"BatchGetItem": 1, "Query": 1}, f"{decisions} decisions"
        costs.append(tally.read_units)
    assert costs[0] == costs[1] <= 8, f"{costs} read units for a segment of 5 and one of 40"


def commit(world: World, region: str, cost: int) -> None:
    """Set units aside for the request `job-1` and charge what it cost."""
    made = world.reserve(region, units=9, request_id="job-1").reservation
    assert made
    assert made.region == region
    assert world.stores[region].reservations.commit(made.reservation_id, cost).decision.units == cost
    world.pass_time(milliseconds=400)


@pytest.mark.parametrize(("costs", "left"), [((6, 6), (6, 0)), ((6, 5), (6, 5)), ((9, 9), (9, 0))])
def test_a_request_reserved_and_committed_in_both_regions_is_charged_once(
    world: World, costs: tuple[int, int], left: tuple[int, int]
) -> None:
    """A commit with another cost is another charge, as a request with another body is."""
    world.found()
    for region, cost in zip(BOTH, costs, strict=True):
        commit(world, region, cost)
    settled(world)
    assert tuple(used(world).values()) == left
    assert sum(units for _, units, _ in refunds(world)) == sum(costs) - sum(left)
    assert world.audit(metered=True) == []


def test_a_callers_id_that_begins_as_a_commits_is_compensated_too(world: World) -> None:
    world.found()
    charge_in_both(world, "reservation:sydney-42")
    settled(world)
    assert used(world) == {"london": 3, "sydney": 0}


def test_a_report_that_is_asked_for_again_in_the_other_region_is_paid_once(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its copy had not arrived there: there are two reports, and the charge of the later one comes back."""
    world.found()
    desk = Desk(world).install(monkeypatch, tmp_path)
    for region in BOTH:
        desk.work(desk.job(region, request="r1"))
        world.pass_time(seconds=1)
    assert (desk.paid("london"), desk.paid("sydney")) == ((5, 0), (5, 0))
    settled(world)
    kept = {region: sum(one.kept for one in world.held(region, "reports")[1].values()) for region in BOTH}
    assert kept == {"london": 5, "sydney": 0}
    assert desk.audit() == []
