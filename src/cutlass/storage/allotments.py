"""The writes to one allotment: the rules of `cutlass.domain.allotments` as conditional updates."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from cutlass.domain.allotments import Allotment, Spend, Trim, Verdict, consume, judge, refuse
from cutlass.domain.periods import from_millis, period_key
from cutlass.domain.stripes import ancestors, stripe_of, striped, unstriped
from cutlass.storage import keys
from cutlass.storage.codec import Item, Wire
from cutlass.storage.dynamo import ConditionFailedError, Dynamo, expression, put_of, update_of
from cutlass.storage.items import ATTRIBUTE, allotment_from_item, allotment_to_item, chunks_to_wire, last_to_wire

_SET_WHOLE = {"until_ms", "refilled_ms", "chunk", "rate", "rev", "plan", "limit", "held", "last"}
"""Fields a change replaces. All others are counters, changed by a difference, since decisions go on."""

_EARLIER = 3
"""Earlier periods whose allotments are asked about a request; a period is a day at least."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose rights they are: one user's, of one meter and period."""

    org_id: str
    user_id: str
    meter: str
    period: str
    ends_ms: int

    def key(self, region: str, stripe: int = 0) -> keys.Key:
        """The key of the allotment, or a stripe of it, in a region."""
        return keys.allotment(region, self.org_id, self.user_id, self.meter, self.period, stripe)


@dataclass(frozen=True, slots=True)
class Consumed:
    """What a consume write met; `allotment` is the new one if `TAKEN`, else the one that refused, if any."""

    verdict: Verdict
    allotment: Allotment | None


