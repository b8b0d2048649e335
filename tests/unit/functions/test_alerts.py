"""The routes of alerts, at the edge: what is set is checked field by field, and a secret is shown once."""

from collections.abc import Callable
from typing import Any

import pytest

from cutlass.domain.alerts import QuietHours, Threshold, ThresholdKind, ThresholdScope
from cutlass.functions import alert_outbox
from cutlass.storage.alert_items import alert_to_item
from cutlass.storage.codec import encode_item
from tests.unit.functions.alert_fakes import ALERT
from tests.unit.functions.fakes import Answer, FakeStore

Call = Callable[..., Answer]
PATH = "/orgs/org456/alerts"


def percent(value: object, **more: object) -> dict[str, object]:
    return {"kind": "percent", "value": value, **more}


def test_an_organisation_has_its_plans_thresholds_until_it_sets_its_own(call: Call) -> None:
    before = call("alerts", "GET", PATH).body
    assert (before["defaults"], before["recipients"]) == (True, {"owner": [], "billing": [], "technical": []})
    body = {
        "thresholds": [percent(80), {"kind": "units", "value": 5000}, {"kind": "balance", "value": 1000}],
        "recipients": {"billing": ["pay@example.com"]},
        "quiet_hours": {"start": "22:00", "end": "07:00", "time_zone": "Europe/London"},
        "digest": "daily",
        "realert": "on_resolve",
    }
    after = call("alerts", "PUT", PATH, body)
    assert after.status == 200
    assert call("alerts", "GET", PATH).body == after.body
    assert [(t["kind"], t["value"], t["scope"]) for t in after.body["thresholds"]] == [
        ("percent", 80, "all"),
        ("units", 5000, "organisation"),
        ("balance", 1000, "organisation"),
    ]
    assert after.body["recipients"]["billing"] == ["pay@example.com"]
    assert after.body["quiet_hours"] == {"start": "22:00", "end": "07:00", "time_zone": "Europe/London"}


def test_what_is_set_reaches_the_store_as_the_rules_have_it(call: Call, store: FakeStore) -> None:
    quiet = {"start": "22:00", "end": "07:00"}
    thresholds = [percent(100, scope="users", meter="requests")]
    call("alerts", "PUT", PATH, {"thresholds": thresholds, "meters": ["requests"], "quiet_hours": quiet})
    kept = store.alert_settings.kept["org456"]
    assert kept.thresholds == (Threshold(ThresholdKind.PERCENT, 100, "requests", ThresholdScope.USERS),)
    assert kept.meters == ("requests",)
    assert isinstance(kept.quiet_hours, QuietHours)
    assert (kept.quiet_hours.start.hour, kept.quiet_hours.end.hour) == (22, 7)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "thresholds"),
        ({"thresholds": [{"kind": "share", "value": 80}]}, "thresholds.0.kind"),
        ({"thresholds": [{"value": 80}]}, "thresholds.0.kind"),
        ({"thresholds": [percent(0)]}, "thresholds.0.value"),
        ({"thresholds": [percent(101)]}, "thresholds.0.value"),
        ({"thresholds": [percent(80.5)]}, "thresholds.0.value"),
        ({"thresholds": [percent("80")]}, "thresholds.0.value"),
        ({"thresholds": [percent(80), {"kind": "units", "value": 10**12 + 1}]}, "thresholds.1.value"),
        ({"thresholds": [{"kind": "balance", "value": 0}]}, "thresholds.0.value"),
        ({"thresholds": [{"kind": "balance", "value": 5, "scope": "users"}]}, "thresholds.0.scope"),
        ({"thresholds": [percent(80, meter="tea")]}, "thresholds.0.meter"),
        ({"thresholds": [percent(80), percent(90), percent(80)]}, "thresholds.2"),
        ({"thresholds": [percent(80, meter="requests"), percent(80)]}, "thresholds.1"),
        ({"thresholds": [percent(80, scope="users"), percent(80)]}, "thresholds.1"),
        ({"thresholds": [percent(n) for n in range(1, 22)]}, "thresholds"),
        ({"thresholds": [], "meters": []}, "meters"),
        ({"thresholds": [], "meters": ["requests", "requests"]}, "meters"),
        ({"thresholds": [], "recipients": {"boss": []}}, "recipients.boss"),
        ({"thresholds": [], "recipients": ["a@example.com"]}, "recipients"),
        ({"thresholds": [], "recipients": {"owner": ["a@example.com"] * 2}}, "recipients.owner"),
        ({"thresholds": [], "webhook": {"url": "http://example.com/"}}, "webhook.url"),
        ({"thresholds": [], "webhook": {"url": "https://127.0.0.1/"}}, "webhook.url"),
        ({"thresholds": [], "webhook": {"url": "https://169.254.169.254/latest"}}, "webhook.url"),
        ({"thresholds": [], "webhook": {"url": "https://[::1]/"}}, "webhook.url"),
        ({"thresholds": [], "webhook": {"url": "https://me:pw@example.com/"}}, "webhook.url"),
        ({"thresholds": [], "webhook": {"url": "ftp://example.com/"}}, "webhook.url"),
        ({"thresholds": [], "webhook": {"url": ""}}, "webhook.url"),
        ({"thresholds": [], "webhook": {"url": "https://example.com/", "secret": "mine"}}, "webhook.secret"),
        ({"thresholds": [], "quiet_hours": {"start": "22:00"}}, "quiet_hours.end"),
        ({"thresholds": [], "quiet_hours": {"start": "24:00", "end": "07:00"}}, "quiet_hours.start"),
        ({"thresholds": [], "quiet_hours": {"start": "07:00", "end": "07:00"}}, "quiet_hours"),
        (
            {"thresholds": [], "quiet_hours": {"start": "22:00", "end": "07:00", "time_zone": "Mars/X"}},
            "quiet_hours.time_zone",
        ),
        ({"thresholds": [], "digest": "weekly"}, "digest"),
        ({"thresholds": [], "realert": "always"}, "realert"),
        ({"thresholds": [], "colour": "red"}, "colour"),
    ],
)
def test_broken_settings_are_refused_by_the_field_that_is_wrong(
    call: Call, store: FakeStore, body: object, field: str
) -> None:
    answer = call("alerts", "PUT", PATH, body)
    assert (answer.status, answer.body.get("field")) == (400, field), answer.body
    assert not store.alert_settings.kept


