"""Organisations whose terms change, and the limits of their users."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cutlass.domain.organisations import Organisation, Status, Terms, User, change, change_user
from cutlass.domain.periods import PeriodRule
from cutlass.domain.plans import MAX_UNITS, PeriodKind
from tests.unit.domain.samples import NOW, catalogue, organisation, plan, topology

DAILY = plan("daily", 1, period=PeriodKind.DAY)
CATALOGUE = catalogue(plan("basic", 0), DAILY, plan("premium", 2))
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)
PERIOD = organisation().period_at(CATALOGUE, NOW)
FOLLOWING = organisation().period_at(CATALOGUE, DECEMBER)


def changed(old: Organisation, *, now: datetime = NOW, **changes: object) -> Organisation:
    current = old.terms_at(now)
    wanted = {"plan": current.plan, "rule": current.rule, "status": old.status} | changes
    return change(old, CATALOGUE, now=now, **wanted)  # type: ignore[arg-type]


def test_a_new_organisation_is_in_the_natural_period() -> None:
    org = organisation()
    assert org.rev == 1
    assert org.period_at(CATALOGUE, NOW).key == "20261101T0000"
    assert org.plan_at(CATALOGUE, NOW).name == "basic"


def test_nothing_changed_is_the_same_organisation() -> None:
    org = organisation()
    assert changed(org) is org


def test_an_upgrade_holds_at_once_in_the_same_period() -> None:
    org = changed(organisation(), plan="premium")
    assert org.plan_at(CATALOGUE, NOW).name == "premium"
    assert org.period_at(CATALOGUE, NOW) == organisation().period_at(CATALOGUE, NOW)
    assert org.rev == 2


def test_a_downgrade_holds_from_the_next_period() -> None:
    org = changed(organisation(CATALOGUE.plans["premium"]), plan="basic")
    assert org.plan_at(CATALOGUE, DECEMBER - timedelta(milliseconds=1)).name == "premium"
    assert org.plan_at(CATALOGUE, DECEMBER).name == "basic"


def test_a_downgrade_can_be_taken_back() -> None:
    org = changed(changed(organisation(CATALOGUE.plans["premium"]), plan="basic"), plan="premium")
    assert org.plan_at(CATALOGUE, DECEMBER).name == "premium"


def test_another_kind_of_period_begins_when_the_current_one_ends() -> None:
    org = changed(organisation(), plan="daily")
    assert org.plan_at(CATALOGUE, NOW).name == "basic"
    assert org.period_at(CATALOGUE, NOW).end == DECEMBER
    assert org.period_at(CATALOGUE, DECEMBER).end == DECEMBER + timedelta(days=1)


def test_another_rule_opens_its_first_period_late() -> None:
    org = changed(organisation(), rule=PeriodRule(15, "UTC"))
    assert org.period_at(CATALOGUE, NOW).end == DECEMBER
    first = org.period_at(CATALOGUE, DECEMBER)
    assert (first.start, first.end) == (DECEMBER, datetime(2026, 12, 15, tzinfo=UTC))
    assert org.period_at(CATALOGUE, first.end).start == first.end


def test_an_upgrade_with_another_rule_takes_the_plan_now_and_the_rule_later() -> None:
    org = changed(organisation(), plan="premium", rule=PeriodRule(15, "UTC"))
    assert org.terms_at(NOW) == Terms(datetime(2026, 11, 1, tzinfo=UTC), "premium", PeriodRule())
    assert org.terms_at(DECEMBER) == Terms(DECEMBER, "premium", PeriodRule(15, "UTC"))


def test_suspending_changes_nothing_else() -> None:
    org = changed(organisation(), status=Status.SUSPENDED)
    assert (org.status, org.rev, org.terms) == (Status.SUSPENDED, 2, organisation().terms)


def test_a_users_limit_is_their_own_else_the_plans() -> None:
    basic = plan("basic", 0, user_limit=100)
    assert User("org", "ann").limit(basic, "requests") == 100
    assert User("org", "ann", {"requests": 7}).limit(basic, "requests") == 7
    assert User("org", "ann", {"requests": 0}).limit(basic, "requests") == 0
    assert User("org", "ann").limit(basic, "reports") == 0, "a meter the plan does not include"
    assert User("org", "ann").limit(plan("big", 2, user_limit=None), "requests") is None


def test_a_users_share_leans_to_the_usual_region() -> None:
    basic = plan("basic", 0, user_limit=100)
    at_home, away = User("org", "ann"), User("org", "bob", usual_region="sydney")
    assert at_home.share(basic, "requests", "london", "london", topology(), PERIOD) == 80
    assert away.share(basic, "requests", "london", "london", topology(), PERIOD) == 20
    assert away.share(basic, "requests", "sydney", "london", topology(), PERIOD) == 80


def test_an_unlimited_user_is_unlimited_everywhere() -> None:
    big = plan("big", 2, user_limit=None)
    shares = {
        User("org", "ann").share(big, "requests", r, "london", topology(), PERIOD) for r in ("london", "sydney")
    }
    assert shares == {MAX_UNITS}


class TestChangeUser:
    def changed(self, user: User, *, now: datetime = NOW, **changes: object) -> User:
        wanted = {"limits": user.limits, "usual_region": user.usual_region} | changes
        period = organisation().period_at(CATALOGUE, now)
        return change_user(user, period=period, now=now, **wanted)  # type: ignore[arg-type]

    def test_nothing_changed_is_the_same_user(self) -> None:
        user = User("org", "ann", {"requests": 7}, usual_region="sydney")
        assert self.changed(user) is user

    def test_another_limit_moves_nobody(self) -> None:
        user = self.changed(User("org", "ann", usual_region="sydney"), limits={"requests": 7})
        assert user == User("org", "ann", {"requests": 7}, usual_region="sydney", rev=2)
        assert user.region_in(PERIOD) == "sydney"

    def test_a_move_divides_rights_anew_from_the_next_period(self) -> None:
        user = self.changed(User("org", "ann"), usual_region="sydney")
        assert (user.usual_region, user.former_region, user.moved_at, user.rev) == ("sydney", None, NOW, 2)
        assert user.region_in(PERIOD) is None
        assert user.region_in(FOLLOWING) == "sydney"
        shares = [
            user.share(plan("basic", 0), "requests", region, "london", topology(), period)
            for period in (PERIOD, FOLLOWING)
            for region in ("london", "sydney")
        ]
        assert shares == [80, 20, 20, 80]

    def test_several_moves_in_a_period_leave_it_as_it_began(self) -> None:
        user = self.changed(User("org", "ann", usual_region="sydney"), usual_region="london")
        user = self.changed(user, usual_region=None, now=NOW + timedelta(days=1))
        assert user.region_in(PERIOD) == "sydney"
        assert user.region_in(FOLLOWING) is None
        back = self.changed(user, usual_region="sydney", now=NOW + timedelta(days=2))
        assert (back.region_in(PERIOD), back.region_in(FOLLOWING)) == ("sydney", "sydney")

    def test_a_move_in_the_next_period_follows_from_the_one_before(self) -> None:
        user = self.changed(User("org", "ann"), usual_region="sydney")
        user = self.changed(user, usual_region="london", now=DECEMBER)
        assert user.region_in(FOLLOWING) == "sydney", "the first instant of a period belongs to it"
        assert user.region_in(replace(FOLLOWING, start=FOLLOWING.end)) == "london"

    def test_a_limit_changed_beside_a_pending_move_keeps_it(self) -> None:
        user = self.changed(User("org", "ann"), usual_region="sydney")
        user = self.changed(user, limits={"requests": 7}, now=NOW + timedelta(days=1))
        assert (user.region_in(PERIOD), user.region_in(FOLLOWING)) == (None, "sydney")
