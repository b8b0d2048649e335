"""Periods tile time, in every zone and across every change of its clock."""

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cutlass.domain.periods import PeriodRule, from_millis, period_at, to_millis
from cutlass.domain.plans import PeriodKind

ZONES = sorted(zoneinfo.available_timezones() - {"localtime"})
ODD_ZONES = {
    "America/Sao_Paulo": datetime(2018, 11, 4, tzinfo=UTC),  # midnight does not exist
    "Africa/Cairo": datetime(2026, 4, 24, tzinfo=UTC),  # nor here
    "Asia/Beirut": datetime(2026, 10, 24, tzinfo=UTC),  # midnight comes, and an hour before it again
    "Pacific/Apia": datetime(2011, 12, 30, tzinfo=UTC),  # a day that never was
    "Pacific/Kwajalein": datetime(1993, 8, 21, tzinfo=UTC),  # another
    "Australia/Lord_Howe": datetime(2026, 10, 3, tzinfo=UTC),  # half an hour
    "America/St_Johns": datetime(2010, 11, 7, tzinfo=UTC),  # one minute past midnight
    "America/Havana": datetime(2026, 11, 1, tzinfo=UTC),  # midnight happens twice
    "Antarctica/Troll": datetime(2026, 3, 29, tzinfo=UTC),  # two hours
    "Africa/Casablanca": datetime(2026, 2, 15, tzinfo=UTC),  # off during Ramadan
}

kinds = st.sampled_from(PeriodKind)
rules = st.builds(PeriodRule, st.integers(1, 31), st.sampled_from(ZONES))
moments = st.integers(365 * 86_400_000, 129 * 365 * 86_400_000).map(from_millis)


@given(kind=kinds, rule=rules, moment=moments)
@example(kind=PeriodKind.DAY, rule=PeriodRule(1, "Africa/Monrovia"), moment=datetime(1972, 1, 7, tzinfo=UTC))
def test_a_period_contains_its_instant_and_touches_its_neighbours(
    kind: PeriodKind, rule: PeriodRule, moment: datetime
) -> None:
    period = period_at(kind, rule, moment)
    assert period.start <= moment < period.end
    for inside in (period.start, period.end - timedelta(microseconds=1)):
        assert period_at(kind, rule, inside) == period, "an instant of the period is in another one"
    following = period_at(kind, rule, period.end)
    before = period_at(kind, rule, period.start - timedelta(microseconds=1))
    assert (before.end, following.start) == (period.start, period.end), "a gap or an overlap"
    assert before.key < period.key < following.key


@pytest.mark.parametrize("zone", ODD_ZONES)
@pytest.mark.parametrize("kind", PeriodKind)
@given(anchor=st.integers(1, 31), offset=st.integers(-72 * 60, 72 * 60))
def test_periods_tile_time_where_clocks_are_odd(kind: PeriodKind, zone: str, anchor: int, offset: int) -> None:
    rule, moment = PeriodRule(anchor, zone), ODD_ZONES[zone] + timedelta(minutes=offset)
    period = period_at(kind, rule, moment)
    assert period.start <= moment < period.end
    assert period_at(kind, rule, period.end).start == period.end
    assert period_at(kind, rule, period.start - timedelta(seconds=1)).end == period.start


@given(rule=rules, moment=moments)
def test_a_walk_over_three_years_meets_every_month_once(rule: PeriodRule, moment: datetime) -> None:
    period = period_at(PeriodKind.MONTH, rule, moment)
    months, keys = [], []
    for _ in range(36):
        local = period.start.astimezone(zoneinfo.ZoneInfo(rule.time_zone)) + timedelta(hours=2)
        months.append(local.year * 12 + local.month)
        keys.append(period.key)
        period = period_at(PeriodKind.MONTH, rule, period.end)
    assert months == list(range(months[0], months[0] + 36))
    assert keys == sorted(set(keys))


@given(st.integers(0, 4_102_444_800_000))
def test_milliseconds_come_back(millis: int) -> None:
    assert to_millis(from_millis(millis)) == millis
