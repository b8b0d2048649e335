"""Decisions against real engines: what is allowed, what is refused and why, and in which order units go."""

from datetime import timedelta

import pytest

from cutlass.domain.decisions import Reason
from cutlass.domain.errors import ConflictError, InvalidRequestError, NotFoundError
from cutlass.domain.grants import Category
from cutlass.domain.organisations import Status
from cutlass.domain.periods import PeriodRule, to_millis
from tests.support.world import World


def test_the_first_decision_of_a_user_is_allowed(world: World) -> None:
    world.found()
    decision = world.check()
    assert decision.allowed, decision
    assert (decision.limit, decision.used, decision.remaining) == (1000, 1, 999)
    assert decision.resets_at is not None
    assert decision.resets_at.isoformat() == "2026-12-01T00:00:00+00:00"
    assert world.audit() == []


@pytest.mark.parametrize("region", ["london", "sydney"])
def test_a_region_admits_the_whole_of_a_user_limit_and_not_one_more(world: World, region: str) -> None:
    world.found(requests=50)
    answers = [world.check(region) for _ in range(55)]
    assert [a.allowed for a in answers] == [True] * 50 + [False] * 5
    assert {a.reason for a in answers[50:]} == {Reason.USER_LIMIT_REACHED}
    assert world.audit() == []


@pytest.mark.parametrize("region", ["london", "sydney"])
def test_a_region_alone_admits_its_share_of_a_user_limit(world: World, region: str) -> None:
    world.found(requests=50)
    world.cut()
    share = {"london": 40, "sydney": 10}[region]
    answers = [world.check(region) for _ in range(share + 5)]
    assert [a.allowed for a in answers] == [True] * share + [False] * 5
    assert {a.reason for a in answers[share:]} == {Reason.REGION_SHORT}
    assert world.audit() == []


def test_a_limit_used_up_in_both_regions_is_reached(world: World) -> None:
    world.found(requests=50)
    allowed = sum(world.check(region).allowed for region in ("london", "sydney") for _ in range(50))
    world.replicate()
    world.pass_time(seconds=2)  # a shortage is believed for a second
    refused = world.check("sydney")
    assert allowed == 50
    assert refused.reason is Reason.USER_LIMIT_REACHED
    assert refused.retry_after == (refused.resets_at - world.now).total_seconds()
    assert world.audit() == []


def test_a_unit_count_beyond_what_is_left_takes_nothing(world: World) -> None:
    world.found(requests=50)
    world.cut()
    assert world.check(units=30).allowed
    assert world.check(units=15).reason is Reason.REGION_SHORT  # 10 of the 20 that are left are Sydney's
    assert world.check(units=30).reason is Reason.USER_LIMIT_REACHED
    assert world.check(units=10).allowed
    assert world.check(units=10**12).reason is Reason.USER_LIMIT_REACHED
    assert world.audit() == []


def test_looking_takes_nothing(world: World) -> None:
    world.found(requests=2)
    assert world.check(units=0).allowed
    assert [world.check().allowed for _ in range(3)] == [True, True, False]
    assert not world.check(units=0).allowed
    with world.counting() as counted:
        world.check(units=0)
    assert not {"UpdateItem", "PutItem", "TransactWriteItems"} & set(counted.requests)


def test_a_feature_costs_what_the_catalogue_says_of_its_meter(world: World) -> None:
    world.found(plan="premium")
    decision = world.check(feature="report.export")
    assert (decision.meter, decision.units, decision.used) == ("reports", 5, 5)
    assert world.audit("reports") == []


@pytest.mark.parametrize("feature", ["report.schedule", "no.such.feature"])
def test_a_feature_the_plan_does_not_have_is_refused(world: World, feature: str) -> None:
    world.found(plan="basic")
    assert world.check(feature=feature).reason is Reason.FEATURE_NOT_IN_PLAN


def test_who_is_not_known_is_refused_and_nothing_is_made(world: World) -> None:
    assert world.check().reason is Reason.UNKNOWN_ORG
    world.found()
    assert world.check(user="nobody").reason is Reason.UNKNOWN_USER
    assert world.stores["london"].balances.user(world.org, "ann").meters["requests"].used == 0
    with pytest.raises(NotFoundError):
        world.stores["london"].balances.user(world.org, "nobody")