class Allotments:
    """The allotments of one region.

    Parameters
    ----------
    table : str
        The full name of the limits table.
    """

    def __init__(self, dynamo: Dynamo, table: str, region: str) -> None:
        self._dynamo = dynamo
        self.table = table
        self.region = region

    def key(self, org_id: str, user_id: str, meter: str, period: str, stripe: int = 0) -> keys.Key:
        """The key of an allotment in this region."""
        return keys.allotment(self.region, org_id, user_id, meter, period, stripe)

    def consume(self, key: keys.Key, spend: Spend) -> Consumed:
        """Take units in one conditional write of one write unit: the decision."""
        fenced = spend.fence is not None
        known = "trims = :fence" if fenced else "#mark < :time"
        if not fenced and not spend.identity.fresh(spend.now_ms):
            known = "trims < :never"  # the write only fetches what the look-up needs
        taken = consume(_NOTHING, spend)
        values = {
            "n": spend.units,
            "used": spend.units,  # a value of its own per attribute, see ENGINES: placeholders alias
            "total": spend.units,
            "one": 1,
            "last": last_to_wire(taken.last) if taken.last else None,
            "marks": taken.ring,
            "mark": spend.identity.mark,
            "rev": spend.rev,
            "stripes": spend.stripes,
            "now": spend.now_ms,
        }
        values |= {"fence": spend.fence} if fenced else {}
        values |= {"time": spend.identity.time_ms} if known.endswith(":time") else {}
        values |= {"never": 0} if known.endswith(":never") else {}
        try:
            item = self._dynamo.update(
                self.table,
                *key,
                expression(
                    "SET available = available - :n, #used = #used + :used, #total = #total + :total, "
                    "seq = seq + :one, #last = :last ADD ring :marks",
                    f"{known} AND NOT contains(ring, :mark) AND stripes = :stripes AND rev = :rev "
                    "AND #until > :now AND available >= :n",
                    **values,
                ),
            )
        except ConditionFailedError as failed:
            if failed.item is None:
                return Consumed(Verdict.SHORT, None)
            met = allotment_from_item(failed.item)
            return Consumed(_why(met, spend), met)
        return Consumed(Verdict.TAKEN, allotment_from_item(item))

    def refuse(self, key: keys.Key, spend: Spend, reason: str) -> Allotment | None:
        """Record a refusal on the allotment, from where the stream takes it; None where there is no allotment."""
        last = refuse(_NOTHING, spend, reason).last
        try:
            item = self._dynamo.update(
                self.table,
                *key,
                expression(
                    "SET refused = if_not_exists(refused, :zero) + :count, seq = seq + :one, #last = :last",
                    "attribute_exists(pk)",
                    zero=0,
                    count=1,
                    one=1,
                    last=last_to_wire(last) if last else None,
                ),
            )
        except ConditionFailedError:
            return None
        return allotment_from_item(item)

    def trim(self, key: keys.Key, trim: Trim, seen_trims: int) -> bool:
        """Drop recorded marks from a ring; False if they were dropped before."""
        try:
            self._dynamo.update(
                self.table,
                *key,
                expression(
                    "SET #mark = :mark, trims = trims + :one DELETE ring :marks",
                    "trims = :seen",
                    mark=trim.mark_ms,
                    one=1,
                    marks=trim.marks,
                    seen=seen_trims,
                ),
                returns="NONE",
            )
        except ConditionFailedError:
            return False
        return True

    def change(self, key: keys.Key, old: Allotment, new: Allotment) -> bool:
        """Make a change of what an allotment holds; False if another change came first."""
        try:
            self._dynamo.update(self.table, *key, change_of(old, new), returns="NONE")
        except ConditionFailedError:
            return False
        return True

    def written(self, holder: Holder, met: Allotment | None, new: Allotment, *, stripe: int = 0) -> list[Wire]:
        """Make the writes that change an allotment, or bring it to life together with its line in the roster."""
        key = holder.key(self.region, stripe)
        if met is not None:
            return [update_of(self.table, *key, change_of(met, new))]
        pk = keys.roster(self.region, holder.org_id, holder.meter, holder.period)
        line = {"pk": pk, "sk": striped(holder.user_id, stripe)}
        return [put_of(self.table, allotment_to_item(new, *key, holder.ends_ms)), put_of(self.table, line)]

    def note_terms(self, key: keys.Key, rev: int) -> None:
        """Tell an allotment of a newer revision, so that no decision is made on older terms any more."""
        with suppress(ConditionFailedError):  # it knows already, is fenced, or was never born
            noted = expression("SET rev = :rev", "rev < :rev AND rev > :fenced", rev=rev, fenced=-1)
            self._dynamo.update(self.table, *key, noted, returns="NONE")

    def divide(self, key: keys.Key, stripes: int) -> None:
        """Tell an allotment that there are so many stripes; fewer than it knows, it does not hear."""
        with suppress(ConditionFailedError):  # it knows of as many, or was never born
            self._dynamo.update(
                self.table,
                *key,
                expression("SET stripes = :stripes", "stripes < :stripes", stripes=stripes),
                returns="NONE",
            )

    def stripes(self, holder: Holder, numbers: Iterable[int]) -> dict[int, Allotment]:
        """Read those of a user's stripes in this region that were born, as they are now."""
        wanted = {number: holder.key(self.region, number) for number in numbers}
        items = self._dynamo.batch_get({self.table: list(wanted.values())}) if wanted else {}
        found = {number: allotment_of(items.get((self.table, *key))) for number, key in wanted.items()}
        return {number: allotment for number, allotment in found.items() if allotment}

    def earlier(
        self, org_id: str, user_id: str, meter: str, period: str, *, region: str | None = None
    ) -> list[tuple[str, Allotment]]:
        """Read the allotments, all stripes, of the newest periods of a user before one, newest first.

        Each comes with its period's key and stripe. They reach back further than an id may lie ahead of its time.
        """
        items = self._dynamo.query(
            self.table,
            keys.allotments(region or self.region, org_id, user_id),
            between=(f"{meter}#", f"{meter}#{period}"),
            limit=_EARLIER + 1,
            backwards=True,
        )
        found: list[tuple[str, Allotment]] = []
        periods: set[str] = set()
        for item in items:
            name = item["sk"].partition("#")[2]
            periods |= {unstriped(name)[0]} - {period}
            if len(periods) > _EARLIER:
                break
            if name < period:
                found.append((name, allotment_from_item(item)))
        return found

    def at(
        self, org_id: str, user_id: str, meter: str, at_ms: int, request_id: str, units: int
    ) -> tuple[keys.Key, Allotment] | None:
        """Read the allotment, of several stripes the one, that took a request's decision at that time.

        Returns it with its key; None if it is gone, or if none of those it may be has kept `units` spent.
        """
        pk = keys.allotments(self.region, org_id, user_id)
        between = (f"{meter}#", f"{meter}#{period_key(from_millis(at_ms))}")
        newest = next(self._dynamo.query(self.table, pk, between=between, limit=1, backwards=True), None)
        if newest is None:
            return None
        holder = Holder(org_id, user_id, meter, unstriped(newest["sk"].partition("#")[2])[0], 0)
        first = stripe_of(request_id, newest["stripes"])
        for number in (first, *ancestors(first)):
            for met in self.stripes(holder, [number]).values():
                if met.kept >= units:
                    return holder.key(self.region, number), met
        return None

    def read(self, key: keys.Key) -> Allotment | None:
        """Read an allotment as it is now."""
        item = self._dynamo.get(self.table, *key)
        return allotment_from_item(item) if item else None


