"""Moves rights between regions, off the usual path of a decision.

The region that is short, or will be, takes from the other one: it makes that region's write (`available -= k,
sent += k`, conditional, at that region's own DynamoDB) and then its own (`accepted = cumulative`). If the
answer to the first is lost, the sender's item tells the same number once it is replicated here, and is
accepted then. Each item is still written in one region only: its owner's.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from cutlass.domain.allotments import Allotment, release
from cutlass.domain.errors import UnavailableError
from cutlass.domain.grants import Grant
from cutlass.domain.periods import to_millis
from cutlass.domain.plans import MAX_UNITS
from cutlass.domain.pools import Pool, mint
from cutlass.domain.rebalancing import stock, to_give
from cutlass.domain.regions import Standing
from cutlass.domain.transfers import idle, send_rights, to_send
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments, Holder
from cutlass.storage.codec import Item, Wire
from cutlass.storage.dynamo import (
    ConditionFailedError,
    Dynamo,
    expression,
)
from cutlass.storage.items import (
    accepted_from,
    allotment_from_item,
    allotment_to_item,
    pool_from_item,
    pool_to_item,
    sent_to,
)
from cutlass.storage.peers import Peers
from cutlass.storage.pools import bear
from cutlass.storage.returns import Return, give_back
from cutlass.storage.stripes import Stripes

_RACES = 5


class Transfers:
    """Takes rights from other regions for one region.

    Parameters
    ----------
    table : str
        The full name of the limits table.
    states : str
        That of the table with the regions' states.
    """

    def __init__(self, peers: Peers, table: str, states: str, clock: Callable[[], datetime]) -> None:
        self._peers = peers
        self._table = table
        self._states = states
        self._clock = clock
        self.region = peers.region
        self.others = peers.others

    def take_rights(self, holder: Holder, need: int, unborn: Callable[[str], Allotment]) -> int:
        """Take rights of a user's limit from the other regions until `need` are had; returns what came.

        Parameters
        ----------
        unborn : Callable
            Makes the allotment a region would begin with, where the user never was.
        """
        came = 0
        for region in self._peers.others:
            if came >= need:
                break
            if self._spoken_for(region):
                continue
            cumulative = 0
            with suppress(UnavailableError), self._peers.reach(region) as there:
                cumulative = self._send_rights(there, region, holder, need - came, unborn)
            came += self.accept_rights(holder, region, cumulative)
        return came

    def earlier(self, region: str, org_id: str, user_id: str, meter: str, period: str) -> list[Allotment]:
        """Read a user's allotments of earlier periods in another region, at that region's own DynamoDB."""
        there = Allotments(self._peers.at(region), self._table, region)
        return [allotment for _, allotment in there.earlier(org_id, user_id, meter, period)]

    def accept_rights(self, holder: Holder, origin: str, cumulative: int) -> int:
        """Count in the rights another region has ever sent a user here, once; returns how many are new."""
        key = holder.key(self.region)
        return self._accept(self._peers.here, key, origin, cumulative, "unbacked")

    def accept_units(self, grant: Grant, pool_key: str, origin: str, cumulative: int) -> int:
        """Count in the units another region's pool of a grant has ever sent here; returns how many are new."""
        key = keys.pools(self.region, grant.org_id, grant.meter, grant.user_id), pool_key
        return self._accept(self._peers.here, key, origin, cumulative, "available")

    def take_units(self, grant: Grant, pool: Pool, region: str, wish: int, need: int = 0) -> int:
        """Take units of a grant from another region's pool: what makes both last equally, up to `wish`.

        `pool` is this region's; at least `need` comes, if it is there. Returns the units that came.
        """
        cumulative = 0
        if self._spoken_for(region):
            return 0
        with suppress(UnavailableError), self._peers.reach(region) as there:
            cumulative = self._send_units(there, region, grant, pool, wish, need)
        return self.accept_units(grant, pool.key, region, cumulative)

    def push_units(self, grant: Grant, pool: Pool, region: str, units: int) -> bool:
        """Send units of this region's pool to another region, and tell it; what it is not told it finds out."""
        key = keys.pools(self.region, grant.org_id, grant.meter, grant.user_id), pool.key
        if self._fenced(region):
            return False
        try:
            item = self._peers.here.update(self._table, *key, _sending(region, units, "available"))
        except ConditionFailedError:
            return False
        born = mint(grant, region)
        there_key = keys.pools(region, grant.org_id, grant.meter, grant.user_id), pool.key
        with suppress(UnavailableError), self._peers.reach(region) as there:
            bear(there, self._table, self._states, region, there_key[0], born)
            self._accept(there, there_key, self.region, int(item[sent_to(region)]), "available")
        return True

    def take_all_units(self, grant: Grant, pool_key: str, origin: str) -> int:
        """Take all that another region's pool of a grant has free; raises `UnavailableError`."""
        with self._peers.reach(origin) as there:
            cumulative = self._send_units(there, origin, grant, mint(grant, self.region), MAX_UNITS, MAX_UNITS)
        return self.accept_units(grant, pool_key, origin, cumulative)

    def take_all_rights(self, holder: Holder, origin: str) -> int:
        """Let a user's allotment in another region give back what it holds, and send its rights here.

        They are accepted at once by an allotment that is born here, and by a later one when it is first short,
        because the number stays. Returns the rights sent now; raises `UnavailableError`.
        """
        sent = 0
        key = holder.key(origin)
        with self._peers.reach(origin) as there:
            self.empty(there, origin, holder)
            item = there.get(self._table, *key)
            while item is not None and (free := allotment_from_item(item).unbacked):
                try:
                    item = there.update(self._table, *key, _sending(self.region, free, "unbacked"))
                    sent += free
                except ConditionFailedError as failed:
                    item = failed.item
        if item is not None:
            self.accept_rights(holder, origin, allotment_from_item(item).sent.get(self.region, 0))
        return sent

    def empty(self, there: Dynamo, region: str, holder: Holder) -> None:
        """Let a region's allotment give everything it holds back to its pools, idle or not."""
        key = holder.key(region)
        for _ in range(_RACES):
            item = there.get(self._table, *key)
            if item is None:
                return
            met = allotment_from_item(item)
            if not met.available:
                Stripes(there, self._table, region).gather(holder, 0, met.stripes, MAX_UNITS)
                return
            self._give_back(there, region, holder, met)

    def _spoken_for(self, region: str) -> bool:
        """Whether a third region claimed in advance what this one holds: it would be taken twice."""
        if len(self._peers.others) == 1:
            return False
        item = self._peers.here.get(self._states, *keys.region_state(self.region, region))
        return item is not None and item["state"] != Standing.SERVING and item["claimant"] not in {"", self.region}

    def _fenced(self, region: str) -> bool:
        """Whether another region is known here to be out of service."""
        item = self._peers.here.get(self._states, *keys.region_state(self.region, region))
        return item is not None and item["state"] != Standing.SERVING

    def reaches_all(self) -> bool:
        """Whether every other region answered lately."""
        return not any(self._peers.away(name) or self._spoken_for(name) for name in self._peers.others)

    def _accept(self, owner: Dynamo, key: keys.Key, origin: str, cumulative: int, into: str) -> int:
        """Count in what `origin` has sent altogether, once; returns how many units are new."""
        if not cumulative:
            return 0
        attribute = accepted_from(origin)
        item = owner.get(self._table, *key)
        while item is not None:
            seen = int(item.get(attribute, 0))
            if cumulative <= seen:
                return 0
            try:
                owner.update(self._table, *key, accepting(origin, seen, cumulative, into), returns="NONE")
            except ConditionFailedError as failed:
                item = failed.item
            else:
                return cumulative - seen
        return 0

    def _send_rights(
        self, there: Dynamo, region: str, holder: Holder, need: int, unborn: Callable[[str], Allotment]
    ) -> int:
        """Make the other region's write; returns what it has sent here altogether."""
        key = holder.key(region)
        item = there.get(self._table, *key)
        now_ms = to_millis(self._clock())
        for _ in range(_RACES):
            if item is None:
                newborn = unborn(region)
                units = to_send(newborn.unbacked, need, idle=True)
                born = allotment_to_item(send_rights(newborn, self.region, units), *key, holder.ends_ms)
                roster = keys.roster(region, holder.org_id, holder.meter, holder.period)
                there.put(self._table, {"pk": roster, "sk": holder.user_id})
                item = there.put_if_absent(self._table, born)
                if item is None:
                    return units
            met = allotment_from_item(item)
            asleep = idle(met, now_ms)
            if met.unbacked < need and met.available:
                self._give_back(there, region, holder, met)
                met = self._again(there, key, met)
            if met.unbacked < need and met.stripes > 1:
                Stripes(there, self._table, region).gather(holder, 0, met.stripes, need - met.unbacked)
                met = self._again(there, key, met)
            units = to_send(met.unbacked, need, idle=asleep)
            if not units:
                return met.sent.get(self.region, 0)
            try:
                sent = there.update(self._table, *key, _sending(self.region, units, "unbacked"))
            except ConditionFailedError as failed:
                item = failed.item
            else:
                return int(sent[sent_to(self.region)])
        return 0

    def _give_back(self, there: Dynamo, region: str, holder: Holder, met: Allotment) -> None:
        """Give back what an allotment of another region holds; a decision meanwhile prevents it."""
        key = holder.key(region)
        freed = Return(key, holder.org_id, holder.user_id, holder.meter, met, release(met))
        give_back(there, self._table, region, [freed])

    def _again(self, there: Dynamo, key: keys.Key, met: Allotment) -> Allotment:
        """Read an allotment anew that was changed."""
        item = there.get(self._table, *key)
        return allotment_from_item(item) if item else met

    def _send_units(self, there: Dynamo, region: str, grant: Grant, mine: Pool, wish: int, need: int) -> int:
        """Make the other region's write; returns what it has sent here altogether."""
        pool, now_ms = mint(grant, region), to_millis(self._clock())
        key = keys.pools(region, grant.org_id, grant.meter, grant.user_id), pool.key
        item: Item | None = there.get(self._table, *key)
        for _ in range(_RACES):
            if item is None:
                bear(there, self._table, self._states, region, key[0], pool)
                item = there.get(self._table, *key) or pool_to_item(pool, key[0])
            met = pool_from_item(item)
            fair = to_give(stock(met, now_ms), stock(mine, now_ms), need)
            units = min(fair, max(wish, need))
            if not units:
                return met.sent.get(self.region, 0)
            try:
                sent = there.update(self._table, *key, _sending(self.region, units, "available"))
            except ConditionFailedError as failed:
                item = failed.item
            else:
                return int(sent[sent_to(self.region)])
        return 0


def accepting(origin: str, seen: int, cumulative: int, into: str) -> Wire:
    """Make the update that counts in what was sent altogether, if `seen` is what was accepted so far."""
    guard = "#accepted = :seen" if seen else "attribute_not_exists(#accepted)"
    values = {"sent": cumulative, "more": cumulative - seen} | ({"seen": seen} if seen else {})
    wire = expression(f"SET #accepted = :sent, {into} = {into} + :more", guard, **values)
    wire["ExpressionAttributeNames"] = {"#accepted": accepted_from(origin)}
    return wire


def _sending(to: str, units: int, out_of: str) -> Item:
    wire = expression(
        f"SET {out_of} = {out_of} - :units, #sent = if_not_exists(#sent, :zero) + :more",
        f"{out_of} >= :units",
        units=units,
        more=units,
        zero=0,
    )
    wire["ExpressionAttributeNames"] = {"#sent": sent_to(to)}
    return wire
