"""Alerts: what is told to an organisation's people, and the settings by which it is.

An alert tells once, per scope, meter, threshold and period, that usage reached a share of a limit or a number of
units, or that prepaid credits fell below a mark; and once that it is over.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time
from enum import StrEnum


class AlertKind(StrEnum):
    """What happened."""

    CROSSED = "crossed"
    RESOLVED = "resolved"
    BALANCE_LOW = "balance_low"
    BALANCE_RESTORED = "balance_restored"
    TEST = "test"


class ThresholdKind(StrEnum):
    """What a threshold's value counts: hundredths of a limit, units spent, or units of credit left."""

    PERCENT = "percent"
    UNITS = "units"
    BALANCE = "balance"


class ThresholdScope(StrEnum):
    """Whose figures a threshold is held against: the organisation's, each user's, or both."""

    ORGANISATION = "organisation"
    USERS = "users"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Threshold:
    """A mark that usage reaches (`percent`, `units`) or credits fall below (`balance`).

    Attributes
    ----------
    meter : str or None
        The only meter it is for; None for every meter of the settings.
    scope : ThresholdScope
        Whose figures count. Of credits only the organisation's do.
    """

    kind: ThresholdKind
    value: int
    meter: str | None = None
    scope: ThresholdScope = ThresholdScope.ALL

    @property
    def name(self) -> str:
        """Its name in records and messages: `80%`, `5000`, `balance<1000`."""
        match self.kind:
            case ThresholdKind.PERCENT:
                return f"{self.value}%"
            case ThresholdKind.UNITS:
                return str(self.value)
            case ThresholdKind.BALANCE:
                return f"balance<{self.value}"


@dataclass(frozen=True, slots=True)
class Alert:
    """A record that something was crossed or is over; `tell` is false where a higher one of the same step is told.

    Attributes
    ----------
    scope : str
        `org:ORG` or `user:USER`.
    threshold : str
        The threshold's name.
    period : str
        The key of the period it happened in.
    previous_value, current_value : int
        Units spent, or of a balance units left, at the evaluation before and now.
    limit : int or None
        Units of the limit of which the threshold is a share; None where there is none.
    told_by : str or None
        Where it is not told: the id of the alert that is.
    """

    alert_id: str
    org_id: str
    scope: str
    meter: str
    kind: AlertKind
    threshold: str
    period: str
    previous_value: int
    current_value: int
    limit: int | None
    at: datetime
    tell: bool = True
    told_by: str | None = None


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where alerts are posted; the previous secret signs too until `previous_until`."""

    url: str
    secret: str
    previous_secret: str | None = None
    previous_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The hours of local time in which nothing is told; `end` before `start` is the next day's."""

    start: time
    end: time
    time_zone: str


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """What an organisation wants to be told, whom and when.

    Attributes
    ----------
    meters : tuple or None
        The meters to watch; None is all of the plan.
    recipients : Mapping
        Mail addresses by role: `owner`, `billing`, `technical`.
    digest : str
        `off`, `hourly` or `daily`.
    realert : str
        `never` again in the period, or again after it was resolved (`on_resolve`).
    """

    thresholds: tuple[Threshold, ...]
    meters: tuple[str, ...] | None
    recipients: Mapping[str, tuple[str, ...]]
    webhook: Webhook | None = None
    quiet_hours: QuietHours | None = None
    digest: str = "off"
    realert: str = "never"


MAX_THRESHOLDS = 20
"""Thresholds one organisation may set."""

NEVER, ON_RESOLVE = "never", "on_resolve"
"""Whether what was resolved alerts again within its period."""


def org_scope(org_id: str) -> str:
    """The scope of an organisation's own figures."""
    return f"org:{org_id}"


def user_scope(user_id: str) -> str:
    """The scope of one user's figures."""
    return f"user:{user_id}"


def overlap(one: Threshold, other: Threshold) -> bool:
    """Whether two thresholds would tell of the same thing, under the same name."""
    meters = one.meter == other.meter or None in {one.meter, other.meter}
    scopes = one.scope == other.scope or ThresholdScope.ALL in {one.scope, other.scope}
    return one.name == other.name and meters and scopes
