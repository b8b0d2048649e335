"""Measures alerts on a platform started for it: from a crossing to a mail handed over, and how a burst drains.

Latency is from the answer to the decision that crosses a threshold until SES, the emulator's, has the mail:
stream, meter, stream, evaluation, stream, message, notifier. The burst is of alerts that are recorded all at once,
as when the evaluator catches up: from the first record until every mail is handed over, each to one recipient.
Nothing here passes or fails by a time; a mail that is missing or was sent twice ends the run with 1.
"""

import argparse
import json
import os
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.gateway import calling, platform
from benchmarks.load import percentile
from benchmarks.machine import describe, in_words
from benchmarks.stage import REGION
from cutlass.contracts import load_catalogue, load_queues, load_topology
from cutlass.domain.alerts import Alert, AlertKind, user_scope
from cutlass.notifications.digests import NOTIFICATIONS
from cutlass.platform.local import ACCOUNT, ENVIRONMENT
from cutlass.platform.queues import messages_in
from cutlass.platform.wire import Wire
from cutlass.storage import Store, keys
from cutlass.storage.alert_items import alert_to_item
from cutlass.storage.settings import Settings

_PERIOD = "20261101T0000"
_PATIENCE_SECONDS = 60.0
_STALLED_SECONDS = 120.0
"""How long a burst may make no progress before it is taken for lost."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns 1 where a mail is missing or was sent twice."""
    options = _parser().parse_args(arguments)
    command = shlex.join(
        ["python", "-m", "benchmarks.alerts", *(sys.argv[1:] if arguments is None else arguments)]
    )
    results: dict[str, Any] = {"machine": describe(command)}
    with platform() as running:
        wire = Wire(running.endpoint, load_topology().regions[REGION].aws_region)
        if options.crossings:
            results["crossing"] = _crossings(
                calling(running, "PUT"), calling(running, "POST"), wire, options.crossings
            )
        if options.burst:
            results["burst"] = _burst(calling(running, "PUT"), wire, options.burst)
    _show(results, Console(width=None if sys.stdout.isatty() else 120))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return int(any(part["missing"] or part["twice"] for name, part in results.items() if name != "machine"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alerts", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    parser.add_argument(
        "--crossings",
        type=int,
        default=40,
        metavar="N",
        help="crossings to be timed, one after another (default 40)",
    )
    parser.add_argument(
        "--burst", type=int, default=10_000, metavar="N", help="alerts of the burst (default 10,000)"
    )
    return parser


def _crossings(put: Any, post: Any, wire: Wire, number: int) -> dict[str, Any]:
    """Let one user after another cross half of a limit, and time each until its mail is handed over."""
    org, address = "benchmark-crossings", "crossings@cutlass.example"
    put(f"/orgs/{org}", {"plan": "basic", "home_region": REGION})
    thresholds = [{"kind": "percent", "value": 50}]
    put(f"/orgs/{org}/alerts", {"thresholds": thresholds, "recipients": {"owner": [address]}})
    seconds, missing = [], 0
    for place in range(number):
        user = f"u{place}"
        put(f"/orgs/{org}/users/{user}", {"limits": {"requests": 10}})
        post("/usage-check", {"org_id": org, "user_id": user})  # a user's first decision is another matter
        answer = post("/usage-check", {"org_id": org, "user_id": user, "units": 4})
        if not answer["allowed"]:
            raise RuntimeError(answer["reason"])
        crossed = time.time()
        handed = _wait(lambda name=f"user {user} ": _handed(wire, address, name))
        if handed is None:
            missing += 1
        else:
            seconds.append(handed - crossed)
        _tell(f"crossing {place + 1} of {number}: {seconds[-1] if seconds else 0:.2f} s")
    twice = sum(count - 1 for count in Counter(_texts(wire, address)).values())
    return {
        "crossings": number,
        "p50_seconds": round(median(seconds), 3),
        "p90_seconds": round(percentile(sorted(seconds), 90), 3),
        "longest_seconds": round(max(seconds), 3),
        "missing": missing,
        "twice": twice,
    }


def _burst(put: Any, wire: Wire, number: int) -> dict[str, Any]:
    """Record so many alerts as fast as the store takes them, and wait until all are handed over."""
    org, address = "benchmark-burst", "burst@cutlass.example"
    put(f"/orgs/{org}", {"plan": "basic", "home_region": REGION})
    put(f"/orgs/{org}/alerts", {"thresholds": [], "recipients": {"owner": [address]}})
    _tell(f"recording {number:,} alerts")
    began = time.time()
    with _store(wire.endpoint) as store, ThreadPoolExecutor(8) as pool:
        table = store.settings.table(keys.ALERTS)
        for _ in pool.map(lambda place: store.dynamo.put(table, _record(org, place)), range(number)):
            pass
    recorded = time.time()
    queue = load_queues()[NOTIFICATIONS].resource(ENVIRONMENT, REGION)
    mails, left, since = [], -1, time.time()
    while len(mails) < number and time.time() - since < _STALLED_SECONDS:
        time.sleep(2)
        now = messages_in(wire, queue)
        _tell(f"{now:,} messages wait")
        if not now:  # all that was sent is told; the mails themselves are many to look at
            mails = _mails(wire, address)
        since, left = (time.time() if now != left else since), now
    mails = _mails(wire, address)
    texts = Counter(mail["BodyText"] for mail in mails)
    ended = max((mail["Timestamp"] for mail in mails), default=began)
    return {
        "alerts": number,
        "recorded_seconds": round(recorded - began, 1),
        "drained_seconds": round(ended - began, 1),
        "mails_per_second": round(len(mails) / (ended - began), 1) if mails else 0.0,
        "missing": number - len(texts),
        "twice": len(mails) - len(texts),
    }


def _record(org: str, place: int) -> dict[str, Any]:
    scope, at = user_scope(f"u{place}"), datetime.now(UTC)
    name = f"{int(at.timestamp() * 1000):013d}-burst{place:06d}"
    alert = Alert(name, org, scope, "requests", AlertKind.CROSSED, "80%", _PERIOD, 799, 801, 1000, at)
    return alert_to_item(alert, REGION)


@contextmanager
def _store(endpoint: str) -> Any:
    yield Store(Settings(ENVIRONMENT, REGION, endpoint, {}, 30.0), load_catalogue(), load_topology())


def _handed(wire: Wire, address: str, name: str) -> float | None:
    return next((mail["Timestamp"] for mail in _mails(wire, address) if name in mail["BodyText"]), None)


def _texts(wire: Wire, address: str) -> list[str]:
    return [mail["BodyText"] for mail in _mails(wire, address)]


def _mails(wire: Wire, address: str) -> list[dict[str, Any]]:
    sent = wire.own(f"/_ministack/ses/messages?account={ACCOUNT}", timeout=60)["messages"].get(ACCOUNT, [])
    return [mail for mail in sent if mail["To"] == [address]]


def _wait(look: Callable[[], float | None]) -> float | None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    return None


def _show(results: dict[str, Any], console: Console) -> None:
    console.print(in_words(results["machine"]))
    for name, title in (
        ("crossing", "from a crossing to the mail handed over"),
        ("burst", "a burst of alerts, recorded at once"),
    ):
        if name in results:
            table = Table(title=title, title_justify="left")
            for column in results[name]:
                table.add_column(column.replace("_", " "), justify="right")
            table.add_row(*(f"{value:,}" for value in results[name].values()))
            console.print(table)


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("AWS_ACCESS_KEY_ID", ACCOUNT)
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "local")
    sys.exit(main())
