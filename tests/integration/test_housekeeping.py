"""What has to happen although nobody asks for it."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cutlass.domain.errors import UnavailableError
from cutlass.domain.ledger import EntryKind
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import PeriodRule, from_millis
from cutlass.domain.plans import Catalogue, PeriodKind
from cutlass.domain.pools import Pool
from cutlass.storage.housekeeping import Kept
from tests.integration.test_metering import ledger
from tests.support.engines import Engine
from tests.support.world import World

BOTH = ("london", "sydney")


def only_ours(world: World) -> None:
    """Let housekeeping walk this world's organisation alone: the engine has those of other tests too."""
    for store in world.stores.values():
        directory = store.directory
        every = directory.every
        directory.every = lambda every=every: (o for o in every() if o.org_id == world.org)


def keep(world: World, region: str = "london") -> Kept:
    return world.stores[region].housekeeping.run(600)


def pools(world: World, region: str = "london") -> dict[str, Pool]:
    return {pool.grant_id: pool for pool in world.held(region, "requests")[0]}


@pytest.fixture
def ours(world: World) -> World:
    only_ours(world)
    return world


def test_an_idle_organisation_gets_the_next_periods_grants_in_every_region(ours: World) -> None:
    ours.found()
    ours.now = datetime(2026, 11, 29, 23, tzinfo=UTC)
    assert keep(ours).opened == 0
    ours.pass_time(hours=2)
    assert keep(ours).opened == 1
    assert keep(ours, "sydney").opened == 0, "the home region writes grants"
    ours.replicate()
    december = "requests:plan-20261201T0000"
    assert [pools(ours, region)[december].minted for region in BOTH] == [8_000, 2_000]
    ours.cut()
    ours.now = datetime(2026, 12, 1, tzinfo=UTC)
    assert ours.check("sydney").allowed, "though the home region cannot be reached"


def test_expired_units_are_ended_once_and_late_ones_after_them(ours: World) -> None:
    ours.found()
    grant, _ = ours.stores["london"].grants.create(
        ours.org, meter="requests", amount=100, priority=5, expires_at=ours.now + timedelta(minutes=30)
    )
    request_id = ours.request_id()
    ours.check(units=6, request_id=request_id)
    ours.meter()
    keep(ours)
    ours.pass_time(minutes=31)
    assert keep(ours).ended_units == 70, "80 of London, less a chunk of 10 that a user holds"
    ours.refund(request_id)
    ours.pass_time(hours=1)
    assert keep(ours).ended_units == 6
    assert keep(ours).ended_units == 0
    ours.check()  # the decision meets the rest of the chunk
    ours.meter()
    pool = pools(ours)[grant.grant.grant_id]
    assert (pool.available, pool.expired) == (0, 76)
    lines = [(e.reason, e.units) for e in ledger(ours) if e.kind is EntryKind.EXPIRY]
    assert sorted(lines) == [("expired", 6), ("expired", 70), ("expired_in_hand", 4)]
    assert ours.audit(metered=True) == []


def test_what_comes_back_to_a_voided_grant_is_burned(ours: World) -> None:
    ours.found()
    grant, _ = ours.stores["london"].grants.create(ours.org, meter="requests", amount=100, priority=5)
    request_id = ours.request_id()
    ours.check(units=6, request_id=request_id)
    ours.stores["london"].grants.void(ours.org, grant.grant.grant_id)
    ours.meter()
    ours.refund(request_id)
    assert keep(ours).ended_units == 6
    ours.meter()
    lines = [(e.kind, e.reason, e.units) for e in ledger(ours) if e.kind in {EntryKind.EXPIRY, EntryKind.VOID}]
    assert sorted(lines) == [(EntryKind.EXPIRY, "voided", 6), (EntryKind.VOID, "voided", 70)]
    assert ours.audit(metered=True) == []


@pytest.mark.parametrize("told_again", [False, True])
def test_a_stream_told_again_writes_an_ending_once(ours: World, told_again: bool) -> None:
    ours.found()
    ours.stores["london"].grants.create(
        ours.org, meter="requests", amount=10, expires_at=ours.now + timedelta(minutes=1)
    )
    ours.pass_time(minutes=2)
    keep(ours)
    records = ours.meter()
    if told_again:
        ours.stores["london"].meter.record(records)
    assert [e.units for e in ledger(ours) if e.kind is EntryKind.EXPIRY] == [8]


def test_units_of_ended_periods_go_back_though_their_users_never_return(ours: World) -> None:
    users = [f"u{n}" for n in range(7)]
    ours.found(user="u0")
    for user in users:
        ours.stores["london"].organisations.put_user(ours.org, user, limits={})
    credit, _ = ours.stores["london"].grants.create(ours.org, meter="requests", amount=1000, priority=5)
    for user in users:
        assert ours.check(user=user).allowed
    ours.now = datetime(2026, 12, 1, 0, 0, 30, tzinfo=UTC)
    kept = keep(ours)
    assert kept.settled == 7
    assert pools(ours)[credit.grant.grant_id].available == 800 - 7
    ours.pass_time(minutes=1)
    with ours.counting() as tally:
        assert keep(ours).settled == 0
    assert tally.requests["BatchGetItem"] > 0, "a decision may have been under way when the period ended"
    ours.pass_time(hours=2)
    with ours.counting() as tally:
        assert keep(ours).looked_at == 1
    assert tally.requests["BatchGetItem"] == 0, "and is over by then"
    ours.meter()
    assert ours.audit(metered=True) == []


