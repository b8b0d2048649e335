"""What readers get: the right words, nothing that means something in HTML, no mail with a hole in it."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from cutlass.cli.main import main
from cutlass.contracts import load_emails
from cutlass.domain.alerts import Alert, AlertKind
from cutlass.notifications.render import (
    DIGEST,
    TEMPLATES,
    TemplateError,
    digest_of,
    examples,
    mail_of,
    neutral,
    render,
)
from tests.support.telling import AT, alert

LOW = {"kind": AlertKind.BALANCE_LOW, "threshold": "balance<1000", "current_value": 950, "limit": None}


def rendered(one: Alert) -> tuple[str, str, str]:
    mail = mail_of(one)
    whole = render(load_emails()[mail.template], mail.values)
    return whole.subject, whole.html, whole.text


@pytest.mark.parametrize("kind", list(AlertKind))
@pytest.mark.parametrize("limit", [None, 1000])
def test_every_kind_of_alert_fills_its_mail(kind: AlertKind, limit: int | None) -> None:
    for part in rendered(alert(kind=kind, limit=limit, threshold="balance<1000")):
        assert part.strip()
        assert not re.search(r"[{}]{2}", part)
        assert "None" not in part


def test_every_mail_of_alerts_is_sent_by_someone() -> None:
    assert {*TEMPLATES.values(), DIGEST} == load_emails().keys() - {"report-ready"}


def test_a_crossing_tells_how_much_is_left_of_what() -> None:
    subject, html, text = rendered(alert(current_value=80_001, limit=100_000))
    assert subject == "org456: 80% of requests used"
    for part in (html, text):
        assert "organisation org456 has used 80,001 requests" in part
        assert "Limit: 100,000, left: 19,999." in part
        assert "2026-11-01 00:00 UTC" in part


def test_more_than_the_limit_leaves_nothing() -> None:
    assert "left: 0." in rendered(alert(current_value=1_200))[2]


def test_a_threshold_in_units_needs_no_limit() -> None:
    subject, _, text = rendered(alert(scope="user:ann", threshold="5000", current_value=5_003, limit=None))
    assert subject == "org456: 5,000 units of requests used"
    assert "The user ann has used 5,003 requests" in text
    assert "Limit: none, left: none." in text


def test_a_low_balance_names_its_mark() -> None:
    subject, _, text = rendered(alert(**LOW))
    assert subject == "org456: 950 requests of credit left"
    assert "fallen below 1,000 requests: 950 are left" in text


def test_no_value_means_anything_in_html() -> None:
    assert neutral("<script>alert('x & \"y\"')</script>") == "‹script›alert(’x ＆ ”y”’)‹/script›"
    _, html, _ = rendered(alert(meter="<b>requests</b>", scope='user:"><img src=x onerror=y>'))
    assert "<b>" not in html
    assert "<img" not in html


def test_no_value_adds_a_header_field() -> None:
    subject, _, _ = rendered(alert(meter="requests\r\nBcc: eve@example.com"))
    assert subject.splitlines() == [subject]


def test_a_period_that_is_no_time_is_told_as_it_is() -> None:
    assert "2026-11 " in rendered(alert(period="2026-11 "))[2]


def test_a_digest_tells_all_the_oldest_first() -> None:
    early = alert(at=AT.replace(hour=3), **LOW)
    late = alert(at=AT.replace(hour=4), kind=AlertKind.RESOLVED)
    mail = digest_of("org456", [late, early])
    assert mail.values["count"] == "2"
    assert mail.values["lines"].splitlines() == [
        "2026-11-22 03:00 UTC: 950 requests of credit left, below 1,000",
        "2026-11-22 04:00 UTC: organisation org456 is under 80% of requests again (801 of 1,000)",
    ]
    assert render(load_emails()[DIGEST], mail.values).subject == "org456: 2 alerts"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"meter": ""}, "has no value for meter"),
        ({"colour": "blue"}, "knows no colour"),
    ],
)
def test_a_mail_with_a_hole_is_refused_and_says_which(changes: dict[str, str], told: str) -> None:
    email = load_emails()["threshold-crossed"]
    with pytest.raises(TemplateError, match=f"threshold-crossed {told}"):
        render(email, examples(email) | changes)


def test_a_variable_the_template_gained_is_missed() -> None:
    email = load_emails()["alert-test"]
    grown = replace(email, variables=dict(email.variables) | {"who": email.variables["at"]})
    with pytest.raises(TemplateError, match="has no value for who"):
        render(grown, mail_of(alert(kind=AlertKind.TEST)).values)


def test_a_value_is_not_filled_in_again() -> None:
    email = load_emails()["alert-test"]
    values = {"organisation": "{{at}}", "at": "noon"}
    assert "The alerts of {{at}} reach you" in render(email, values).text


def test_previews_show_every_mail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emails", "preview", "--out", str(tmp_path / "mails")]) == 0
    assert "index.html" in capsys.readouterr().out
    index = (tmp_path / "mails/index.html").read_text(encoding="utf-8")
    for name, email in load_emails().items():
        assert f'href="{name}.html"' in index
        html = (tmp_path / f"mails/{name}.html").read_text(encoding="utf-8")
        text = (tmp_path / f"mails/{name}.txt").read_text(encoding="utf-8")
        for example in examples(email).values():
            assert example in text
            assert example in html


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["emails", "preview", "--out", str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err
