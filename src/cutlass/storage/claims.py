"""What a survivor gets of a fenced region: exactly by transfers, or in advance by claims that are settled later.

Every step is atomic at one region and may be repeated after any other: a claim is put if absent together
with what it accepts, and settling raises a counter to what was claimed.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime

from cutlass.domain import regions as rules
from cutlass.domain.depots import of_depot
from cutlass.domain.errors import ConflictError, UnavailableError
from cutlass.domain.grants import Grant
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import to_millis
from cutlass.domain.pools import Pool, mint
from cutlass.domain.regions import Claim, RegionState, Sight
from cutlass.storage import keys
from cutlass.storage.allotments import Holder
from cutlass.storage.dynamo import TransactionFailedError, put_of, update_of
from cutlass.storage.estates import Estates, HeldAllotment, Progress
from cutlass.storage.items import accepted_from, allotment_from_item, claim_to_item, pool_from_item
from cutlass.storage.peers import Peers
from cutlass.storage.pools import Pools
from cutlass.storage.regions import RegionStates
from cutlass.storage.transfers import Transfers, accepting

_RACES = 8

_RECORD, _FENCE = 0, 2
"""Places in the transaction that makes a claim."""


@dataclass(slots=True)
class Moved:
    """What came of a fenced region, in units of pools and rights of users' limits.

    Attributes
    ----------
    units, rights : int
        What came and is proven.
    claimed, claimed_rights : int
        What was accepted in advance, or with a dry run would be: the most that may be sold twice.
    stranded : int
        Units that the copies show beyond that, and that nothing proves to be there still.
    """

    units: int = 0
    rights: int = 0
    claimed: int = 0
    claimed_rights: int = 0
    stranded: int = 0
    organisations: int = 0
    unseen: list[str] = field(default_factory=list)


class Claims:
    """Claims for the region this process stands in, the survivor.

    Parameters
    ----------
    table : str
        The full name of the limits table.
    """

    def __init__(
        self,
        peers: Peers,
        states: RegionStates,
        estates: Estates,
        pools: Pools,
        transfers: Transfers,
        table: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._peers = peers
        self._states = states
        self._estates = estates
        self._pools = pools
        self._transfers = transfers
        self._table = table
        self._clock = clock
        self.region = peers.region

    def move(
        self, origin: str, organisations: list[Organisation], progress: Progress, *, dry_run: bool = False
    ) -> Moved:
        """Take everything a fenced region holds, by ordinary transfers: it answers, so nothing is claimed."""
        moved = Moved()
        for done, organisation in enumerate(organisations):
            progress(done, len(organisations))
            for held in self._estates.allotments(origin, organisation, at=origin):
                rights = 0 if of_depot(held.user_id) else held.allotment.available + held.allotment.unbacked
                if dry_run:
                    moved.units += held.allotment.available
                    moved.rights += rights
                elif of_depot(held.user_id):
                    self._transfers.empty(self._peers.at(origin), origin, _holder(organisation, held))
                else:
                    moved.rights += self._transfers.take_all_rights(_holder(organisation, held), origin)
            for grant in self._grants(organisation, moved):
                if dry_run:
                    moved.units += self._pool_at(origin, origin, grant).available
                    continue
                self._pools.mint([(grant, False)])
                moved.units += self._transfers.take_all_units(grant, mint(grant, self.region).key, origin)
            moved.organisations += 1
        progress(len(organisations), len(organisations))
        return moved

    def claim(
        self,
        state: RegionState,
        organisations: list[Organisation],
        progress: Progress,
        *,
        silent_ms: int = 0,
        unproven: bool = False,
        dry_run: bool = False,
    ) -> Moved:
        """Take what a region that does not answer had sent here and, with `unproven`, claim what its copies show.

        Parameters
        ----------
        silent_ms : int
            How long the region may have handed units out of which no copy tells.

        Raises `ConflictError` when the region is readmitted meanwhile.
        """
        moved = Moved()
        for done, organisation in enumerate(organisations):
            progress(done, len(organisations))
            for grant in self._grants(organisation, moved):
                self._claim_pool(state, organisation, grant, moved, silent_ms, unproven=unproven, dry_run=dry_run)
            for held in self._estates.allotments(state.region, organisation, at=self.region):
                self._claim_rights(state, organisation, held, moved, silent_ms, unproven=unproven, dry_run=dry_run)
            moved.organisations += 1
        progress(len(organisations), len(organisations))
        return moved

    def _claim_pool(
        self,
        state: RegionState,
        organisation: Organisation,
        grant: Grant,
        moved: Moved,
        silent_ms: int,
        *,
        unproven: bool,
        dry_run: bool,
    ) -> None:
        origin = state.region
        if not dry_run:
            self._pools.mint([(grant, False)])
        copy = self._pool_at(self.region, origin, grant)
        regions = [self.region, *(name for name in self._peers.others if name != origin)]
        accepted = {name: self._pool_at(name, name, grant).accepted.get(origin, 0) for name in regions}
        sight = Sight(copy.available, copy.sent, accepted)
        if proven := sight.proven(self.region):
            moved.units += proven
            if not dry_run:
                self._transfers.accept_units(grant, copy.key, origin, copy.sent[self.region])
        now_ms = to_millis(self._clock())
        kept_back = rules.margin(copy.allotted, now_ms - copy.starts_ms, silent_ms)
        cumulative, units = rules.advance(sight, self.region, kept_back)
        key = keys.pools(self.region, grant.org_id, grant.meter, grant.user_id), copy.key
        claim = self._new_claim(state, organisation.org_id, grant.meter, copy.key, cumulative, units)
        claim = _of(claim, user_id=grant.user_id or "", grant_id=grant.grant_id)
        made = self._made(claim, key, "available", state, wanted=unproven, dry_run=dry_run)
        moved.claimed += made
        moved.stranded += sight.left() - made

    def _claim_rights(
        self,
        state: RegionState,
        organisation: Organisation,
        held: HeldAllotment,
        moved: Moved,
        silent_ms: int,
        *,
        unproven: bool,
        dry_run: bool,
    ) -> None:
        """Claim rights of a user who has an allotment here; others get theirs when the command runs again.

        Those that lie in stripes stay there until the region is back; a depot has no rights of anybody's.
        """
        if held.stripe or of_depot(held.user_id):
            return
        origin, org_id = state.region, organisation.org_id
        regions = [self.region, *(name for name in self._peers.others if name != origin)]
        accepted = {}
        for name in regions:
            there = keys.allotment(name, org_id, held.user_id, held.meter, held.period.key)
            item = self._peers.at(name).get(self._table, *there)
            if item is None and name == self.region:
                return
            accepted[name] = allotment_from_item(item).accepted.get(origin, 0) if item else 0
        copy = held.allotment
        sight = Sight(copy.unbacked, copy.sent, accepted)
        if proven := sight.proven(self.region):
            moved.rights += proven
            if not dry_run:
                holder = _holder(organisation, held)
                self._transfers.accept_rights(holder, origin, copy.sent[self.region])
        over_ms = to_millis(self._clock()) - held.period.start_ms
        kept_back = rules.margin(copy.drawn - copy.extra, over_ms, silent_ms)
        cumulative, units = rules.advance(sight, self.region, kept_back)
        key = keys.allotment(self.region, org_id, held.user_id, held.meter, held.period.key)
        claim = self._new_claim(state, org_id, held.meter, held.period.key, cumulative, units)
        claim = _of(claim, user_id=held.user_id)
        moved.claimed_rights += self._made(claim, key, "unbacked", state, wanted=unproven, dry_run=dry_run)

    def _new_claim(
        self, state: RegionState, org_id: str, meter: str, item: str, cumulative: int, units: int
    ) -> Claim:
        return Claim(
            origin=state.region,
            survivor=self.region,
            epoch=state.epoch,
            org_id=org_id,
            meter=meter,
            item=item,
            user_id="",
            grant_id="",
            cumulative=cumulative,
            units=units,
            at_ms=to_millis(self._clock()),
        )

    def _made(
        self, claim: Claim, key: keys.Key, into: str, state: RegionState, *, wanted: bool, dry_run: bool
    ) -> int:
        """Make a claim, once in an epoch; returns the units of it."""
        if not wanted or not claim.units:
            return 0
        here = self._peers.here
        if here.get(self._table, *claim_key(claim)) is not None:
            return 0
        if dry_run:
            return claim.units
        for _ in range(_RACES):
            item = here.get(self._table, *key)
            seen = int(item.get(accepted_from(claim.origin), 0)) if item else claim.cumulative
            if seen >= claim.cumulative:
                return 0
            writes = [
                put_of(self._table, claim_to_item(claim, *claim_key(claim))),
                update_of(self._table, *key, accepting(claim.origin, seen, claim.cumulative, into)),
                self._states.guard(self.region, state),
            ]
            try:
                here.transact(writes)
            except TransactionFailedError as failed:
                if _FENCE in failed.failed:
                    raise ConflictError(
                        f"{claim.origin} is not what it was: nothing more is claimed",
                        hint="look at `cutlass region status`",
                    ) from None
                if _RECORD in failed.failed:
                    return 0  # it was made before
            else:
                return claim.units
        raise UnavailableError("the item is being changed by others", hint="run the command again")

    def _grants(self, organisation: Organisation, moved: Moved) -> Iterator[Grant]:
        """Grants that may still be spent; of an organisation whose home does not answer, those known here."""
        try:
            found = self._estates.grants(organisation)
        except UnavailableError:
            moved.unseen.append(organisation.org_id)
            found = self._estates.grants(organisation, copies=True)
        return (grant for grant, voided in found if not voided)

    def _pool_at(self, at: str, region: str, grant: Grant) -> Pool:
        """Read a region's pool of a grant as `at` has it; where it was not born it is as it would be."""
        unborn = mint(grant, region)
        pk = keys.pools(region, grant.org_id, grant.meter, grant.user_id)
        item = self._peers.at(at).get(self._table, pk, unborn.key)
        return pool_from_item(item) if item else unborn


def claim_key(claim: Claim) -> keys.Key:
    """The key of a claim: one of each pool or allotment in an epoch."""
    item = f"{claim.meter}#{claim.user_id}#{claim.item}"
    return keys.claim(claim.survivor, claim.origin, claim.org_id, item, claim.epoch)


def _of(claim: Claim, **values: str) -> Claim:
    return Claim(**(asdict(claim) | values))


def _holder(organisation: Organisation, held: HeldAllotment) -> Holder:
    return Holder(organisation.org_id, held.user_id, held.meter, held.period.key, held.period.end_ms)
