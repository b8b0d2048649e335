"""Usage by hour and day: written by the stream's consumer, once in effect however often it is told.

A user's day keeps the numbers of the events counted in it. It changes in one transaction with the organisation's
day, so both have counted the same events, and a batch told again, or late, adds what is new. It also says what the
allotment had spent in its period at the last of them.

An hour's counters are attributes of the day's item: `14+report.export` for units, `14-report.export` for
refusals, by hour (UTC) and feature.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Literal, NamedTuple

from cutlass.domain.errors import UnavailableError
from cutlass.domain.metering import AllotmentKey, DayKey, Event, Spans, Tally, by_day, day_of
from cutlass.domain.periods import Period, to_millis
from cutlass.domain.reconciliation import Counted, Holder
from cutlass.storage import keys
from cutlass.storage.codec import Item, Wire
from cutlass.storage.dynamo import Dynamo, TransactionFailedError, expression, update_of
from cutlass.storage.paging import Page

GroupBy = Literal["user", "feature", "region", "day", "hour"]

_IN_HAND = "moved"
"""The attribute of an organisation's day that counts units drawn by users, less those given back."""

_SET_ASIDE = "reserved"
"""The attribute of an organisation's day that counts units set aside, less those of reservations that ended."""

_USERS_PER_TRANSACTION = 25
"""Of 100 writes: two days of each user, and of each user's organisation, where a batch holds a midnight."""

_RACES = 20


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Units spent and decisions refused in one group: a user, feature, region, day or hour."""

    meter: str
    group: str
    units: int
    refusals: int


class PeriodTotals(NamedTuple):
    """Units of one period: spent, in users' hands to be spent, and set aside; all as of the same event."""

    used: int
    in_hand: int
    reserved: int


