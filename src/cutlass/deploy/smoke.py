"""The black-box checks a running Cutlass must pass, in AWS and on one machine: HTTP, and what a caller sees."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from urllib.parse import quote

from cutlass.domain.errors import CutlassError
from cutlass.platform.http import ApiError, request

ORGANISATION = "cutlass-smoke"
"""The organisation of the checks. It stays; each run takes a user of its own."""

T = TypeVar("T")

_PLAN, _LIMIT, _TOO_MANY = "premium", 10, 11
_MAILBOX = "success@simulator.amazonses.com"
"""Takes mail and keeps none: https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html"""
_PATIENCE_SECONDS = 60.0
_POLL_SECONDS = 0.5
_NOT_YET = {"unknown_org", "unknown_user", "region_short"}
"""Reasons of a region that has not heard of the user yet."""


class Verdict(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Place:
    """A region's interface; `token` gets a service token, and raises a CutlassError where it cannot."""

    region: str
    url: str
    token: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found."""

    check: str
    region: str
    verdict: Verdict
    detail: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return it as JSON has it."""
        return {"check": self.check, "region": self.region, "verdict": str(self.verdict), "detail": self.detail}


class _WrongError(CutlassError):
    """The answer is not what it has to be."""


@dataclass(frozen=True, slots=True)
class _Caller:
    """Calls one region as a customer's backend does."""

    place: Place
    jwt: str

    def call(self, method: str, *path: str, body: object = None) -> Any:
        url = self.place.url.rstrip("/") + "".join(f"/{quote(part, safe='')}" for part in path)
        return request(method, url, token=self.jwt, body=body)[1]

    def decide(self, user: str, **more: object) -> dict[str, Any]:
        body = {"org_id": ORGANISATION, "user_id": user, **more}
        answer: dict[str, Any] = self.call("POST", "usage-check", body=body)
        return answer


def run_smoke(places: Sequence[Place], run: str) -> Iterator[Finding]:
    """Check every place, and that they agree; yields each finding as it comes.

    Parameters
    ----------
    places : sequence of Place
        The regions' interfaces; organisation and user are made in the first.
    run : str
        Names the user, so that runs do not meet.
    """
    callers: list[_Caller] = []
    for place in places:
        yield _check("health", place.region, lambda place=place: _health(place))  # type: ignore[misc]
        yield _check("401 without a token", place.region, lambda place=place: _closed(place))  # type: ignore[misc]
        found = _check("token", place.region, lambda place=place: _enter(place, callers))  # type: ignore[misc]
        yield found
    if len(callers) == len(places):
        yield from _decisions(callers, f"smoke-{run}")
        first = callers[0]
        yield _check("report", first.place.region, lambda: _reported(first))
        yield _check("alert mail", first.place.region, lambda: _told(first))
    else:
        for place in places:
            yield Finding("decisions", place.region, Verdict.SKIPPED, "no token in every region")


def _decisions(callers: list[_Caller], user: str) -> Iterator[Finding]:
    first = callers[0]
    yield _check("organisation and user", first.place.region, lambda: _make(first, user))
    for caller in callers:
        region = caller.place.region
        yield _check("decision allowed", region, lambda caller=caller: _allowed(caller, user))  # type: ignore[misc]
        yield _check("replay", region, lambda caller=caller: _replayed(caller, user))  # type: ignore[misc]
        yield _check("decision refused", region, lambda caller=caller: _refused(caller, user))  # type: ignore[misc]
    spent = len(callers)
    for caller in callers:
        check = "balance agrees" if len(callers) > 1 else "balance"
        yield _check(check, caller.place.region, lambda caller=caller: _agrees(caller, user, spent))  # type: ignore[misc]


def _check(name: str, region: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, region, Verdict.PASSED, check())
    except CutlassError as error:
        return Finding(name, region, Verdict.FAILED, error.message)


def _health(place: Place) -> str:
    status, _ = request("GET", f"{place.url.rstrip('/')}/health")
    return str(status)


