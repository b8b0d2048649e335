"""A call says what happened in CloudEvents' form, and proves who made it and when."""

import hashlib
import hmac
import json
from datetime import timedelta

import pytest

from cutlass.domain.alerts import AlertKind
from cutlass.notifications.events import TOLERANCE_SECONDS, cloud_event, secrets_at, signature, verify
from tests.support.telling import AT, alert, webhook


def test_an_alert_is_a_cloud_event() -> None:
    event = json.loads(cloud_event(alert(alert_id="a-7", kind=AlertKind.RESOLVED), "dev"))
    assert event == {
        "specversion": "1.0",
        "id": "a-7",
        "source": "/cutlass/dev/orgs/org456",
        "type": "tech.cutlass.alert.resolved",
        "subject": "org:org456",
        "time": "2026-11-22T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "org_id": "org456",
            "scope": "org:org456",
            "meter": "requests",
            "kind": "resolved",
            "threshold": "80%",
            "period": "20261101T0000",
            "previous_value": 799,
            "current_value": 801,
            "limit": 1000,
        },
    }


def test_every_try_has_the_same_body() -> None:
    one = alert()
    assert cloud_event(one, "dev") == cloud_event(one, "dev")


def test_the_signature_is_the_one_the_documentation_shows() -> None:
    field = signature(b'{"id":"a"}', ("whsec_new",), AT)
    wanted = hmac.new(b"whsec_new", b'1795348800.{"id":"a"}', hashlib.sha256).hexdigest()
    assert field == f"t=1795348800,v1={wanted}"


def test_both_secrets_sign_while_one_takes_the_place_of_the_other() -> None:
    rotating = webhook("https://x.io", previous_secret="whsec_old", previous_until=AT + timedelta(hours=1))
    assert secrets_at(rotating, AT) == ("whsec_new", "whsec_old")
    assert secrets_at(rotating, AT + timedelta(hours=1)) == ("whsec_new",)
    assert secrets_at(webhook("https://x.io"), AT) == ("whsec_new",)
    field = signature(b"body", secrets_at(rotating, AT), AT)
    assert verify(b"body", field, "whsec_new", AT)
    assert verify(b"body", field, "whsec_old", AT)


@pytest.mark.parametrize(
    ("body", "secret", "late"),
    [
        (b"other", "whsec_new", 0),
        (b"body", "whsec_other", 0),
        (b"body", "whsec_new", TOLERANCE_SECONDS + 1),
        (b"body", "whsec_new", -TOLERANCE_SECONDS - 1),
    ],
)
def test_another_body_secret_or_time_is_not_ours(body: bytes, secret: str, late: int) -> None:
    field = signature(b"body", ("whsec_new",), AT)
    assert not verify(body, field, secret, AT + timedelta(seconds=late))


@pytest.mark.parametrize(
    "field", ["", "t=", "t=x,v1=y", "v1=abc", "t=1795348800", "t=1795348800,t=1795348800,v1=a"]
)
def test_what_is_no_signature_is_not_ours(field: str) -> None:
    assert not verify(b"body", field, "whsec_new", AT)
