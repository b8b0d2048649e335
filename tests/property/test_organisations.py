"""However an organisation's terms change, its periods tile time and none is opened twice."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cutlass.domain.organisations import Organisation, Status, change, found
from cutlass.domain.periods import Period, PeriodRule
from cutlass.domain.plans import PeriodKind
from tests.unit.domain.samples import catalogue, plan

CATALOGUE = catalogue(
    plan("trial", 0, period=PeriodKind.DAY),
    plan("basic", 1),
    plan("daily", 2, period=PeriodKind.DAY),
    plan("premium", 3),
)
START = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)

plans = st.sampled_from(sorted(CATALOGUE.plans))
rules = st.builds(
    PeriodRule,
    st.integers(1, 31),
    st.sampled_from(["UTC", "Australia/Sydney", "America/Sao_Paulo", "Pacific/Kiritimati", "Asia/Kathmandu"]),
)
minutes = st.one_of(st.integers(0, 300), st.integers(0, 60 * 24 * 70))
waits = minutes.map(lambda n: timedelta(minutes=n))


@dataclass(frozen=True)
class Change:
    """Terms asked for, some time after those before."""

    wait: timedelta
    plan: str
    rule: PeriodRule
    status: Status = Status.ACTIVE


changes = st.lists(st.builds(Change, waits, plans, rules, st.sampled_from(Status)), max_size=6)


def founded(name: str, rule: PeriodRule) -> Organisation:
    return found("org", "london", CATALOGUE.plans[name], rule, Status.ACTIVE, now=START)


def walk(organisation: Organisation, moment: datetime, until: datetime) -> list[Period]:
    """Every period from `moment` to `until`, as a caller finds them: the next one where one ends."""
    found_periods = []
    while moment < until:
        period = organisation.period_at(CATALOGUE, moment)
        assert period.start <= moment < period.end, f"{period} does not contain {moment}"
        found_periods.append(period)
        moment = period.end
    return found_periods


@given(name=plans, rule=rules, asked=changes)
def test_periods_tile_time_through_changes_and_none_opens_twice(
    name: str, rule: PeriodRule, asked: list[Change]
) -> None:
    organisation, now = founded(name, rule), START
    opened: list[Period] = []

    def live_until(end: datetime) -> None:
        for period in walk(organisation, now, end):
            if opened and opened[-1].key == period.key:
                assert opened[-1] == period, "an open period has changed its end"
                continue
            assert not opened or opened[-1].end == period.start, "a gap or an overlap between periods"
            opened.append(period)

    for step in asked:
        live_until(now + step.wait + timedelta(microseconds=1))
        now += step.wait
        before = organisation.period_at(CATALOGUE, now)
        organisation = change(organisation, CATALOGUE, plan=step.plan, rule=step.rule, status=step.status, now=now)
        assert organisation.period_at(CATALOGUE, now) == before, "a change has moved the current period"
    live_until(now + timedelta(days=100))
    keys = [period.key for period in opened]
    assert keys == sorted(set(keys)), "keys must be unique and sort by time"


@given(name=plans, rule=rules, asked=changes)
def test_what_was_asked_last_is_in_force_at_the_latest_from_the_next_period(
    name: str, rule: PeriodRule, asked: list[Change]
) -> None:
    organisation, now = founded(name, rule), START
    for step in asked:
        now += step.wait
        old, rev = organisation, organisation.rev
        organisation = change(organisation, CATALOGUE, plan=step.plan, rule=step.rule, status=step.status, now=now)
        again = change(organisation, CATALOGUE, plan=step.plan, rule=step.rule, status=step.status, now=now)
        assert again is organisation, "asking again must change nothing"
        assert organisation.rev == (rev if organisation is old else rev + 1)
        assert sum(terms.since > now for terms in organisation.terms) <= 1
        end = organisation.period_at(CATALOGUE, now).end
        terms = organisation.terms_at(end)
        assert (terms.plan, terms.rule, organisation.status) == (step.plan, step.rule, step.status)
        upgrade = CATALOGUE.plans[step.plan].rank >= old.plan_at(CATALOGUE, now).rank
        if upgrade and CATALOGUE.plans[step.plan].period is old.plan_at(CATALOGUE, now).period:
            assert organisation.plan_at(CATALOGUE, now).name == step.plan, "an upgrade holds at once"
        else:
            assert organisation.plan_at(CATALOGUE, now) == old.plan_at(CATALOGUE, now)


@given(name=plans, rule=rules, asked=changes)
def test_the_period_before_is_found_again_until_the_one_after_it_ends(
    name: str, rule: PeriodRule, asked: list[Change]
) -> None:
    """What a user still held goes back from the period before, and its requests are remembered there."""
    organisation, now = founded(name, rule), START
    for step in asked:
        now += step.wait
        organisation = change(organisation, CATALOGUE, plan=step.plan, rule=step.rule, status=step.status, now=now)
        period = organisation.period_at(CATALOGUE, now)
        following = organisation.period_at(CATALOGUE, period.end)
        before = organisation.period_at(CATALOGUE, following.start - timedelta(milliseconds=1))
        assert before == period
        now = following.start
        turned = change(organisation, CATALOGUE, plan="premium", rule=PeriodRule(), status=Status.ACTIVE, now=now)
        before = turned.period_at(CATALOGUE, following.start - timedelta(milliseconds=1))
        assert before == period, "a change right after the turn has lost the period before"
        organisation = turned
