"""An alert as a CloudEvent, and the signature by which its receiver knows that it is ours.

Source of the form: CloudEvents 1.0.2, JSON event format, structured mode. The signature's form is the one that
receivers know from others: a time, and an HMAC of the time and the body, so that an old call cannot be made again.
"""

import hashlib
import hmac
import json
from datetime import UTC, datetime

from cutlass.domain.alerts import Alert, Webhook

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
SIGNATURE_FIELD = "Cutlass-Signature"
TOLERANCE_SECONDS = 300
"""How old a call a receiver should take at most."""


def cloud_event(alert: Alert, environment: str) -> bytes:
    """Return the body of a call: the same bytes for every try, so that a receiver knows what it has by its id."""
    event = {
        "specversion": "1.0",
        "id": alert.alert_id,
        "source": f"/cutlass/{environment}/orgs/{alert.org_id}",
        "type": f"tech.cutlass.alert.{alert.kind}",
        "subject": alert.scope,
        "time": alert.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": {
            "org_id": alert.org_id,
            "scope": alert.scope,
            "meter": alert.meter,
            "kind": str(alert.kind),
            "threshold": alert.threshold,
            "period": alert.period,
            "previous_value": alert.previous_value,
            "current_value": alert.current_value,
            "limit": alert.limit,
        },
    }
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def secrets_at(webhook: Webhook, now: datetime) -> tuple[str, ...]:
    """Return the secrets that sign now: while one takes the place of another, both."""
    previous = webhook.previous_secret
    if previous is None or webhook.previous_until is None or now >= webhook.previous_until:
        return (webhook.secret,)
    return webhook.secret, previous


def signature(body: bytes, secrets: tuple[str, ...], now: datetime) -> str:
    """Return the field `Cutlass-Signature`: `t=SECONDS,v1=HEX`, with a `v1` for each secret."""
    at = int(now.timestamp())
    return ",".join([f"t={at}", *(f"v1={_mac(secret, at, body)}" for secret in secrets)])


def verify(body: bytes, field: str, secret: str, now: datetime) -> bool:
    """Whether a call is ours and not old: what a receiver does, as the documentation shows it."""
    parts = [part.partition("=") for part in field.split(",")]
    times = [value for name, _, value in parts if name == "t" and value.isdecimal()]
    if len(times) != 1 or abs(now.timestamp() - int(times[0])) > TOLERANCE_SECONDS:
        return False
    wanted = _mac(secret, int(times[0]), body)
    return any(name == "v1" and hmac.compare_digest(value, wanted) for name, _, value in parts)


def _mac(secret: str, at: int, body: bytes) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
