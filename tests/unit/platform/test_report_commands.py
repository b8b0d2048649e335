"""`cutlass report` and its kin: what is asked for, what is printed, and how a failure ends."""

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from cutlass.cli import reports
from cutlass.cli.main import main

REPORT = {
    "id": "london-r1",
    "report": {"type": "usage", "format": "json", "from": "2026-10-01", "to": "2026-11-01"},
    "status": "queued",
    "progress": 0.0,
    "meter": "reports",
    "units": 5,
    "charged": None,
    "error": None,
    "file": None,
    "url": None,
}
MADE = {
    **REPORT,
    "status": "succeeded",
    "progress": 1.0,
    "charged": 5,
    "file": {"name": "usage.json", "rows": 1234},
    "url": "https://reports.example.com/usage.json",
}
FAILED = {**REPORT, "status": "failed", "error": {"code": "report-too-large", "message": "it needs more memory"}}


class Session:
    """In place of a region: gives the answers it was given, and notes what it was asked."""

    answers: ClassVar[list[Any]] = []
    asked: ClassVar[list[tuple[str, tuple[str, ...], Any]]] = []

    def __init__(self, region: str | None) -> None:
        self.region = region

    def call(self, method: str, *path: str, query: Any = None, body: Any = None) -> Any:
        self.asked.append((method, path, body if body is not None else query))
        return self.answers.pop(0)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[Session]:
    monkeypatch.setattr(Session, "answers", [])
    monkeypatch.setattr(Session, "asked", [])
    monkeypatch.setattr("cutlass.cli.session.Session", Session)
    monkeypatch.setattr(reports, "_ASK_SECONDS", 0.0)
    monkeypatch.setattr(reports, "_download", lambda url, path: path.write_text(url))
    monkeypatch.chdir(tmp_path)
    return Session


def test_a_report_is_asked_for_followed_and_written(
    session: type[Session], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    session.answers += [REPORT, {**REPORT, "status": "running", "progress": 0.4}, MADE]
    options = ["--group-by", "user", "--filter", "user=ann", "--filter", "user=bob", "--from", "2026-10-01"]
    assert main(["report", "usage", "--org", "acme", *options, "--format", "csv", "--user", "ann"]) == 0
    assert capsys.readouterr().out == "usage.json: 1,234 rows (london-r1)\n"
    assert (tmp_path / "usage.json").read_text() == MADE["url"]
    (method, path, body), *polls = session.asked
    assert (method, path) == ("POST", ("orgs", "acme", "reports"))
    assert body["to"] > body["from"] == "2026-10-01"
    del body["to"], body["from"]
    assert body == {
        "type": "usage",
        "format": "csv",
        "group_by": ["user"],
        "filters": {"user": ["ann", "bob"]},
        "user_id": "ann",
    }
    assert polls == [("GET", ("orgs", "acme", "reports", "london-r1"), None)] * 2


def test_a_report_that_is_there_is_fetched_by_its_own_link(
    session: type[Session], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    session.answers += [{**MADE, "url": None}, MADE]  # the answer to an identical request has none
    assert main(["report", "usage", "--org", "acme", "--out", "x.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {**MADE, "path": "x.json"}
    assert (tmp_path / "x.json").exists()


def test_a_report_that_failed_is_one_line_and_1(
    session: type[Session], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    session.answers += [FAILED]
    assert main(["reports", "get", "london-r1", "--org", "acme"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == ("cutlass: there is no report london-r1: it needs more memory; its units are not charged")
    assert list(tmp_path.iterdir()) == []


def test_the_browser_is_given_the_file(
    session: type[Session], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    session.answers += [MADE]
    assert main(["reports", "get", "london-r1", "--org", "acme", "--open"]) == 0
    assert shown == [(tmp_path / "usage.json").as_uri()]


@pytest.mark.parametrize("only", ["ann", "=ann", "user="])
def test_a_filter_that_is_none_is_wrong_usage(session: type[Session], only: str) -> None:
    assert main(["report", "usage", "--org", "acme", "--filter", only]) == 2
    assert session.asked == []


def test_reports_and_schedules_are_listed(session: type[Session], capsys: pytest.CaptureFixture[str]) -> None:
    session.answers += [{"items": [MADE, FAILED], "next": "c1.more"}]
    assert main(["reports", "list", "--org", "acme", "--limit", "2"]) == 0
    assert "more with --cursor c1.more" in capsys.readouterr().out
    last = {"outcome": "made", "report_id": "london-r1", "due_at": ""}
    item = {
        "id": "monthly",
        "every": "month",
        "at": "06:00",
        "report": {"type": "usage"},
        "next_at": "x",
        "last": last,
    }
    session.answers += [{"items": [item, {**item, "last": None}], "next": None}]
    assert main(["reports", "schedules", "--org", "acme"]) == 0
    assert "made" in capsys.readouterr().out


def test_a_schedule_is_set_up_and_ended(session: type[Session], capsys: pytest.CaptureFixture[str]) -> None:
    session.answers += [{"next_at": "2026-12-01T06:00:00Z"}, {}]
    asked = ["--org", "acme", "--every", "month", "--type", "summary", "--user", "ann"]
    assert main(["reports", "schedule", "monthly", *asked]) == 0
    assert main(["reports", "unschedule", "monthly", "--org", "acme"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "monthly runs every month, next at 2026-12-01T06:00:00Z",
        "monthly runs no more",
    ]
    body = {"every": "month", "user_id": "ann", "report": {"type": "summary", "format": "pdf"}}
    assert session.asked[0] == ("PUT", ("orgs", "acme", "report-schedules", "monthly"), body)


def test_a_report_is_cancelled(session: type[Session], capsys: pytest.CaptureFixture[str]) -> None:
    session.answers += [{**REPORT, "status": "cancelled"}]
    assert main(["reports", "cancel", "london-r1", "--org", "acme"]) == 0
    assert capsys.readouterr().out == "london-r1 is cancelled; 5 reports are given back\n"
