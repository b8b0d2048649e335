"""The bodies and query strings of the routes beside the decision, as Pydantic models.

Strict throughout: nothing is converted, unknown names are refused. `cutlass.api.resolver` turns what Pydantic
finds into problem details.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from cutlass.api.times import parse_time
from cutlass.contracts import load_catalogue, load_topology
from cutlass.domain.grants import DEFAULT_PRIORITY, MAX_PRIORITY
from cutlass.domain.ids import ID_PATTERN
from cutlass.domain.periods import PeriodRule
from cutlass.domain.plans import MAX_UNITS
from cutlass.domain.reservations import DEFAULT_SECONDS, LONGEST_SECONDS

MAX_PAGE = 100
DEFAULT_PAGE = 50

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _identifier(value: str) -> str:
    if not ID_PATTERN.fullmatch(value):
        raise ValueError("must be 1 to 128 of A-Z a-z 0-9 . _ : @ -")
    return value


def _plan(value: str) -> str:
    return _one_of(value, load_catalogue().plans)


def _meter(value: str) -> str:
    return _one_of(value, load_catalogue().meters)


def _region(value: str) -> str:
    return _one_of(value, load_topology().regions)


def _one_of(value: str, names: Any) -> str:
    if value not in names:
        raise ValueError(f"must be one of {', '.join(names)}")
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    # Beside "not found" it raises whatever opening a file of that name does.
    except (KeyError, ValueError, OSError):
        raise ValueError("must be a name of the IANA time zone database, like Europe/London") from None
    return value


def _time(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("must be a time like 2026-12-01T00:00:00Z")  # noqa: TRY004 (what Pydantic expects)
    return parse_time(value)


def _since_1970(value: datetime) -> datetime:
    if value < _EPOCH:  # stored as milliseconds since then
        raise ValueError("must not be before 1970")
    return value


def _given(value: object) -> object:
    if value is None:
        raise ValueError("must not be null; leave it out instead")
    return value


def _page_size(value: object) -> int:
    if not isinstance(value, str) or not re.fullmatch("[1-9][0-9]{0,2}", value) or int(value) > MAX_PAGE:
        raise ValueError(f"must be a whole number from 1 to {MAX_PAGE}")
    return int(value)


Identifier = Annotated[str, AfterValidator(_identifier)]
PlanName = Annotated[str, AfterValidator(_plan)]
MeterName = Annotated[str, AfterValidator(_meter)]
RegionName = Annotated[str, AfterValidator(_region)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Time = Annotated[datetime, BeforeValidator(_time)]
Units = Annotated[int, Field(ge=0, le=MAX_UNITS)]
PageSize = Annotated[int, BeforeValidator(_page_size)]


class Strict(BaseModel):
    """A model that converts nothing and knows no other names than its own."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class PeriodBody(Strict):
    """Where an organisation's periods begin."""

    anchor_day: int = Field(default=1, ge=1, le=31)
    time_zone: TimeZone = "UTC"

    def rule(self) -> PeriodRule:
        """Return it as the domain has it."""
        return PeriodRule(anchor_day=self.anchor_day, time_zone=self.time_zone)


class OrganisationBody(Strict):
    """What an organisation is to be."""

    plan: PlanName
    home_region: Annotated[RegionName | None, BeforeValidator(_given)] = None
    period: PeriodBody = PeriodBody()
    status: Literal["active", "suspended"] = "active"


class UserBody(Strict):
    """What a user is to be."""

    limits: dict[MeterName, Units] = Field(default_factory=dict)
    usual_region: RegionName | None = None


class GrantBody(Strict):
    """The credits to grant."""

    meter: MeterName
    amount: int = Field(ge=1, le=MAX_UNITS)
    priority: int = Field(default=DEFAULT_PRIORITY, ge=0, le=MAX_PRIORITY)
    category: Literal["paid", "promotional"] = "paid"
    effective_at: Annotated[Time, AfterValidator(_since_1970)] | None = None
    expires_at: Time | None = None
    user_id: Identifier | None = None


class RefundBody(Strict):
    """The charge to refund."""

    request_id: Identifier
    meter: Annotated[MeterName | None, BeforeValidator(_given)] = None
    units: Annotated[int | None, Field(ge=1, le=MAX_UNITS), BeforeValidator(_given)] = None
    reason: Annotated[str | None, Field(min_length=1, max_length=200), BeforeValidator(_given)] = None
    refund_id: Annotated[Identifier | None, BeforeValidator(_given)] = None


class ReservationBody(Strict):
    """The units to set aside."""

    org_id: Identifier
    user_id: Identifier
    feature: Identifier = "default"
    units: Annotated[int | None, BeforeValidator(_given)] = Field(default=None, ge=1, le=MAX_UNITS)
    ttl_seconds: int = Field(default=DEFAULT_SECONDS, ge=1, le=LONGEST_SECONDS)
    request_id: Annotated[Identifier | None, BeforeValidator(_given)] = None


class CommitBody(Strict):
    """What the work of a reservation cost."""

    units: Annotated[Units | None, BeforeValidator(_given)] = None


class ReportBody(Strict):
    """What is asked for, and who pays; the report itself is checked by its type's own schema."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    user_id: Annotated[Identifier | None, BeforeValidator(_given)] = None
    request_id: Annotated[Identifier | None, BeforeValidator(_given)] = None

    @property
    def report(self) -> dict[str, Any]:
        """The report, as its type's schema has it."""
        return dict(self.model_extra or {})


class ScheduleBody(Strict):
    """A report that is made again and again."""

    every: Literal["day", "week", "month"]
    at: Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "06:00"
    user_id: Identifier
    report: dict[str, Any]

    @property
    def at_minutes(self) -> int:
        """The time of day in minutes since midnight."""
        hours, _, minutes = self.at.partition(":")
        return int(hours) * 60 + int(minutes)


class NoQuery(Strict):
    """The query string of a route that takes none."""


class PageQuery(Strict):
    """What every list takes."""

    limit: PageSize = DEFAULT_PAGE
    cursor: str | None = None


class GrantsQuery(PageQuery):
    """Which grants to list."""

    meter: MeterName | None = None


class SpanQuery(PageQuery):
    """A span of time `[from, to)`."""

    start: Time | None = Field(default=None, alias="from")
    end: Time | None = Field(default=None, alias="to")


class UsageQuery(SpanQuery):
    """Which usage, and what a row stands for."""

    group_by: Literal["user", "feature", "region", "day", "hour"] = "day"
    meter: MeterName | None = None


class LedgerQuery(SpanQuery):
    """Which entries of the ledger."""

    user_id: Identifier | None = None
