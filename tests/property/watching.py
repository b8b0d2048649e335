"""What is told of a history, by the rules and by a plain reference that knows all of the history at once.

The reference has no watch: it takes down at every look whether each threshold is reached, and reads the alerts off
these rows in the end. The rules are asked look by look, some looks twice, and know only what they wrote.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cutlass.domain import thresholds as rules
from cutlass.domain.alerts import ON_RESOLVE, Alert, AlertKind, Threshold, ThresholdKind
from cutlass.domain.thresholds import Credit, Subject, Usage, Watch

START = datetime(2026, 11, 1, tzinfo=UTC)
PERIODS = ("20261101T0000", "20261201T0000", "20270101T0000")
UP, DOWN = "up", "down"
USUAL = tuple(Threshold(ThresholdKind.PERCENT, value) for value in (50, 80, 90, 100))


@dataclass
class History:
    """Moves of one user of one meter, and the looks between them."""

    realert: str = "never"
    thresholds: tuple[Threshold, ...] = USUAL
    limit: int | None = 1000
    used: int = 0
    period: int = 0
    tick: int = 0
    watches: dict[str, Watch] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    rows: dict[tuple[str, str], list[bool]] = field(default_factory=lambda: defaultdict(list))
    steps: list[tuple[list[Alert], dict[str, bool]]] = field(default_factory=list)

    def spend(self, units: int) -> None:
        """Usage grows, or shrinks by a refund."""
        self.used = max(0, self.used + units)

    def set_limit(self, limit: int | None) -> None:
        self.limit = limit

    def set_thresholds(self, thresholds: tuple[Threshold, ...]) -> None:
        self.thresholds = thresholds

    def turn(self) -> None:
        """The next period begins."""
        if self.period + 1 < len(PERIODS):
            self.period, self.used = self.period + 1, 0

    def look(self, step: int = 0) -> None:
        """Look as a consumer does: at what is there now, with what it wrote before."""
        period = PERIODS[self.period]
        self.tick += 1
        watch, alerts = rules.of_usage(
            self.thresholds,
            Subject("org", "user:ann", "requests", period),
            Usage(self.used, self.limit, step),
            self.watches.get(period, Watch()),
            realert=self.realert,
            at=START + timedelta(seconds=self.tick),
        )
        self.watches[period] = watch
        self.alerts += alerts
        self.steps.append((alerts, {t.name: self._reached(t) for t in self.thresholds}))
        for threshold in self.thresholds:
            self.rows[period, threshold.name].append(self._reached(threshold))

    def _reached(self, threshold: Threshold) -> bool:
        if threshold.kind is ThresholdKind.UNITS:
            return self.used >= threshold.value
        return self.limit is not None and self.used > 0 and self.used * 100 >= threshold.value * self.limit

    def problems(self) -> list[str]:
        """How what was told differs from the reference."""
        found = [
            f"{key}: told {told}, should be {wanted}"
            for key, rows in self.rows.items()
            if (told := self._told(*key)) != (wanted := expected(rows, self.realert))
        ]
        names = [alert.alert_id for alert in self.alerts]
        found += ["two alerts have one id"] if len(set(names)) < len(names) else []
        for alerts, _ in self.steps:
            found += _of_step(alerts, self)
        return found

    def _told(self, period: str, name: str) -> list[str]:
        ways = {AlertKind.CROSSED: UP, AlertKind.RESOLVED: DOWN}
        return [ways[a.kind] for a in self.alerts if (a.period, a.threshold) == (period, name)]


def expected(rows: list[bool], realert: str) -> list[str]:
    """Read off whether a threshold was reached, look by look, what is told of it."""
    edges = [UP if now else DOWN for before, now in zip([False, *rows], rows, strict=False) if before != now]
    return edges if realert == ON_RESOLVE else edges[:2]


def _of_step(alerts: list[Alert], history: History) -> list[str]:
    """What is wrong with the alerts of one look: one of each kind is told, the others name it."""
    found = []
    for kind in AlertKind:
        some = [alert for alert in alerts if alert.kind is kind]
        told = [alert for alert in some if alert.tell]
        if some and len(told) != 1:
            found.append(f"{len(told)} of {len(some)} alerts of a look are told")
        elif some and any(alert.told_by != told[0].alert_id for alert in some if not alert.tell):
            found.append("an alert that is not told does not name the one that is")
        elif some and all(alert.threshold.endswith("%") for alert in some):
            best = max if kind is AlertKind.CROSSED else min
            if _weight(told[0]) != best(_weight(alert) for alert in some):
                found.append(f"{told[0].threshold} was told of {[alert.threshold for alert in some]}")
    return found


def _weight(alert: Alert) -> int:
    return int(alert.threshold.removesuffix("%"))


@dataclass
class Purse:
    """Credits of one organisation: the marks they fall below, over several periods."""

    realert: str = "never"
    marks: tuple[Threshold, ...] = (Threshold(ThresholdKind.BALANCE, 1000), Threshold(ThresholdKind.BALANCE, 100))
    left: int = 0
    granted: int = 0
    period: int = 0
    tick: int = 0
    watch: Watch = field(default_factory=Watch)
    alerts: list[Alert] = field(default_factory=list)

    def top_up(self, units: int) -> None:
        self.left, self.granted = self.left + units, self.granted + units

    def spend(self, units: int) -> None:
        self.left = max(0, self.left - units)

    def turn(self) -> None:
        self.period = min(self.period + 1, len(PERIODS) - 1)

    def look(self) -> list[tuple[str, str]]:
        self.tick += 1
        self.watch, alerts = rules.of_credit(
            self.marks,
            Subject("org", "org:org", "requests", PERIODS[self.period]),
            Credit(self.left, self.granted),
            self.watch,
            realert=self.realert,
            at=START + timedelta(seconds=self.tick),
        )
        self.alerts += alerts
        return [(str(alert.kind), alert.threshold) for alert in alerts if alert.tell]


def play(history: Any, *moves: tuple[str, Any]) -> Any:
    """Make moves, each by its name and what it takes."""
    for name, *what in moves:
        getattr(history, name)(*what)
    return history