@pytest.mark.parametrize(
    "address",
    [
        *("", "a", "a@b", "@example.com", "a@", "a b@example.com", "a@example..com", ".a@example.com"),
        *("a..b@example.com", "a@-example.com", "a@example.com\nBcc: x@example.com", "a@exa_mple.com"),
        *(f"{'a' * 65}@example.com", f"a@{'b' * 64}.com", "a@example.com,b@example.com", "<a@example.com>"),
    ],
)
def test_what_is_no_mail_address_is_refused(call: Call, address: str) -> None:
    body = {"thresholds": [], "recipients": {"technical": ["ok@example.com", address]}}
    answer = call("alerts", "PUT", PATH, body)
    assert (answer.status, answer.body["field"]) == (400, "recipients.technical.1")


@pytest.mark.parametrize("address", ["a@example.com", "o'hara+tag@mail.example.co.uk", "a@xn--bcher-kva.example"])
def test_a_mail_address_is_taken(call: Call, address: str) -> None:
    body = {"thresholds": [], "recipients": {"owner": [address]}}
    assert call("alerts", "PUT", PATH, body).status == 200


def test_a_secret_is_in_the_answer_that_makes_it_and_in_no_other(call: Call) -> None:
    body = {"thresholds": [percent(80)], "webhook": {"url": "https://hooks.example.com/x"}}
    made = call("alerts", "PUT", PATH, body).body["webhook"]
    assert made["secret"] == "whsec_1"
    assert "secret" not in call("alerts", "GET", PATH).body["webhook"]
    rotated = call("alerts", "POST", f"{PATH}/webhook/secret").body["webhook"]
    assert (rotated["secret"], rotated["previous_secret_until"]) == ("whsec_2", "2026-11-22T12:00:00Z")
    assert "whsec" not in str(call("alerts", "GET", PATH).body)


def test_without_a_webhook_there_is_no_secret(call: Call) -> None:
    assert call("alerts", "POST", f"{PATH}/webhook/secret").status == 404


def test_the_history_is_as_the_interface_shows_it(call: Call) -> None:
    page = call("alerts", "GET", f"{PATH}/history", query={"limit": "1"}).body
    assert page["items"] == [
        {
            "id": ALERT.alert_id,
            "scope": "org:org456",
            "meter": "requests",
            "kind": "crossed",
            "threshold": "80%",
            "period": "2026-11",
            "previous_value": 799,
            "current_value": 801,
            "limit": 1000,
            "at": "2026-11-22T12:00:00Z",
            "told": True,
            "told_by": None,
        }
    ]
    following = call("alerts", "GET", f"{PATH}/history", query={"cursor": page["next"]}).body
    assert following == {"items": [], "next": None}


def test_a_test_is_asked_for(call: Call, store: FakeStore) -> None:
    answer = call("alerts", "POST", f"{PATH}/test")
    assert (answer.status, answer.body["kind"]) == (202, "test")
    assert store.alerts.tested == ["org456"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/orgs/nobody/alerts"),
        ("GET", "/orgs/nobody/alerts/history"),
        ("POST", "/orgs/nobody/alerts/test"),
        ("POST", "/orgs/nobody/alerts/webhook/secret"),
    ],
)
def test_an_organisation_there_is_not_has_no_alerts(call: Call, method: str, path: str) -> None:
    assert call("alerts", method, path).status == 404


def record(*, tell: bool = True, region: str = "london", old: bool = False) -> dict[str, Any]:
    item = encode_item(alert_to_item(ALERT, region) | ({} if tell else {"tell": None}))
    change = {"Keys": {"pk": item["pk"], "sk": item["sk"]}, "NewImage": item, "SequenceNumber": "7"}
    return {"dynamodb": change | ({"OldImage": item} if old else {})}


def test_an_alert_recorded_here_and_to_be_told_has_a_message() -> None:
    wanted = {"v": 1, "org_id": "org456", "alert_id": ALERT.alert_id}
    assert alert_outbox.message_of(record(), "london") == wanted
    assert alert_outbox.message_of(record(), "sydney") is None, "the copy is London's to tell"
    assert alert_outbox.message_of(record(tell=False), "london") is None
    assert alert_outbox.message_of(record(old=True), "london") is None, "a change of it is no new alert"


def test_a_message_that_was_not_taken_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Store(FakeStore):
        queues = property(lambda self: self)

        def send_all(self, queue: str, messages: list[dict[str, Any]]) -> set[int]:
            assert (queue, len(messages)) == ("notifications", 2)
            return {1}

    monkeypatch.setattr(alert_outbox, "open_store", Store)
    second = record()
    second["dynamodb"]["SequenceNumber"] = "8"
    answer = alert_outbox.handler({"Records": [record(), record(tell=False), second]}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "8"}]}
