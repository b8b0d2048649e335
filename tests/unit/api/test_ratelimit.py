"""The fields are structured fields (RFC 9651): a list of strings with integer parameters."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cutlass.api.ratelimit import rate_limit_fields, window_seconds
from cutlass.domain.decisions import Decision, DecisionRequest, Reason
from cutlass.domain.plans import PeriodKind
from tests.unit.functions.fakes import decision

NOW = datetime(2026, 11, 30, 23, 0, 0, 500_000, tzinfo=UTC)
ASKED = DecisionRequest("org456", "test123")


def parse(field: str) -> dict[str, dict[str, int]]:
    """Parse a list of sf-strings with sf-integer parameters (RFC 9651, section 4.2), strictly."""
    members = {}
    for member in re.split(r"[ \t]*,[ \t]*", field):
        match = re.fullmatch(r'"([\x20\x21\x23-\x5b\x5d-\x7e]*)"((?:;[a-z*][a-z0-9_.*-]*=-?[0-9]{1,15})*)', member)
        assert match, f"{member!r} is no sf-string with integer parameters"
        pairs = [pair.split("=") for pair in match[2].split(";")[1:]]
        members[match[1]] = {name: int(value) for name, value in pairs}
    return members


def test_a_user_limit():
    fields = rate_limit_fields(decision(ASKED), NOW)
    assert parse(fields["RateLimit-Policy"]) == {"user-month": {"q": 1000, "w": 30 * 86400}}
    assert parse(fields["RateLimit"]) == {"user-month": {"r": 959, "t": 3600}}
    assert "Retry-After" not in fields


def test_a_refusal_says_when_to_come_back():
    refused = decision(ASKED, allowed=False, reason=Reason.USER_LIMIT_REACHED, remaining=0, retry_after=3600)
    fields = rate_limit_fields(refused, NOW)
    assert parse(fields["RateLimit"])["user-month"]["r"] == 0
    assert fields["Retry-After"] == "3600"


@pytest.mark.parametrize("reason", [Reason.ORG_LIMIT_REACHED, Reason.CREDITS_EXHAUSTED])
def test_a_dry_organisation_is_named(reason: Reason):
    refused = decision(ASKED, allowed=False, reason=reason)
    assert parse(rate_limit_fields(refused, NOW)["RateLimit"]) == {
        "user-month": {"r": 959, "t": 3600},
        "org-month": {"r": 0, "t": 3600},
    }


def test_no_limit_is_the_largest_there_is():
    unlimited: Decision = decision(ASKED, limit=None, remaining=None, used=41)
    fields = rate_limit_fields(unlimited, NOW)
    assert parse(fields["RateLimit-Policy"])["user-month"]["q"] == 10**12
    assert parse(fields["RateLimit"])["user-month"]["r"] == 10**12 - 41


@pytest.mark.parametrize("reason", [Reason.UNKNOWN_ORG, Reason.UNKNOWN_USER, Reason.FEATURE_NOT_IN_PLAN])
def test_what_is_not_known_is_not_told(reason: Reason):
    refused = decision(ASKED, allowed=False, reason=reason, limit=None, remaining=None, used=0)
    assert rate_limit_fields(refused, NOW) == {}
    assert rate_limit_fields(replace(refused, resets_at=None, period=None), NOW) == {}


def test_the_largest_limit_is_still_a_structured_integer():
    fields = rate_limit_fields(decision(ASKED, limit=10**12, remaining=10**12), NOW)
    assert parse(fields["RateLimit"])["user-month"]["r"] == 10**12


def test_a_period_that_just_ended_is_not_negative():
    late = datetime(2026, 12, 1, 0, 0, 5, tzinfo=UTC)
    assert parse(rate_limit_fields(decision(ASKED), late)["RateLimit"])["user-month"]["t"] == 0


def test_windows():
    assert window_seconds(PeriodKind.DAY, NOW) == 86_400
    assert window_seconds(PeriodKind.MONTH, datetime(2027, 3, 1, tzinfo=UTC)) == 28 * 86_400
    assert window_seconds(PeriodKind.MONTH, datetime(2027, 1, 1, tzinfo=UTC)) == 31 * 86_400
