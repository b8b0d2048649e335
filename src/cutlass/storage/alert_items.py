"""Alerts, watches and settings as items of the table `alerts`."""

from datetime import time
from typing import Any

from cutlass.domain.alerts import (
    Alert,
    AlertKind,
    AlertSettings,
    QuietHours,
    Threshold,
    ThresholdKind,
    ThresholdScope,
    Webhook,
)
from cutlass.domain.periods import from_millis, to_millis
from cutlass.domain.thresholds import Mark, Watch
from cutlass.storage import keys
from cutlass.storage.codec import Item

KEPT_SECONDS = 400 * 86_400
"""How long an alert, and a watch after its period's end, is kept: as long as other records."""


def alert_to_item(alert: Alert, region: str) -> Item:
    """An alert as an item; only those to be told have the number `tell`, by which the stream is filtered."""
    pk, sk = keys.alert(region, alert.org_id, alert.alert_id)
    at_ms = to_millis(alert.at)
    return {
        "pk": pk,
        "sk": sk,
        "org": alert.org_id,
        "alert_id": alert.alert_id,
        "scope": alert.scope,
        "meter": alert.meter,
        "kind": str(alert.kind),
        "threshold": alert.threshold,
        "period": alert.period,
        "previous": alert.previous_value,
        "current": alert.current_value,
        "limit": alert.limit,
        "at": at_ms,
        "tell": 1 if alert.tell else None,
        "told_by": alert.told_by,
        "ttl": at_ms // 1000 + KEPT_SECONDS,
    }


def alert_from_item(item: Item) -> Alert:
    """Read an alert off its item."""
    return Alert(
        alert_id=item["alert_id"],
        org_id=item["org"],
        scope=item["scope"],
        meter=item["meter"],
        kind=AlertKind(item["kind"]),
        threshold=item["threshold"],
        period=item["period"],
        previous_value=item["previous"],
        current_value=item["current"],
        limit=item.get("limit"),
        at=from_millis(item["at"]),
        tell="tell" in item,
        told_by=item.get("told_by"),
    )


def watch_to_item(watch: Watch, key: keys.Key, org_id: str, ttl: int | None) -> Item:
    """A watch as an item; `ttl` (Unix seconds) is None for one that belongs to no period."""
    marks = {
        name: {
            "open": mark.open,
            "cycle": mark.cycle,
            "at": mark.at_ms,
            "period": mark.period,
            "alert": mark.alert,
        }
        for name, mark in watch.marks.items()
    }
    return {
        "pk": key[0],
        "sk": key[1],
        "org": org_id,
        "rev": watch.revision,
        "value": watch.value,
        "marks": marks,
        "ttl": ttl,
    }


def watch_from_item(item: Item | None) -> Watch:
    """Read a watch off its item; without one nothing was told yet."""
    if item is None:
        return Watch()
    marks = {
        name: Mark(mark["open"], mark["cycle"], mark["at"], mark["period"], mark["alert"])
        for name, mark in item["marks"].items()
    }
    return Watch(marks, item.get("value"), item["rev"])


def settings_to_item(settings: AlertSettings, home: str, org_id: str, revision: int) -> Item:
    """An organisation's settings as an item at its home."""
    pk, sk = keys.alert_settings(home, org_id)
    quiet, webhook = settings.quiet_hours, settings.webhook
    return {
        "pk": pk,
        "sk": sk,
        "org": org_id,
        "rev": revision,
        "thresholds": [
            {"kind": str(t.kind), "value": t.value, "meter": t.meter, "scope": str(t.scope)}
            for t in settings.thresholds
        ],
        "meters": None if settings.meters is None else list(settings.meters),
        "recipients": {role: list(addresses) for role, addresses in settings.recipients.items()},
        "webhook": _webhook_value(webhook) if webhook else None,
        "quiet": {"start": f"{quiet.start:%H:%M}", "end": f"{quiet.end:%H:%M}", "zone": quiet.time_zone}
        if quiet
        else None,
        "digest": settings.digest,
        "realert": settings.realert,
    }


def settings_from_item(item: Item) -> AlertSettings:
    """Read settings off their item."""
    quiet, webhook, meters = item.get("quiet"), item.get("webhook"), item.get("meters")
    return AlertSettings(
        thresholds=tuple(
            Threshold(ThresholdKind(t["kind"]), t["value"], t.get("meter"), ThresholdScope(t["scope"]))
            for t in item["thresholds"]
        ),
        meters=None if meters is None else tuple(meters),
        recipients={role: tuple(addresses) for role, addresses in item["recipients"].items()},
        webhook=_webhook(webhook) if webhook else None,
        quiet_hours=QuietHours(time.fromisoformat(quiet["start"]), time.fromisoformat(quiet["end"]), quiet["zone"])
        if quiet
        else None,
        digest=item["digest"],
        realert=item["realert"],
    )


def _webhook_value(webhook: Webhook) -> dict[str, Any]:
    until = webhook.previous_until
    return {
        "url": webhook.url,
        "secret": webhook.secret,
        "previous": webhook.previous_secret,
        "until": None if until is None else to_millis(until),
    }


def _webhook(value: dict[str, Any]) -> Webhook:
    until = value.get("until")
    return Webhook(
        value["url"], value["secret"], value.get("previous"), None if until is None else from_millis(until)
    )