_NOTHING = Allotment(rev=0, plan="", limit=0, rights=0, unbacked=0)


def _why(met: Allotment, spend: Spend) -> Verdict:
    """Why a write was refused; the first read of `met` and the refusal are one atomic look at the item."""
    verdict = judge(met, spend)
    if verdict is Verdict.TAKEN:
        raise AssertionError(f"the store refused what the rules allow: {spend} of {met}")
    return verdict


_WIRE: Mapping[str, Callable[[Any], Any]] = {"held": chunks_to_wire, "last": last_to_wire}


def change_of(old: Allotment, new: Allotment, *, on_terms: bool = False, slack: int = 0) -> Wire:
    """Make the update that turns what `old` holds into what `new` does, while decisions go on.

    Counters move by the difference. The update holds only if nothing else changed what is held meanwhile; if
    units leave, also only if no more than `slack` left meanwhile, because which units are left depends on it.
    `on_terms` makes it hold only while the allotment knows no newer terms, as a decision does.
    """
    sets, removes, values = [], [], {}
    for name, attribute in ATTRIBUTE.items():
        before, after = getattr(old, name), getattr(new, name)
        if before == after:
            continue
        if name not in _SET_WHOLE:
            sets.append(f"#{attribute} = if_not_exists(#{attribute}, :zero) + :{attribute}")
            values[attribute] = after - before
        elif after is None:
            removes.append(f"#{attribute}")
        else:
            sets.append(f"#{attribute} = :{attribute}")
            values[attribute] = _WIRE[name](after) if name in _WIRE else after
    condition = "refills = :seen_refills"
    values |= {"seen_refills": old.refills}
    if on_terms:
        condition += " AND rev = :seen_rev"
        values |= {"seen_rev": old.rev}
    if any(":zero" in part for part in sets):
        values["zero"] = 0
    if new.available < old.available:
        # Only a refill adds to what is available, and is guarded above: so this is also how many left.
        condition += " AND available BETWEEN :least_available AND :seen_available"
        values |= {"least_available": old.available - slack, "seen_available": old.available}
    if new.unbacked < old.unbacked:
        condition += " AND unbacked >= :need_unbacked"
        values["need_unbacked"] = old.unbacked - new.unbacked
    update = "SET " + ", ".join(sets) + (" REMOVE " + ", ".join(removes) if removes else "")
    return expression(update, condition, **values)


def allotment_of(item: Item | None) -> Allotment | None:
    """Read an allotment off an item that may not be there."""
    return allotment_from_item(item) if item else None