class Usage:
    """The usage table of one region, and this region's copies of the others'.

    Parameters
    ----------
    table : str
        The full name of the usage table.
    """

    def __init__(
        self,
        dynamo: Dynamo,
        table: str,
        region: str,
        regions: Iterable[str],
        clock: Callable[[], datetime],
    ) -> None:
        self._dynamo = dynamo
        self._table = table
        self.region = region
        self._regions = list(regions)
        self._clock = clock

    def record(self, events: list[Event]) -> int:
        """Count events of this region that were not counted before; returns the transactions it took."""
        by_user: dict[AllotmentKey, list[Event]] = defaultdict(list)
        for event in events:
            by_user[event.key].append(event)
        allotments = list(by_user)
        done = 0
        for start in range(0, len(allotments), _USERS_PER_TRANSACTION):
            chosen = allotments[start : start + _USERS_PER_TRANSACTION]
            done += self._record([event for key in chosen for event in by_user[key]])
        return done

    def _record(self, events: list[Event]) -> int:
        days = {day_of(event) for event in events}
        for _ in range(_RACES):
            counted = self._counted(days)
            tallies = by_day(events, counted)
            if not tallies:
                return 0
            try:
                self._dynamo.transact(self._writes(tallies, counted))
            except TransactionFailedError:
                continue  # another consumer of the same shard, left over from before a restart
            return 1
        raise UnavailableError("other consumers count the same events")

    def _counted(self, days: Iterable[DayKey]) -> dict[DayKey, Spans]:
        wanted = {day: _user_key(day) for day in days}
        items = self._dynamo.batch_get({self._table: list(wanted.values())})
        found = {day: items.get((self._table, *key), {}).get("counted", []) for day, key in wanted.items()}
        return {day: tuple((low, high) for low, high in spans) for day, spans in found.items()}

    def _writes(self, tallies: dict[DayKey, Tally], counted: dict[DayKey, Spans]) -> list[Wire]:
        writes = []
        totals: dict[keys.Key, Tally] = defaultdict(Tally)
        for day, tally in tallies.items():
            key, date = day
            writes.append(self._add(_user_key(day), tally, seen=counted[day]))
            totals[keys.org_rollup(key.region, key.org_id, key.meter, date, key.period)].include(tally)
        writes += [self._add(key, total) for key, total in totals.items()]
        return writes

    def _add(self, key: keys.Key, tally: Tally, *, seen: Spans | None = None) -> Wire:
        """Make the write that adds a tally to the organisation's day or, given what it has counted, a user's."""
        counters = {f"{hour:02d}+{feature}": n for (hour, feature), n in tally.units.items()}
        counters |= {f"{hour:02d}-{feature}": n for (hour, feature), n in tally.refusals.items()}
        if seen is None:
            moves = {_IN_HAND: tally.moved, _SET_ASIDE: tally.reserved}
            counters |= {name: units for name, units in moves.items() if units}
        names = {f"#n{i}": name for i, name in enumerate(counters)} | {"#at": "at"}
        values: dict[str, Any] = {f"n{i}": n for i, n in enumerate(counters.values())}
        values["at"] = to_millis(self._clock())
        update, guard = "SET #at = :at", None
        if seen is not None:
            update += ", counted = :counted"
            values["counted"] = [list(span) for span in tally.counted]
            guard = "counted = :seen" if seen else "attribute_not_exists(counted)"
            if tally.spent is not None:
                update += ", spent = :spent"
                values["spent"] = tally.spent
            values |= {"seen": [list(span) for span in seen]} if seen else {}
        if counters:
            update += " ADD " + ", ".join(f"#n{i} :n{i}" for i in range(len(counters)))
        wire = expression(update, guard, **values)
        wire["ExpressionAttributeNames"] = names
        return update_of(self._table, *key, wire)

    def period_totals(self, org_id: str, meter: str, period: Period, region: str) -> PeriodTotals:
        """Sum up an organisation's units of a meter in one period and region."""
        low, high = f"{meter}#{period.start:%Y%m%d}", f"{meter}#{period.end:%Y%m%d}~"
        used = moved = reserved = 0
        for item in self._dynamo.query(self._table, f"{region}#{org_id}", between=(low, high)):
            if item["sk"].endswith(f"#{period.key}"):
                used += units_of(item)
                moved += item.get(_IN_HAND, 0)
                reserved += item.get(_SET_ASIDE, 0)
        return PeriodTotals(used, moved - used - reserved, reserved)

    def page(
        self,
        org_id: str,
        start: datetime,
        end: datetime,
        *,
        group_by: GroupBy,
        meter: str | None = None,
        limit: int = 100,
        after: dict[str, Any] | None = None,
    ) -> Page[UsageRow]:
        """Sum the usage of `[start, end)`, whole hours, over all regions, by group, in the order of groups."""
        units: Counter[tuple[str, str]] = Counter()
        refusals: Counter[tuple[str, str]] = Counter()
        rows = self._by_user if group_by == "user" else self._by_org
        for region in self._regions:
            for of, moment, user, feature, spent, refused in rows(org_id, start, end, region):
                if not start <= moment < end or meter not in {None, of}:
                    continue
                group = {
                    "user": user,
                    "feature": feature,
                    "region": region,
                    "day": f"{moment:%Y-%m-%d}",
                    "hour": f"{moment:%Y-%m-%dT%H:00:00Z}",
                }[group_by]
                units[of, group] += spent
                refusals[of, group] += refused
        position = (after["meter"], after["group"]) if after else ("", "")
        ordered = (key for key in sorted(units.keys() | refusals.keys()) if key > position)
        found = [UsageRow(*key, units[key], refusals[key]) for key in islice(ordered, limit + 1)]
        if len(found) <= limit:
            return Page(found)
        return Page(found[:limit], {"meter": found[limit - 1].meter, "group": found[limit - 1].group})

    def _by_org(self, org_id: str, start: datetime, end: datetime, region: str) -> "Iterator[_Slot]":
        for item in self._dynamo.query(self._table, f"{region}#{org_id}"):
            meter, day, _ = item["sk"].split("#")
            if f"{start:%Y%m%d}" <= day <= f"{end:%Y%m%d}":
                yield from _slots(item, meter, day, "")

    def _by_user(self, org_id: str, start: datetime, end: datetime, region: str) -> "Iterator[_Slot]":
        date = start
        while f"{date:%Y%m%d}" <= f"{end:%Y%m%d}":
            day = f"{date:%Y%m%d}"
            for item in self._dynamo.query(self._table, f"{region}#{org_id}#{day}"):
                user, meter, _ = item["sk"].split("#", 2)
                yield from _slots(item, meter, day, user)
            date += timedelta(days=1)

    def counted(self, org_id: str, meter: str, start: datetime, end: datetime) -> dict[Holder, Counted]:
        """What this region's consumer has counted of each user's allotments on the days from `start` to `end`."""
        found: dict[Holder, Counted] = defaultdict(Counted)
        day = start
        while f"{day:%Y%m%d}" <= f"{end:%Y%m%d}":
            for item in self._dynamo.query(self._table, f"{self.region}#{org_id}#{day:%Y%m%d}"):
                user, of, period = item["sk"].split("#", 2)
                if of == meter:
                    one = found[user, period]
                    one.units += units_of(item)
                    one.upto = max(one.upto, *(high for _, high in item["counted"]))
            day += timedelta(days=1)
        return found

    def beat(self) -> None:
        """Mark this region's figures as of now; they travel as its figures do."""
        pk, sk = keys.heartbeat(self.region)
        self._dynamo.put(self._table, {"pk": pk, "sk": sk, "at": to_millis(self._clock())})

    def ages(self) -> dict[str, float | None]:
        """Seconds since each region's figures, as seen here, were certainly whole; None if never.

        This region's own are read as they are: 0.
        """
        wanted = {region: keys.heartbeat(region) for region in self._regions if region != self.region}
        items = self._dynamo.batch_get({self._table: list(wanted.values())}, consistent=False) if wanted else {}
        now_ms = to_millis(self._clock())
        ages: dict[str, float | None] = {self.region: 0.0}
        for region, key in wanted.items():
            item = items.get((self._table, *key))
            ages[region] = max(0, now_ms - item["at"]) / 1000 if item else None
        return ages


_Slot = tuple[str, datetime, str, str, int, int]  # meter, hour, user, feature, units, refusals


def _user_key(day: DayKey) -> keys.Key:
    key, date = day
    return keys.user_rollup(key.region, key.org_id, date, key.user_id, key.meter, key.period)


def _counters(item: Item) -> Iterator[tuple[int, str, int, int]]:
    """Read hour, feature, units and refusals off a day's item."""
    for name, value in item.items():
        if len(name) > 3 and name[2] in "+-" and name[:2].isdigit():
            yield int(name[:2]), name[3:], value * (name[2] == "+"), value * (name[2] == "-")


def units_of(item: Item) -> int:
    """Read off a day's item the units spent in it, less those refunded."""
    return sum(units for _, _, units, _ in _counters(item))


def _slots(item: Item, meter: str, day: str, user: str) -> Iterator[_Slot]:
    date = datetime.strptime(f"{day}+0000", "%Y%m%d%z")
    for hour, feature, units, refusals in _counters(item):
        yield meter, date + timedelta(hours=hour), user, feature, units, refusals
