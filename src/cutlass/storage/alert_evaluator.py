"""Decides on alerts in one region: started by changes of usage, and by looks that are due.

A look reads in this order: what was told, what was spent, and then the limits. So whoever is told meanwhile by
another consumer makes the write fail that would contradict it, and what was spent of a top-up is not held against
the limit before it. The watch and the alerts of its change are one transaction; there is no state in which only
one of them is.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from cutlass.domain.alerts import Alert, ThresholdKind, ThresholdScope, org_scope, user_scope
from cutlass.domain.errors import UnavailableError
from cutlass.domain.periods import to_millis
from cutlass.domain.stripes import unstriped
from cutlass.domain.thresholds import Subject, Usage, Watch, applicable, merged, of_credit, of_usage, trusted
from cutlass.storage import keys
from cutlass.storage.alert_dues import AlertDues
from cutlass.storage.alert_figures import AlertFigures, Look, LookKey, figure_of_day
from cutlass.storage.alert_homes import Watched
from cutlass.storage.alert_items import KEPT_SECONDS, alert_to_item, watch_from_item, watch_to_item
from cutlass.storage.alert_settings import AlertSettingsStore
from cutlass.storage.alert_subjects import AlertSubject, read_users
from cutlass.storage.alert_table import AlertTable
from cutlass.storage.codec import Item, Wire, decode_item
from cutlass.storage.dynamo import TransactionFailedError, expression, put_of, update_of
from cutlass.storage.pools import Pools
from cutlass.storage.usage import units_of

_RACES = 20
_AT_ONCE = 100  # writes of one transaction
_AGAIN = timedelta(minutes=1)
"""When the credits are looked at once more after another region drew from them: its pools may come later."""

USAGE_KINDS = ThresholdKind.PERCENT, ThresholdKind.UNITS


@dataclass(frozen=True, slots=True)
class Told:
    """What one look came to: the watch's key and its new and old state, and the alerts."""

    look: Look
    key: keys.Key
    watch: Watch
    before: Watch
    alerts: list[Alert]
    ttl: int | None


