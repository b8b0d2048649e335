"""Alerts made of dictionaries, for the handlers."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from cutlass.domain.alerts import Alert, AlertKind, AlertSettings, Threshold, ThresholdKind, Webhook
from cutlass.domain.errors import NotFoundError
from cutlass.storage.alert_settings import SettingsView
from cutlass.storage.paging import Page

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
ALERT = Alert(
    "1795435200000-03-0011223344556677",
    "org456",
    "org:org456",
    "requests",
    AlertKind.CROSSED,
    "80%",
    "20261101T0000",
    799,
    801,
    1000,
    AT,
)
DEFAULTS = AlertSettings((Threshold(ThresholdKind.PERCENT, 80),), None, {})


@dataclass
class FakeAlerts:
    """Settings by organisation, and one alert; `known` raises for an organisation there is not."""

    known: Callable[[str], Any]
    kept: dict[str, AlertSettings] = field(default_factory=dict)
    tested: list[str] = field(default_factory=list)

    def get(self, org_id: str) -> SettingsView:
        self.known(org_id)
        return SettingsView(self.kept.get(org_id, DEFAULTS), org_id not in self.kept)

    def put(self, org_id: str, wanted: AlertSettings, *, webhook_url: str | None) -> SettingsView:
        self.known(org_id)
        webhook = Webhook(webhook_url, "whsec_1") if webhook_url else None
        self.kept[org_id] = replace(wanted, webhook=webhook)
        return SettingsView(self.kept[org_id], secret=webhook.secret if webhook else None)

    def rotate(self, org_id: str) -> SettingsView:
        self.known(org_id)
        settings = self.kept.get(org_id, DEFAULTS)
        if settings.webhook is None:
            raise NotFoundError(f"organisation {org_id!r} has no webhook")
        webhook = Webhook(settings.webhook.url, "whsec_2", settings.webhook.secret, AT)
        self.kept[org_id] = replace(settings, webhook=webhook)
        return SettingsView(self.kept[org_id], secret="whsec_2")

    def history(self, org_id: str, *, limit: int, after: dict[str, Any] | None) -> Page[Alert]:
        self.known(org_id)
        return Page([]) if after else Page([ALERT][:limit], {"alert": ALERT.alert_id})

    def test(self, org_id: str) -> Alert:
        self.known(org_id)
        self.tested.append(org_id)
        return replace(ALERT, kind=AlertKind.TEST, threshold="test", limit=None)
