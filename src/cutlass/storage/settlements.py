"""Settling, on a region's return, what survivors claimed of it: every claim, before it serves.

Settling raises what the region has sent to what was claimed. What it has not got left is looked for in its
allotments, then in the survivors' pools; what is still missing was spent twice, and is booked as overdrawn.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from cutlass.domain.allotments import Allotment
from cutlass.domain.errors import NotFoundError, UnavailableError
from cutlass.domain.grants import Grant
from cutlass.domain.ids import digest
from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import from_millis, to_millis
from cutlass.domain.pools import Pool, mint
from cutlass.domain.regions import Claim, settle_rights, settle_units
from cutlass.storage import keys
from cutlass.storage.allotments import Holder
from cutlass.storage.claims import claim_key
from cutlass.storage.codec import Wire
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import TransactionFailedError, expression, put_of, update_of
from cutlass.storage.estates import Estates
from cutlass.storage.items import allotment_from_item, claim_from_item, pool_from_item, sent_to
from cutlass.storage.ledger import record_to_item
from cutlass.storage.peers import Peers
from cutlass.storage.pools import bear
from cutlass.storage.settings import Settings
from cutlass.storage.transfers import Transfers

_RACES = 8


@dataclass(frozen=True, slots=True)
class Overdraft:
    """Units a survivor was given in advance and the region had spent; empty `user_id` for a pool of all."""

    org_id: str
    meter: str
    user_id: str
    units: int


class Settlements:
    """Settles claims at the DynamoDB of the region that returns."""

    def __init__(
        self,
        peers: Peers,
        directory: Directory,
        estates: Estates,
        settings: Settings,
        clock: Callable[[], datetime],
    ) -> None:
        self._peers = peers
        self._directory = directory
        self._estates = estates
        self._table = settings.table(keys.LIMITS)
        self._states = settings.table(keys.ORGANISATIONS)
        self._ledger = settings.table(keys.LEDGER)
        self._clock = clock

    def unsettled(self, origin: str, survivor: str) -> list[Claim]:
        """Read a survivor's claims of a region that are not settled, at its own DynamoDB.

        Raises `UnavailableError`.
        """
        with self._peers.reach(survivor) as there:
            found = map(claim_from_item, there.query(self._table, keys.claims(survivor, origin)))
            return [claim for claim in found if not claim.settled]

    def settle(self, claim: Claim) -> Overdraft | None:
        """Settle one claim, once in effect however often; returns what was overdrawn by it.

        Raises `UnavailableError`.
        """
        short = self._settle_rights(claim) if claim.of_rights else self._settle_units(claim)
        with self._peers.reach(claim.survivor) as there:
            done = expression("SET settled = :yes", "attribute_exists(pk)", yes=True)
            there.update(self._table, *claim_key(claim), done, returns="NONE")
        return Overdraft(claim.org_id, claim.meter, claim.user_id, short) if short else None

    def _settle_units(self, claim: Claim) -> int:
        there = self._peers.at(claim.origin)
        grant = self._grant(claim)
        pk = keys.pools(claim.origin, claim.org_id, claim.meter, claim.user_id or None)
        gathered = False
        for _ in range(_RACES):
            item = there.get(self._table, pk, claim.item)
            if item is None:
                bear(there, self._table, self._states, claim.origin, pk, mint(grant, claim.origin))
                continue
            pool = pool_from_item(item)
            settled = settle_units(pool, claim.survivor, claim.cumulative)
            if settled == pool:
                return 0
            short = settled.overdrawn - pool.overdrawn
            if short and not gathered:
                self._gather(claim, grant)
                gathered = True
            elif self._write(claim, (pk, claim.item), _settling(claim, pool, settled), short):
                return short
        raise UnavailableError(f"a pool of {claim.org_id} is being changed by others", hint="run it again")

    def _settle_rights(self, claim: Claim) -> int:
        there = self._peers.at(claim.origin)
        holder = Holder(claim.org_id, claim.user_id, claim.meter, claim.item, 0)
        key = keys.allotment(claim.origin, claim.org_id, claim.user_id, claim.meter, claim.item)
        for _ in range(_RACES):
            item = there.get(self._table, *key)
            if item is None:  # it was seen in a copy, and period and user name it: it cannot be missing
                raise NotFoundError(f"{claim.origin} has no allotment of {claim.user_id} in {claim.item}")
            allotment = allotment_from_item(item)
            settled = settle_rights(allotment, claim.survivor, claim.cumulative)
            if settled == allotment:
                return 0
            short = settled.overdrawn - allotment.overdrawn
            if short and allotment.available:
                self._transfers(claim.origin).empty(there, claim.origin, holder)
            elif self._write(claim, key, _settling(claim, allotment, settled), short):
                return short
        raise UnavailableError(f"an allotment of {claim.user_id} is being changed by others", hint="run it again")

    def _gather(self, claim: Claim, grant: Grant) -> None:
        """Bring back to the region's pool what its allotments hold, then what survivors have not handed out."""
        organisation = self._organisation(claim.org_id)
        there = self._peers.at(claim.origin)
        transfers = self._transfers(claim.origin)
        for held in self._estates.allotments(claim.origin, organisation, at=claim.origin):
            if any(chunk.pool == claim.item for chunk in held.allotment.held):
                holder = Holder(claim.org_id, held.user_id, held.meter, held.period.key, held.period.end_ms)
                transfers.empty(there, claim.origin, holder)
        pk = keys.pools(claim.origin, claim.org_id, claim.meter, claim.user_id or None)
        item = there.get(self._table, pk, claim.item)
        if item is not None:
            owed = claim.cumulative - int(item.get(sent_to(claim.survivor), 0))
            pool = pool_from_item(item)
            if owed > pool.available:
                need = owed - pool.available
                for region in transfers.others:
                    need -= transfers.take_units(grant, pool, region, need, need) if need > 0 else 0

    def _write(self, claim: Claim, key: keys.Key, update: Wire, short: int) -> bool:
        """Write a settlement with its entry in the ledger, or neither."""
        writes = [update_of(self._table, *key, update)]
        if short:
            writes.append(put_of(self._ledger, record_to_item(self._entry(claim, short))))
        try:
            self._peers.at(claim.origin).transact(writes)
        except TransactionFailedError:
            return False
        return True

    def _entry(self, claim: Claim, short: int) -> LedgerEntry:
        return LedgerEntry(
            kind=EntryKind.OVERDRAFT,
            entry_id=digest(*claim_key(claim)).hex(),
            at=from_millis(to_millis(self._clock())),
            region=claim.origin,
            org_id=claim.org_id,
            meter=claim.meter,
            units=short,
            before=0,
            after=short,
            user_id=claim.user_id or None,
            reason=f"claimed by {claim.survivor}",
            spent=() if claim.of_rights else ((claim.item, short),),
        )

    def _transfers(self, region: str) -> Transfers:
        return Transfers(self._peers.seen_from(region), self._table, self._states, self._clock)

    def _organisation(self, org_id: str) -> Organisation:
        return self._directory.get(org_id)

    def _grant(self, claim: Claim) -> Grant:
        organisation = self._organisation(claim.org_id)
        places = [self._peers.region, *self._peers.others]
        for at in dict.fromkeys([organisation.home_region, *places]):
            with suppress(UnavailableError), self._peers.reach(at):
                for grant, _ in self._directory.grants(organisation, claim.meter, at=at):
                    if grant.grant_id == claim.grant_id:
                        return grant
        raise NotFoundError(f"no region knows grant {claim.grant_id} of {claim.org_id}")


def _settling(claim: Claim, met: Pool | Allotment, settled: Pool | Allotment) -> Wire:
    """Make the update that settles a claim, if all it changes still is what was seen of it."""
    sets, guards, values = ["#sent = :sent"], [], {"sent": claim.cumulative}
    for name in ("available", "expired", "burned") if isinstance(met, Pool) else ("unbacked",):
        before, after = getattr(met, name), getattr(settled, name)
        guards.append(f"{name} = :met_{name}")
        values[f"met_{name}"] = before
        if before != after:
            sets.append(f"{name} = :{name}")
            values[name] = after
    if short := settled.overdrawn - met.overdrawn:
        sets.append("overdrawn = if_not_exists(overdrawn, :zero) + :short")
        values |= {"zero": 0, "short": short}
    seen = met.sent.get(claim.survivor, 0)
    guards.append("#sent = :seen" if seen else "attribute_not_exists(#sent)")
    values |= {"seen": seen} if seen else {}
    wire = expression("SET " + ", ".join(sets), " AND ".join(guards), **values)
    wire["ExpressionAttributeNames"] = {"#sent": sent_to(claim.survivor)}
    return wire