def test_units_must_be_in_bounds(world: World) -> None:
    world.found()
    for units in (-1, 10**12 + 1):
        with pytest.raises(InvalidRequestError, match="units"):
            world.check(units=units)


def test_an_organisation_just_made_elsewhere_is_found_before_it_is_replicated(world: World) -> None:
    store = world.stores["london"]
    store.organisations.put(world.org, plan="basic", home_region="london")
    store.organisations.put_user(world.org, "ann", limits={})
    assert world.check("sydney").allowed
    assert world.audit() == []


def test_a_suspended_organisation_is_refused_at_once_and_in_every_region(world: World) -> None:
    world.found()
    assert world.check().allowed
    assert world.check("sydney").allowed
    other_container = world.store("london")
    other_container.organisations.put(world.org, plan="basic", status=Status.SUSPENDED)
    assert world.check().reason is Reason.ORG_SUSPENDED
    world.replicate()
    assert world.check("sydney").reason is Reason.ORG_SUSPENDED
    other_container.organisations.put(world.org, plan="basic", status=Status.ACTIVE)
    assert world.check().allowed
    assert world.audit() == []


def test_an_upgrade_holds_at_once(world: World) -> None:
    world.found(plan="basic")
    assert world.check(feature="report.schedule").reason is Reason.FEATURE_NOT_IN_PLAN
    assert world.check().limit == 1000
    world.store("london").organisations.put(world.org, plan="premium")
    decision = world.check(units=900)
    assert (decision.plan, decision.limit, decision.allowed) == ("premium", 10_000, True)
    assert world.check(feature="report.schedule").allowed
    assert world.stores["london"].balances.organisation(world.org).meters["requests"].limit == 100_000
    assert world.audit() == []


def test_a_downgrade_begins_with_the_next_period(world: World) -> None:
    world.found(plan="premium")
    world.store("london").organisations.put(world.org, plan="basic")
    assert world.check().plan == "premium"
    world.pass_time(days=10)
    decision = world.check()
    assert (decision.plan, decision.limit) == ("basic", 1000)
    assert world.stores["london"].balances.organisation(world.org).meters["requests"].limit == 10_000


def test_a_new_period_starts_full_and_the_old_one_stays_as_it_was(world: World) -> None:
    world.found(requests=5)
    assert sum(world.check().allowed for _ in range(6)) == 5
    world.pass_time(days=9)
    decision = world.check()
    assert (decision.allowed, decision.used) == (True, 1)
    assert decision.resets_at is not None
    assert decision.resets_at.month == 1
    assert world.audit() == []


def test_periods_follow_the_organisations_time_zone_and_anchor(world: World) -> None:
    world.stores["london"].organisations.put(
        world.org, plan="basic", home_region="london", period=PeriodRule(15, "Australia/Sydney")
    )
    world.stores["london"].organisations.put_user(world.org, "ann", limits={})
    assert world.check().resets_at.isoformat() == "2026-12-14T13:00:00+00:00"  # Sydney is at +11 in December


def test_a_users_own_limit_is_raised_and_lowered(world: World) -> None:
    world.found(requests=10)
    assert sum(world.check().allowed for _ in range(15)) == 10
    world.stores["london"].organisations.put_user(world.org, "ann", limits={"requests": 20})
    world.replicate()
    world.replicate()  # what Sydney made of it comes back
    assert sum(world.check().allowed for _ in range(15)) == 10
    world.stores["london"].organisations.put_user(world.org, "ann", limits={"requests": 5})
    world.pass_time(seconds=2)
    assert world.check().reason is Reason.USER_LIMIT_REACHED
    assert world.audit() == []