def _closed(place: Place) -> str:
    body = {"org_id": ORGANISATION, "user_id": "nobody"}
    try:
        status, _ = request("POST", f"{place.url.rstrip('/')}/usage-check", body=body)
    except ApiError as error:
        if error.answered == 401:
            return "401"
        raise
    raise _WrongError(f"answered {status} to a caller without a token")


def _enter(place: Place, callers: list[_Caller]) -> str:
    callers.append(_Caller(place, place.token()))
    return ""


def _make(caller: _Caller, user: str) -> str:
    caller.call("PUT", "orgs", ORGANISATION, body={"plan": _PLAN})
    caller.call("PUT", "orgs", ORGANISATION, "users", user, body={"limits": {"requests": _LIMIT}})
    return user


def _allowed(caller: _Caller, user: str) -> str:
    def decided() -> dict[str, Any] | None:
        answer = caller.decide(user, request_id=_request_id(caller, user))
        return answer if answer["allowed"] or answer["reason"] not in _NOT_YET else None

    answer = _wait_for(decided)
    if answer is None or not answer["allowed"]:
        raise _WrongError(f"refused: {answer['reason'] if answer else 'the user is not known here'}")
    return str(answer["decision_id"])


def _replayed(caller: _Caller, user: str) -> str:
    answer = caller.decide(user, request_id=_request_id(caller, user))
    if not (answer["allowed"] and answer["replayed"]):
        raise _WrongError("the same request id was charged twice")
    return str(answer["decision_id"])


def _refused(caller: _Caller, user: str) -> str:
    answer = caller.decide(user, units=_TOO_MANY)
    if answer["allowed"]:
        raise _WrongError(f"{_TOO_MANY} units were allowed of a limit of {_LIMIT}")
    return str(answer["reason"])


def _agrees(caller: _Caller, user: str, spent: int) -> str:
    def used() -> int | None:
        seen = caller.call("GET", "orgs", ORGANISATION, "users", user, "balance")["meters"]["requests"]["used"]
        return int(seen) if seen == spent else None

    if _wait_for(used) is None:
        raise _WrongError(f"does not show the {spent} units spent in all regions after {_PATIENCE_SECONDS:.0f} s")
    return f"{spent} used"


def _reported(caller: _Caller) -> str:
    """Ask for yesterday's usage, and fetch it by its link. On the same day it is the same report, for nothing."""
    today = datetime.now(UTC).date()
    wanted = {"type": "usage", "format": "json", "from": str(today - timedelta(days=1)), "to": str(today)}
    report = caller.call("POST", "orgs", ORGANISATION, "reports", body=wanted)["id"]

    def ended() -> dict[str, Any] | None:
        seen: dict[str, Any] = caller.call("GET", "orgs", ORGANISATION, "reports", report)
        return seen if seen["status"] not in ("queued", "running") else None

    made = _wait_for(ended)
    if made is None or made["status"] != "succeeded" or not made["url"]:
        raise _WrongError(f"report {report} is {made['status'] if made else 'not made'} after a minute or less")
    request("GET", made["url"])
    return str(report)


def _told(caller: _Caller) -> str:
    """Ask for a test of the alerts. That it is on record is seen from here, and not what became of the mail."""
    told = {"thresholds": [], "recipients": {"technical": [_MAILBOX]}}
    caller.call("PUT", "orgs", ORGANISATION, "alerts", body=told)
    alert = caller.call("POST", "orgs", ORGANISATION, "alerts", "test")["id"]

    def recorded() -> bool | None:
        items = caller.call("GET", "orgs", ORGANISATION, "alerts", "history")["items"]
        return any(item["id"] == alert for item in items) or None

    if _wait_for(recorded) is None:
        raise _WrongError(f"alert {alert} is not in the history")
    return f"to {_MAILBOX}"


def _request_id(caller: _Caller, user: str) -> str:
    return f"{user}-{caller.place.region}"


def _wait_for(look: Callable[[], T | None]) -> T | None:
    """Return what `look` finds, or None when patience ends."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        found = look()
        if found is not None or time.monotonic() > until:
            return found
        time.sleep(_POLL_SECONDS)