def test_a_quiet_organisation_costs_four_queries_an_hour_and_nothing_between(ours: World) -> None:
    ours.found()
    keep(ours)
    for minutes in (1, 30):
        ours.pass_time(minutes=minutes)
        with ours.counting() as tally:
            kept = keep(ours)
        assert (kept.looked_at, kept.passed_over) == (0, 1)
        assert set(tally.requests) == {"Scan"}
    ours.pass_time(minutes=30)
    with ours.counting() as tally:
        assert keep(ours).looked_at == 1
    assert {name: n for name, n in tally.requests.items() if name != "Scan"} == {"Query": 4}


def test_a_run_stops_in_time_and_the_next_goes_on(ours: World) -> None:
    ours.found()
    housekeeping = ours.stores["london"].housekeeping
    organisation = ours.stores["london"].directory.get(ours.org)
    names = [f"{ours.org}-{n}" for n in range(5)]

    def every() -> object:
        for name in names:
            yield Organisation(name, "sydney", organisation.status, organisation.terms, 1, organisation.created_at)

    housekeeping._directory.every = every
    runs = [housekeeping.run(0) for _ in names]
    assert [run.looked_at for run in runs] == [1] * 5
    assert [run.whole for run in runs] == [False] * 5
    assert housekeeping.run(600).whole
    assert housekeeping.run(600).passed_over == 5


def test_one_organisation_that_fails_does_not_keep_the_others_waiting(ours: World) -> None:
    ours.found()
    housekeeping = ours.stores["london"].housekeeping
    organisation = ours.stores["london"].directory.get(ours.org)
    housekeeping._directory.every = lambda: iter([organisation, organisation])
    look, seen = housekeeping._look, []

    def fail_once(*arguments: object) -> object:
        seen.append(arguments)
        if len(seen) == 1:
            raise UnavailableError("away")
        return look(*arguments)

    housekeeping._look = fail_once
    kept = housekeeping.run(600)
    assert (kept.looked_at, kept.failed, kept.whole) == (2, [f"{ours.org}: away"], True)


def by_day(catalogue: Catalogue) -> Catalogue:
    """The same plans, granted anew every day."""
    plans = {name: replace(plan, period=PeriodKind.DAY) for name, plan in catalogue.plans.items()}
    return replace(catalogue, plans=plans)


ZONES = {
    "Pacific/Kiritimati": datetime(2026, 10, 31, 9, tzinfo=UTC),
    "Europe/London": datetime(2026, 3, 28, 21, tzinfo=UTC),
    "America/New_York": datetime(2026, 10, 31, 21, tzinfo=UTC),
}
"""A few hours before a turn: of the month, and of the day on which the clocks change."""


@pytest.mark.parametrize("kind", [PeriodKind.DAY, PeriodKind.MONTH])
@pytest.mark.parametrize("zone", ZONES)
def test_the_turn_of_periods_under_load_neither_loses_nor_doubles_a_grant(
    engine: Engine, zone: str, kind: PeriodKind
) -> None:
    """Both regions decide all the time, housekeeping runs, copies come late, and the clocks change."""
    world = World(engine)
    if kind is PeriodKind.DAY:
        world = World(engine, catalogue=by_day(world.catalogue))
    only_ours(world)
    world.now = ZONES[zone]
    world.found(period=PeriodRule(29 if zone == "Europe/London" else 1, zone), requests=150)
    allowed: Counter[object] = Counter()
    for step in range(32):
        for region in BOTH:
            answer = world.check(region, units=9)
            assert answer.allowed or answer.reason in {"user_limit_reached", "region_short"}, answer
            allowed[answer.resets_at] += 9 * answer.allowed
        if step % 3 == 0:
            world.keep_house()
        if step % 5 == 0:
            world.replicate()
        world.pass_time(minutes=67)
    world.replicate()
    world.keep_house()
    for region in BOTH:
        world.meter(region)
    assert len(allowed) >= 2, "a period turned"
    assert all(units <= 150 for units in allowed.values()), allowed
    assert max(allowed.values()) > 140, "the limit was reached"
    organisation = world.stores["london"].directory.get(world.org)
    granted: Counter[datetime] = Counter()
    for grant, voided in world.stores["london"].directory.grants(organisation, "requests"):
        granted[grant.effective_at] += grant.amount * (not voided)
        born = [pools(world, region)[grant.grant_id].minted for region in BOTH]
        assert born == [8_000, 2_000], f"{grant.grant_id} was minted as {born}"
    assert set(granted.values()) == {10_000}, granted
    moment = world.now
    while moment > ZONES[zone]:
        period = organisation.period_at(world.catalogue, moment)
        assert granted[period.start] == 10_000, f"nothing was granted for the period from {period.start}"
        moment = from_millis(period.start_ms - 1)
    assert world.audit(metered=True) == []