def test_credits_are_spent_behind_the_plans_units_by_priority_then_expiry(world: World) -> None:
    world.found(plan="enterprise", user="ann")
    world.cut()
    store = world.stores["london"]
    made = {}
    for name, priority, days in (("late", 50, 40), ("soon", 50, 20), ("first", 5, 60), ("last", 60, 5)):
        view, _ = store.grants.create(
            world.org, meter="requests", amount=100, priority=priority, expires_at=world.now + timedelta(days=days)
        )
        made[view.grant.grant_id] = name
    assert world.check(units=800_000).allowed  # London's share of the plan: 80 of 'first' go before it
    assert world.check(units=250).allowed
    left = {made.get(p.grant_id, p.category): p.available for p in store.pools.of(world.org, "requests")}
    assert left["first"] == 0
    assert left[Category.PLAN] == 0
    assert left["soon"] == 0
    assert left["late"] == 0
    assert left["last"] < 80
    assert world.audit() == []


def test_a_users_own_grant_comes_on_top_of_the_users_limit(world: World) -> None:
    world.found(requests=5)
    world.stores["london"].organisations.put_user(world.org, "bob", limits={"requests": 5})
    world.stores["london"].grants.create(world.org, meter="requests", amount=10, user_id="ann")
    assert sum(world.check().allowed for _ in range(20)) == 5 + 10
    assert sum(world.check(user="bob").allowed for _ in range(20)) == 5
    assert world.audit() == []


def test_a_grant_is_made_once_and_voided_once(world: World) -> None:
    world.found(requests=5)
    grants = world.stores["london"].grants
    view, created = grants.create(world.org, meter="requests", amount=100, idempotency_key="k1")
    world.pass_time(seconds=1)
    again, created_again = grants.create(world.org, meter="requests", amount=100, idempotency_key="k1")
    assert (created, created_again, again.grant.grant_id) == (True, False, view.grant.grant_id)
    world.replicate()
    voided = grants.void(world.org, view.grant.grant_id)
    assert voided.voided_at
    assert grants.void(world.org, view.grant.grant_id) == voided
    world.replicate()
    for region, store in world.stores.items():
        assert [p.available for p in store.pools.of(world.org, "requests") if p.category.prepaid] == [0], region
    listed = grants.page(world.org, meter="requests").items
    assert [v.voided_at for v in listed if v.grant.category is Category.PAID] == [voided.voided_at]
    assert world.audit() == []


def test_a_void_that_overtakes_its_grant_still_ends_it(world: World) -> None:
    world.found()
    view, _ = world.stores["london"].grants.create(world.org, meter="requests", amount=100)
    world.stores["london"].grants.void(world.org, view.grant.grant_id)
    world.stores["sydney"].keeper.apply_void(view.grant)
    world.stores["sydney"].keeper.apply_grant(view.grant)
    pools = world.stores["sydney"].pools.of(world.org, "requests")
    assert [(p.available, p.burned) for p in pools if p.category.prepaid] == [(0, 20)]


def test_expired_credits_are_not_spent(world: World) -> None:
    world.found(plan="basic", requests=20_000)
    world.stores["london"].grants.create(
        world.org, meter="requests", amount=100, priority=1, expires_at=world.now + timedelta(hours=1)
    )
    assert world.check(units=5).allowed  # holds some of the credits from now on
    world.pass_time(hours=2)
    assert world.check(units=5).allowed
    allotment = world.stores["london"].allotments.read(
        world.stores["london"].allotments.key(world.org, "ann", "requests", "20261101T0000")
    )
    assert allotment is not None
    assert allotment.expired > 0
    assert not any("#requests:paid" in chunk.pool for chunk in allotment.held)
    assert world.audit() == []


def test_credits_still_held_at_the_end_of_a_period_go_back_to_their_pool(world: World) -> None:
    world.found(plan="basic", requests=100)
    world.stores["london"].grants.create(world.org, meter="requests", amount=1000, priority=1)
    assert world.check().allowed
    world.pass_time(days=10)
    assert world.check().allowed
    pool = next(p for p in world.stores["london"].pools.of(world.org, "requests") if p.category.prepaid)
    assert pool.returned == 9
    assert world.audit() == []


def test_credits_do_not_help_where_the_plan_denies(world: World) -> None:
    world.found(plan="basic", reports=1000)
    world.stores["london"].grants.create(world.org, meter="reports", amount=1000)
    assert world.check(feature="report.export", units=90).allowed
    assert world.check(feature="report.export", units=30).reason is Reason.ORG_LIMIT_REACHED