class AlertEvaluator:
    """Evaluates thresholds in one region."""

    def __init__(
        self,
        table: AlertTable,
        settings: AlertSettingsStore,
        figures: AlertFigures,
        dues: AlertDues,
        pools: Pools,
    ) -> None:
        self._dynamo, self._directory, self._homes = table.dynamo, table.directory, table.homes
        self._table, self._catalogue, self._clock = table.name, table.catalogue, table.clock
        self._settings = settings
        self._figures = figures
        self._dues = dues
        self._pools = pools
        self.region = table.homes.region

    def record(self, records: Iterable[dict[str, Any]]) -> int:
        """Look at whatever a batch of the usage table's stream touched; returns how many alerts were recorded.

        Raises
        ------
        UnavailableError
            The store does not answer, or others keep telling of the same.
        """
        looks, elsewhere = looks_of(records, self.region)
        return self.look(looks, elsewhere=elsewhere)

    def look(self, looks: Iterable[Look], *, elsewhere: Iterable[str] = ()) -> int:
        """Look at figures as they are now, each once; returns how many alerts were recorded.

        Parameters
        ----------
        elsewhere : Iterable[str]
            Organisations of which another region's news started the looks.
        """
        wanted, recorded, parted = list(looks), 0, set(elsewhere)
        for _ in range(_RACES):
            told = self._look(wanted, parted)
            lost = self._write(told)
            recorded += _alerts(told) - _alerts(lost)
            if not lost:
                return recorded
            wanted, parted = list({one.look.key: one.look for one in lost}.values()), set()
        raise UnavailableError("others keep telling of the same thresholds")

    def _look(self, looks: list[Look], elsewhere: set[str]) -> list[Told]:
        subjects = self._subjects({look.org_id for look in looks})
        looks = [look for look in looks if look.org_id in subjects and self._asks(subjects[look.org_id], look)]
        watches = self._watches(subjects, looks)
        spent = self._figures.users(look for look in looks if look.user_id is not None)
        for look in looks:
            if look.user_id is None:
                spent[look.key] = self._figures.organisation(look, subjects[look.org_id].period(look.period))
        by_org: dict[str, set[str]] = defaultdict(set)
        for look in looks:
            if look.user_id is not None:
                by_org[look.org_id].add(look.user_id)
        read_users(self._directory, [(subjects[org_id], users) for org_id, users in by_org.items()])
        told = []
        for look in looks:
            told += self._of_usage(subjects[look.org_id], look, spent[look.key], watches)
            if look.user_id is None:
                told += self._of_credit(subjects[look.org_id], look, watches, again=look.org_id in elsewhere)
        return told

    def _subjects(self, org_ids: set[str]) -> dict[str, AlertSubject]:
        """The organisations this region watches, with their settings."""
        found = {}
        for org_id in sorted(org_ids):
            organisation, _ = self._directory.find(org_id)
            if organisation and (watched := self._homes.watched(organisation)):
                found[org_id] = organisation, watched
        settings = self._settings.many([organisation for organisation, _ in found.values()])
        return {
            org_id: AlertSubject(
                organisation,
                settings[org_id],
                watched,
                self._directory,
                self._pools,
                self._catalogue,
                self._clock,
            )
            for org_id, (organisation, watched) in found.items()
        }

    @staticmethod
    def _asks(subject: AlertSubject, look: Look) -> bool:
        """Whether any threshold holds for what is looked at."""
        if look.user_id is not None:
            return subject.wants(look.meter, ThresholdScope.USERS, *USAGE_KINDS)
        return subject.wants(look.meter, ThresholdScope.ORGANISATION, *ThresholdKind)

    def _watches(self, subjects: Mapping[str, AlertSubject], looks: list[Look]) -> dict[keys.Key, Item]:
        """What this region told of the figures, and regions that watched them before."""
        wanted = []
        for look in looks:
            for region in (self.region, *subjects[look.org_id].watched.others):
                wanted.append(_watch_key(region, look))
                if look.user_id is None:
                    wanted.append(_watch_key(region, look, credit=True))
        found = self._dynamo.batch_get({self._table: wanted}) if wanted else {}
        return {(pk, sk): item for (_, pk, sk), item in found.items()}

    def _known(
        self, watched: Watched, look: Look, watches: Mapping[keys.Key, Item], *, credit: bool = False
    ) -> tuple[Watch, bool]:
        """What was told, by whichever region, and whether another region told it last."""
        own = watch_from_item(watches.get(_watch_key(self.region, look, credit=credit)))
        others = [watch_from_item(watches.get(_watch_key(name, look, credit=credit))) for name in watched.others]
        if watched.taken_over:
            others = [trusted(other, watched.since_ms) for other in others]
        known = merged([own, *others])
        return known, known.value != own.value

    def _of_usage(
        self, subject: AlertSubject, look: Look, spent: int, watches: Mapping[keys.Key, Item]
    ) -> list[Told]:
        scope = ThresholdScope.USERS if look.user_id else ThresholdScope.ORGANISATION
        thresholds = applicable(subject.settings.thresholds, look.meter, scope, *USAGE_KINDS)
        if not thresholds:
            return []
        period = subject.period(look.period)
        before, foreign = self._known(subject.watched, look, watches)
        behind = foreign and spent < (before.value or 0)
        only_rises = subject.ended(period) or subject.watched.taken_over or behind
        usage = Usage(spent, subject.limit(look.meter, period, look.user_id), look.step)
        about = Subject(look.org_id, _scope(look), look.meter, look.period, only_rises)
        watch, alerts = of_usage(
            thresholds, about, usage, before, realert=subject.settings.realert, at=self._clock()
        )
        if not alerts:
            return []
        ttl = to_millis(period.end) // 1000 + KEPT_SECONDS
        return [Told(look, _watch_key(self.region, look), watch, before, alerts, ttl)]

    def _of_credit(
        self, subject: AlertSubject, look: Look, watches: Mapping[keys.Key, Item], *, again: bool
    ) -> list[Told]:
        period = subject.period()
        thresholds = applicable(
            subject.settings.thresholds, look.meter, ThresholdScope.ORGANISATION, ThresholdKind.BALANCE
        )
        if not thresholds or look.period != period.key or not subject.has_credit(look.meter):
            return []
        before, _ = self._known(subject.watched, look, watches, credit=True)
        about = Subject(look.org_id, _scope(look), look.meter, look.period, subject.watched.taken_over)
        credit = subject.credit(look.meter, period)
        watch, alerts = of_credit(
            thresholds, about, credit, before, realert=subject.settings.realert, at=self._clock()
        )
        if again and credit.left:
            self._dues.later(look.org_id, self._clock() + _AGAIN)
        if not alerts:
            return []
        return [Told(look, _watch_key(self.region, look, credit=True), watch, before, alerts, None)]

    def _write(self, told: list[Told]) -> list[Told]:
        """Write watches with their alerts, several together; returns those that another consumer was before."""
        lost: list[Told] = []
        for batch in _batches(told):
            try:
                self._dynamo.transact([write for one in batch for write in self._writes(one)])
            except TransactionFailedError:
                lost += [one for one in batch if not self._write_one(one)]
        return lost

    def _write_one(self, told: Told) -> bool:
        try:
            self._dynamo.transact(self._writes(told))
        except TransactionFailedError:
            return False
        return True

    def _writes(self, told: Told) -> list[Wire]:
        item = watch_to_item(told.watch, told.key, told.look.org_id, told.ttl)
        records = [put_of(self._table, alert_to_item(alert, self.region)) for alert in told.alerts]
        if not told.before.revision:
            return [put_of(self._table, item), *records]
        sets = {name: value for name, value in item.items() if name not in {"pk", "sk"} and value is not None}
        update = "SET " + ", ".join(f"#{name} = :{name}" for name in sets)
        changes = expression(update, "#rev = :seen", **sets, seen=told.before.revision)
        return [update_of(self._table, *told.key, changes), *records]


