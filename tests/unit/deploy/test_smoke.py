"""The black-box checks notice what is wrong with an interface; a right one is in tests/e2e."""

from collections.abc import Callable
from typing import Any

import pytest

from cutlass.deploy import smoke
from cutlass.deploy.smoke import Finding, Place, Verdict, run_smoke
from cutlass.platform.errors import PlatformError
from cutlass.platform.http import ApiError

PLACES = [
    Place("london", "http://london", lambda: "token"),
    Place("sydney", "http://sydney/dev/", lambda: "token"),
]

LINK = "https://files.example.com/usage.json?signed=1"


class Interface:
    """Two regions that share what is spent, unless something is `wrong`."""

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong
        self.charged: set[str] = set()
        self.asked: list[str] = []

    def __call__(
        self, method: str, url: str, *, token: str | None = None, body: Any = None, **_more: Any
    ) -> tuple[int, Any]:
        self.asked.append(f"{method} {url}")
        if url.endswith("/health") or url == LINK:
            return 200, {}
        if token is None and self.wrong != "open":
            raise ApiError(401, {"title": "Unauthorized"})
        if method == "PUT":
            return 200, {}
        if "/reports" in url:
            state = "failed" if self.wrong == "unreported" else "succeeded"
            return 200, {"id": "london-1", "status": "queued" if method == "POST" else state, "url": LINK}
        if url.endswith("/alerts/test"):
            return 202, {"id": "a1"}
        if url.endswith("/alerts/history"):
            return 200, {"items": [{"id": "a1"}] if self.wrong != "untold" else []}
        if method == "GET":
            used = len(self.charged) - (self.wrong == "late" and "sydney" in url)
            return 200, {"meters": {"requests": {"used": used}}}
        if body.get("units", 1) > 10 and self.wrong != "generous":
            return 200, {"allowed": False, "reason": "user_limit_reached", "replayed": False}
        key = body.get("request_id", "")
        again = key in self.charged and self.wrong != "forgetful"
        self.charged.add(key)
        return 200, {"allowed": True, "reason": "ok", "decision_id": key, "replayed": again}


def findings(monkeypatch: pytest.MonkeyPatch, wrong: str = "", places: list[Place] = PLACES) -> list[Finding]:
    monkeypatch.setattr(smoke, "request", Interface(wrong))
    monkeypatch.setattr(smoke, "_PATIENCE_SECONDS", 0.0)
    return list(run_smoke(places, "1"))


def failed(found: list[Finding]) -> set[tuple[str, str]]:
    return {(one.check, one.region) for one in found if one.verdict is Verdict.FAILED}


def test_a_right_interface_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings(monkeypatch)
    assert {one.verdict for one in found} == {Verdict.PASSED}
    assert found[-2].as_dict() == {
        "check": "report",
        "region": "london",
        "verdict": "passed",
        "detail": "london-1",
    }
    assert len(found) == 17


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        ("open", "401 without a token"),
        ("generous", "decision refused"),
        ("forgetful", "replay"),
        ("late", "balance agrees"),
        ("unreported", "report"),
        ("untold", "alert mail"),
    ],
)
def test_what_is_wrong_is_noticed(monkeypatch: pytest.MonkeyPatch, wrong: str, check: str) -> None:
    assert check in {name for name, _ in failed(findings(monkeypatch, wrong))}


def test_without_a_token_no_decision_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise PlatformError("the user pool gave no token")

    broken: Callable[[], str] = none
    found = findings(monkeypatch, places=[PLACES[0], Place("sydney", "http://sydney", broken)])
    assert failed(found) == {("token", "sydney")}
    assert {one.region for one in found if one.check == "decisions"} == {"london", "sydney"}