def test_prepaid_credits_run_out(world: World) -> None:
    world.found(plan="basic", requests=10**6)
    assert world.check(units=8_000).allowed
    assert world.check("sydney", units=2_000).allowed
    world.replicate()
    assert world.check().reason is Reason.CREDITS_EXHAUSTED
    world.stores["london"].grants.create(world.org, meter="requests", amount=10)
    assert sum(world.check().allowed for _ in range(20)) == 10


def test_a_home_region_stays(world: World) -> None:
    world.found(home="sydney")
    with pytest.raises(ConflictError):
        world.stores["london"].organisations.put(world.org, plan="basic", home_region="london")
    _, created = world.stores["london"].organisations.put(world.org, plan="basic")
    assert not created


def test_an_organisation_founded_in_two_regions_at_once_is_one(world: World) -> None:
    store = world.stores["sydney"]
    known = store.organisations._known
    store.organisations._known = lambda org_id: None  # Sydney looked before London wrote
    world.stores["london"].organisations.put(world.org, plan="basic", home_region="london")
    organisation, created = store.organisations.put(world.org, plan="basic")
    store.organisations._known = known
    assert (organisation.home_region, created) == ("london", False)
    assert store.directory.look("sydney", world.org) is None


def test_a_downgrade_on_the_last_day_takes_back_what_was_written_ahead(world: World) -> None:
    world.found(plan="premium")
    world.now = world.now.replace(day=30, hour=12)
    assert world.check().allowed
    store = world.stores["london"]
    store.organisations.put(world.org, plan="premium")  # writes December's grants ahead
    store.organisations.put(world.org, plan="basic")
    world.replicate()
    world.pass_time(days=1)
    assert world.check().limit == 1000
    assert store.balances.organisation(world.org).meters["requests"].limit == 10_000
    world.replicate()
    left = sum(
        p.available
        for s in world.stores.values()
        for p in s.pools.of(world.org, "requests")
        if p.live(to_millis(world.now))
    )
    assert left <= 10_000
    assert world.audit() == []


def test_a_void_holds_for_units_that_come_back(world: World) -> None:
    world.found(plan="basic", requests=100)
    grants = world.stores["london"].grants
    view, _ = grants.create(world.org, meter="requests", amount=1000, priority=1)
    assert world.check().allowed
    grants.void(world.org, view.grant.grant_id)
    world.pass_time(days=10)
    assert world.check().allowed
    pool = next(p for p in world.stores["london"].pools.of(world.org, "requests") if p.category.prepaid)
    assert pool.returned == 9
    assert pool.available == 9, "what came back is not handed out again"
    assert world.audit() == []


def test_rights_that_backed_expired_credits_serve_again(world: World) -> None:
    world.found(requests=100)
    world.stores["london"].grants.create(
        world.org, meter="requests", amount=1000, priority=1, expires_at=world.now + timedelta(minutes=5)
    )
    assert world.check().allowed
    world.pass_time(minutes=10)
    assert sum(world.check().allowed for _ in range(110)) == 99
    assert world.audit() == []


def test_moving_a_user_does_not_mint_the_limit_again(world: World) -> None:
    world.found(requests=100)
    world.cut()
    assert sum(world.check("london").allowed for _ in range(100)) == 80
    world.heal()
    world.stores["london"].organisations.put_user(
        world.org, "ann", limits={"requests": 100}, usual_region="sydney"
    )
    world.replicate()
    allowed = sum(world.check("sydney").allowed for _ in range(100))
    assert allowed == 20
    world.now = world.now.replace(day=30, hour=12)
    world.check("london")  # writes the next period's grants ahead
    world.replicate()
    world.pass_time(days=1)
    world.cut()
    assert sum(world.check("sydney").allowed for _ in range(100)) == 80


def test_terms_that_arrive_before_the_organisation_does_are_asked_for(world: World) -> None:
    world.found(home="sydney")
    assert world.check("london").allowed
    world.stores["london"].organisations.put(world.org, plan="premium")  # written in Sydney, applied here
    assert world.check("london").plan == "premium"