def looks_of(records: Iterable[dict[str, Any]], region: str) -> tuple[list[Look], set[str]]:
    """What a batch of the usage table's stream touched, each once, and whom the news of another region."""
    looks: dict[LookKey, Look] = {}
    elsewhere: set[str] = set()
    for record in records:
        change = record["dynamodb"]
        parsed = keys.parse_rollup(change["Keys"]["pk"]["S"], change["Keys"]["sk"]["S"])
        if parsed is None or "NewImage" not in change:
            continue
        owner, org_id, user_id, meter, name = parsed
        period, stripe = unstriped(name)
        item = decode_item(change["NewImage"])
        old = decode_item(change["OldImage"]) if "OldImage" in change else {}
        look = looks.setdefault((org_id, user_id, meter, period), Look(org_id, user_id, meter, period))
        look.step += max(0, units_of(item) - units_of(old))
        if user_id is not None and (figure := figure_of_day(item)):
            look.see((owner, stripe), figure)
        if owner != region:
            elsewhere.add(org_id)
    return list(looks.values()), elsewhere


def _batches(told: list[Told]) -> Iterable[list[Told]]:
    batch: list[Told] = []
    size = 0
    for one in told:
        writes = 1 + len(one.alerts)
        if batch and size + writes > _AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += writes
    if batch:
        yield batch


def _alerts(told: list[Told]) -> int:
    return sum(len(one.alerts) for one in told)


def _scope(look: Look) -> str:
    return user_scope(look.user_id) if look.user_id is not None else org_scope(look.org_id)


def _watch_key(region: str, look: Look, *, credit: bool = False) -> keys.Key:
    return keys.watch(region, look.org_id, _scope(look), look.meter, None if credit else look.period)
