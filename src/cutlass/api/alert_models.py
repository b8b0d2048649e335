"""The settings of alerts as they are sent, and as they are shown."""

import re
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from cutlass.api.models import MeterName, Strict, TimeZone
from cutlass.domain.alerts import (
    MAX_THRESHOLDS,
    Alert,
    AlertSettings,
    QuietHours,
    Threshold,
    ThresholdKind,
    ThresholdScope,
    overlap,
)
from cutlass.domain.errors import InvalidRequestError
from cutlass.domain.periods import period_start
from cutlass.domain.plans import MAX_UNITS
from cutlass.storage.alert_settings import SettingsView

MAX_RECIPIENTS = 20
"""Addresses of one role."""

ROLES = ("owner", "billing", "technical")

_LONGEST_ADDRESS = 254
# What mail servers take without quoting, with a domain of at least two labels (RFC 5321, as HTML's `type=email`).
_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=[^@]{{1,64}}@){_LOCAL}@({_LABEL}\.)+{_LABEL}")
_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def _address(value: str) -> str:
    if len(value) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(value):
        raise ValueError("must be a mail address like ops@example.com")
    return value


def _time_of_day(value: object) -> time:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ValueError("must be a time of day like 22:00")
    return time.fromisoformat(value)


def _once(values: list[Any]) -> list[Any]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"names {value} twice")
    return values


Address = Annotated[str, AfterValidator(_address)]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
Addresses = Annotated[list[Address], Field(max_length=MAX_RECIPIENTS), AfterValidator(_once)]


class ThresholdBody(Strict):
    """One threshold."""

    kind: Literal["percent", "units", "balance"]
    value: int = Field(ge=1, le=MAX_UNITS)
    meter: MeterName | None = None
    scope: Literal["organisation", "users", "all"] | None = None

    @field_validator("value")
    @classmethod
    def _share(cls, value: int, info: ValidationInfo) -> int:
        if info.data.get("kind") == "percent" and value > 100:
            raise ValueError("must be at most 100, of a share in percent")
        return value

    @field_validator("scope")
    @classmethod
    def _of_credits(cls, scope: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") == "balance" and scope not in {None, "organisation"}:
            raise ValueError("must be organisation: only an organisation's credits are watched")
        return scope

    def threshold(self) -> Threshold:
        """Return it as the domain has it."""
        kind = ThresholdKind(self.kind)
        usual = ThresholdScope.ALL if kind is ThresholdKind.PERCENT else ThresholdScope.ORGANISATION
        return Threshold(kind, self.value, self.meter, ThresholdScope(self.scope) if self.scope else usual)


class RecipientsBody(Strict):
    """Who is told, by role."""

    owner: Addresses = Field(default_factory=list)
    billing: Addresses = Field(default_factory=list)
    technical: Addresses = Field(default_factory=list)


class WebhookBody(Strict):
    """Where alerts are posted."""

    url: str = Field(min_length=1, max_length=2048)


class QuietHoursBody(Strict):
    """When nothing is told."""

    start: TimeOfDay
    end: TimeOfDay
    time_zone: TimeZone = "UTC"

    @model_validator(mode="after")
    def _some(self) -> "QuietHoursBody":
        if self.start == self.end:
            raise ValueError("must end at another time than they start")
        return self


class AlertsBody(Strict):
    """What an organisation wants to be told of."""

    thresholds: list[ThresholdBody] = Field(max_length=MAX_THRESHOLDS)
    meters: Annotated[list[MeterName], Field(min_length=1), AfterValidator(_once)] | None = None
    recipients: RecipientsBody = RecipientsBody()
    webhook: WebhookBody | None = None
    quiet_hours: QuietHoursBody | None = None
    digest: Literal["off", "hourly", "daily"] = "off"
    realert: Literal["never", "on_resolve"] = "never"

    def settings(self) -> AlertSettings:
        """Return them as the domain has them, without the webhook; raises `InvalidRequestError`."""
        thresholds = [body.threshold() for body in self.thresholds]
        for place, threshold in enumerate(thresholds):
            for other in range(place):
                if overlap(threshold, thresholds[other]):
                    field = f"thresholds.{place}"
                    raise InvalidRequestError(f"{field} repeats thresholds.{other}: {threshold.name}", field=field)
        quiet = self.quiet_hours
        return AlertSettings(
            thresholds=tuple(thresholds),
            meters=None if self.meters is None else tuple(self.meters),
            recipients={role: tuple(getattr(self.recipients, role)) for role in ROLES},
            quiet_hours=QuietHours(quiet.start, quiet.end, quiet.time_zone) if quiet else None,
            digest=self.digest,
            realert=self.realert,
        )


def settings_body(org_id: str, view: SettingsView) -> dict[str, Any]:
    """Return the JSON object of an organisation's settings; a secret only where it was made just now."""
    settings = view.settings
    quiet, webhook = settings.quiet_hours, settings.webhook
    return {
        "org_id": org_id,
        "defaults": view.defaults,
        "thresholds": [
            {"kind": t.kind, "value": t.value, "meter": t.meter, "scope": t.scope} for t in settings.thresholds
        ],
        "meters": None if settings.meters is None else list(settings.meters),
        "recipients": {role: list(settings.recipients.get(role, ())) for role in ROLES},
        "webhook": None
        if webhook is None
        else {
            "url": webhook.url,
            "previous_secret_until": webhook.previous_until,
            **({"secret": view.secret} if view.secret else {}),
        },
        "quiet_hours": None
        if quiet is None
        else {"start": f"{quiet.start:%H:%M}", "end": f"{quiet.end:%H:%M}", "time_zone": quiet.time_zone},
        "digest": settings.digest,
        "realert": settings.realert,
    }


def alert_body(alert: Alert) -> dict[str, Any]:
    """Return the JSON object of an alert."""
    return {
        "id": alert.alert_id,
        "scope": alert.scope,
        "meter": alert.meter,
        "kind": alert.kind,
        "threshold": alert.threshold,
        "period": period_name(alert.period),
        "previous_value": alert.previous_value,
        "current_value": alert.current_value,
        "limit": alert.limit,
        "at": alert.at,
        "told": alert.tell,
        "told_by": alert.told_by,
    }


def period_name(key: str) -> str:
    """Name a period for people: by its month where it begins with one in UTC, else by its start."""
    start = period_start(key)
    return f"{start:%Y-%m}" if f"{start:%d%H%M}" == "010000" else f"{start:%Y-%m-%dT%H:%MZ}"
