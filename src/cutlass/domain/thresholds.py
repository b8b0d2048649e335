"""Thresholds: what is crossed and what is over, by the figures as they are and by what was told before.

The rules see levels, never differences: how often, in what order and by which region's news they are asked changes
nothing. What was told is remembered in a watch, one per scope, meter and period; of credits, which belong to no
period, one per meter. A watch and the alerts of its change are written together, so each is written once.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from cutlass.domain.alerts import ON_RESOLVE, Alert, AlertKind, Threshold, ThresholdKind, ThresholdScope
from cutlass.domain.grants import Grant
from cutlass.domain.ids import digest
from cutlass.domain.periods import Period, from_millis, to_millis
from cutlass.domain.plans import Allowance
from cutlass.domain.pools import Pool


@dataclass(frozen=True, slots=True)
class Mark:
    """What is known of one threshold.

    Attributes
    ----------
    open : bool
        Whether it is crossed, as was told last.
    cycle : int
        How often it was crossed.
    at_ms : int
        When that was told last, in milliseconds since 1970.
    period : str
        The period in which it was crossed last.
    alert : str
        The id of the alert that told it last.
    """

    open: bool
    cycle: int
    at_ms: int
    period: str
    alert: str = ""


@dataclass(frozen=True, slots=True)
class Watch:
    """What was told of one scope and meter, by the names of thresholds.

    Attributes
    ----------
    value : int or None
        The figure when something was told last; None if nothing ever was.
    revision : int
        Rises with every change.
    doubted : Mapping[str, Mark]
        What a lost region told of thresholds shortly before: it counts as not told, and is told by the same id.
    """

    marks: Mapping[str, Mark] = field(default_factory=dict)
    value: int | None = None
    revision: int = 0
    doubted: Mapping[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose figure is looked at, and in which period.

    Attributes
    ----------
    only_rises : bool
        Nothing is told to be over: the period has ended, or the figures may be behind those that were told.
    """

    org_id: str
    scope: str
    meter: str
    period: str
    only_rises: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Units spent in the period, over all regions.

    Attributes
    ----------
    limit : int or None
        The units there are to be spent; None where there is no end of them.
    step : int
        Units that what started this look has added: before it they were fewer by so many.
    """

    used: int
    limit: int | None
    step: int = 0


@dataclass(frozen=True, slots=True)
class Credit:
    """Prepaid units not handed out, in all regions; `granted`: of all grants that held in the period."""

    left: int
    granted: int


@dataclass(frozen=True, slots=True)
class _Sight:
    """One threshold as it is met: its mark in units, whether it is crossed, and whether it is not."""

    threshold: Threshold
    units: int
    crossed: bool
    clear: bool


def mark_units(threshold: Threshold, limit: int | None) -> int | None:
    """The units at which a threshold of usage is reached; None where it has no meaning, of an unlimited meter.

    A share of a limit is rounded up, so that it is reached exactly when `used * 100 >= value * limit`. Of a limit
    of nothing every share is reached by the first unit.
    """
    if threshold.kind is ThresholdKind.PERCENT:
        return None if limit is None else max(1, -(-limit * threshold.value // 100))
    return threshold.value


def of_usage(
    thresholds: Iterable[Threshold], subject: Subject, usage: Usage, watch: Watch, *, realert: str, at: datetime
) -> tuple[Watch, list[Alert]]:
    """Find what usage has crossed and what it is under again, against what was told before.

    Returns the watch, itself if nothing is to be told, and the alerts: of several crossed together the highest is
    told, of several that are over the lowest.
    """
    sights = []
    for threshold in thresholds:
        units = mark_units(threshold, usage.limit)
        reached = units is not None and usage.used >= units
        sights.append(_Sight(threshold, units or 0, reached, not reached and not subject.only_rises))
    # Of a small limit several shares are the same unit: the greater one weighs more.
    sights.sort(key=lambda sight: (sight.units, sight.threshold.value))
    kinds = AlertKind.CROSSED, AlertKind.RESOLVED

    def before(sight: _Sight) -> int:
        known = watch.value or 0
        return max(known, usage.used - usage.step) if usage.used - usage.step < sight.units else known

    return _told(sights, subject, usage.used, usage.limit, watch, kinds, before, realert=realert, at=at)


def of_credit(
    thresholds: Iterable[Threshold], subject: Subject, credit: Credit, watch: Watch, *, realert: str, at: datetime
) -> tuple[Watch, list[Alert]]:
    """Find which marks the credits have fallen below, and which they are back above.

    Whoever never had so much has not fallen below it. What stays low when a period turns is not told again; what
    falls again in a later period is. Of several together the lowest mark fallen below is told, or the highest
    that is over.
    """
    sights = [
        _Sight(
            threshold,
            threshold.value,
            credit.left < threshold.value <= credit.granted,
            credit.left >= threshold.value and not subject.only_rises,
        )
        for threshold in thresholds
    ]
    sights.sort(key=lambda sight: -sight.units)
    kinds = AlertKind.BALANCE_LOW, AlertKind.BALANCE_RESTORED

    def before(_: _Sight) -> int:
        return credit.granted if watch.value is None else watch.value

    return _told(sights, subject, credit.left, None, watch, kinds, before, realert=realert, at=at)


def _told(
    sights: list[_Sight],
    subject: Subject,
    value: int,
    limit: int | None,
    watch: Watch,
    kinds: tuple[AlertKind, AlertKind],
    before: Callable[[_Sight], int],
    *,
    realert: str,
    at: datetime,
) -> tuple[Watch, list[Alert]]:
    """Make the watch and the alerts of what the sights, in order of weight, have new."""
    crossing, clearing = kinds
    marks, at_ms = dict(watch.marks), to_millis(at)
    found: dict[AlertKind, list[Alert]] = {crossing: [], clearing: []}
    for sight in sights:
        name = sight.threshold.name
        known = marks.get(name)
        doubt = None
        if sight.crossed and _tells(known, subject.period, realert):
            doubt = _doubt(watch, name, subject.period)
            cycle = doubt.cycle if doubt else known.cycle + 1 if known else 1
            kind, mark = crossing, Mark(open=True, cycle=cycle, at_ms=at_ms, period=subject.period)
        elif sight.clear and known is not None and known.open:
            kind, mark = clearing, replace(known, open=False, at_ms=at_ms)
        else:
            continue
        new_id = doubt.alert if doubt else alert_id(subject, name, kind, mark.cycle, at_ms, len(found[kind]))
        marks[name] = replace(mark, alert=new_id)
        found[kind].append(
            Alert(
                alert_id=new_id,
                org_id=subject.org_id,
                scope=subject.scope,
                meter=subject.meter,
                kind=kind,
                threshold=name,
                period=subject.period,
                previous_value=before(sight),
                current_value=value,
                limit=limit,
                at=from_millis(doubt.at_ms) if doubt else at,
            )
        )
    if not found[crossing] and not found[clearing]:
        return watch, []
    crossed, cleared = found[crossing], found[clearing]
    alerts = _tell(cleared, cleared[0] if cleared else None) + _tell(crossed, crossed[-1] if crossed else None)
    return Watch(marks, value, watch.revision + 1), alerts


def _tells(known: Mark | None, period: str, realert: str) -> bool:
    """Whether a threshold that is crossed is news: not while it is open, and again only as was chosen."""
    if known is None:
        return True
    return not known.open and (realert == ON_RESOLVE or known.period != period)


def _doubt(watch: Watch, name: str, period: str) -> Mark | None:
    """What a lost region told of this very crossing, and may not have handed over."""
    doubt = watch.doubted.get(name)
    return doubt if doubt and doubt.alert and doubt.period == period else None


def _tell(alerts: list[Alert], chosen: Alert | None) -> list[Alert]:
    """Tell one of some alerts; the others are recorded and name it."""
    return [
        alert if chosen is alert or chosen is None else replace(alert, tell=False, told_by=chosen.alert_id)
        for alert in alerts
    ]


def alert_id(subject: Subject, threshold: str, kind: AlertKind, cycle: int, at_ms: int, place: int = 0) -> str:
    """Name an alert; names sort by time, and end in what it is: scope, meter, threshold, period and cycle.

    `place` orders what one look found.
    """
    what = digest(subject.org_id, subject.scope, subject.meter, threshold, subject.period, str(kind), str(cycle))
    return f"{at_ms:013d}-{place:02d}-{what[:8].hex()}"


def applicable(
    thresholds: Iterable[Threshold], meter: str, scope: ThresholdScope, *kinds: ThresholdKind
) -> list[Threshold]:
    """Those of the thresholds that hold for a meter of an organisation, or of its users."""
    return [
        threshold
        for threshold in thresholds
        if threshold.kind in kinds
        and threshold.meter in {None, meter}
        and threshold.scope in {ThresholdScope.ALL, scope}
    ]


def limit_of(
    allowance: Allowance,
    grants: Iterable[Grant],
    period: Period,
    now: datetime,
    *,
    own: int | None = None,
    user_id: str | None = None,
) -> int | None:
    """The units of a meter to be spent in a period, that shares are of; None for no end of them.

    An organisation's are those of its plan, overage included, and a user's the user's limit; with them go the
    credits granted within the period that are still in force. Credits of an earlier period do not raise it: of
    them the balance tells.

    Parameters
    ----------
    grants : Iterable[Grant]
        The organisation's grants of the meter that are not voided.
    own : int, optional
        The limit of the user; None is none.
    user_id : str, optional
        The user; left out, the whole organisation.
    """
    if user_id is not None and own is None:
        return None
    grants = list(grants)
    topped = sum(
        grant.amount
        for grant in grants
        if grant.category.prepaid
        and (user_id is None or grant.user_id == user_id)
        and period.start <= grant.effective_at <= now
        and (grant.expires_at is None or grant.expires_at > now)
    )
    if user_id is not None:
        return (own or 0) + topped
    granted = sum(
        grant.amount
        for grant in grants
        if not grant.category.prepaid and (grant.effective_at, grant.expires_at) == (period.start, period.end)
    )
    # The grants may not be here yet, or not made; a catalogue that was lowered since takes nothing back.
    return max(granted, allowance.included + allowance.overage_cap) + topped


def credit_of(
    grants: Iterable[Grant], pools: Mapping[str, Iterable[Pool]], period: Period, now: datetime
) -> Credit:
    """The organisation's prepaid units that nobody has drawn, by what every region's pools have given.

    Units on their way from one region to another are in no pool's `available`. So what is left is counted from
    what was granted, less what left the pools for good: a copy that is behind shows too much for a moment, and
    never too little.

    Parameters
    ----------
    pools : Mapping[str, Iterable[Pool]]
        The pools of each grant that are known, one of each region that drew from it, by the grant's id.
    """
    left = granted = 0
    for grant in grants:
        if not grant.category.prepaid or grant.user_id is not None or grant.effective_at > now:
            continue
        if grant.expires_at is not None and grant.expires_at <= period.start:
            continue
        granted += grant.amount
        if grant.expires_at is not None and grant.expires_at <= now:
            continue
        gone = sum(
            pool.allotted - pool.returned + pool.burned + pool.expired for pool in pools.get(grant.grant_id, ())
        )
        left += max(0, grant.amount - gone)
    return Credit(left, granted)


def trusted(watch: Watch, since_ms: int) -> Watch:
    """What a region that takes over believes of the lost one's watch.

    What was told shortly before the loss may never have been handed over. A threshold crossed since `since_ms` is
    doubted: it is told again, by the id it had, so that who has it already is not told twice. One that was over
    since is still crossed.
    """
    marks, doubted = {}, {}
    for name, mark in watch.marks.items():
        if mark.at_ms < since_ms:
            marks[name] = mark
        elif mark.open:
            doubted[name] = mark
        else:
            marks[name] = replace(mark, open=True)
    return replace(watch, marks=marks, doubted=doubted)


def merged(watches: Iterable[Watch]) -> Watch:
    """What several regions told of the same, one after the other: of each threshold what was told last.

    The first is the one that is written; the revision is its.
    """
    own, *others = watches
    doubted: dict[str, Mark] = {}
    marks, value, newest = dict(own.marks), own.value, max((m.at_ms for m in own.marks.values()), default=-1)
    for other in others:
        for name, mark in other.marks.items():
            if name not in marks or marks[name].at_ms < mark.at_ms:
                marks[name] = mark
        latest = max((mark.at_ms for mark in other.marks.values()), default=-1)
        if latest > newest:
            value, newest = other.value, latest
        doubted |= other.doubted
    return Watch(marks, value, own.revision, doubted)
