"""What an operator does about a region that is gone, from a region that is there (docs/region-loss.md)."""

from dataclasses import dataclass, field

from cutlass.domain.errors import ConflictError, InvalidRequestError, UnavailableError
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import to_millis
from cutlass.domain.regions import RegionState
from cutlass.storage import keys
from cutlass.storage.claims import Claims, Moved
from cutlass.storage.estates import Estates, Progress
from cutlass.storage.fences import Fenced, Fences
from cutlass.storage.regions import RegionStates
from cutlass.storage.settlements import Overdraft, Settlements
from cutlass.storage.store import Store


@dataclass(frozen=True, slots=True)
class RegionView:
    """A region as it is known from here.

    Attributes
    ----------
    heartbeat_seconds : float or None
        How old its last heartbeat is here; None if none ever came.
    unsettled : int or None
        Claims against it that wait to be settled; None if a region that may have some does not answer.
    """

    state: RegionState
    reachable: bool
    heartbeat_seconds: float | None
    unsettled: int | None


@dataclass(frozen=True, slots=True)
class Returned:
    """A region that serves again, with the claims settled now and what they had overdrawn."""

    state: RegionState
    settled: int
    overdrafts: list[Overdraft] = field(default_factory=list)


class RegionLoss:
    """Fences, claims and readmits, standing in the region of a store.

    For a claim that region is the survivor it is made for.
    """

    def __init__(self, store: Store) -> None:
        settings, clock = store.settings, store.clock
        limits, states = settings.table(keys.LIMITS), settings.table(keys.ORGANISATIONS)
        self.region = store.region
        self._store = store
        self._states = RegionStates(store.peers, states)
        self._estates = Estates(store.peers, store.directory, store.catalogue, limits, clock)
        self._fences = Fences(store.peers, self._states, self._estates, limits, clock)
        self._claims = Claims(
            store.peers, self._states, self._estates, store.pools, store.transfers, limits, clock
        )
        self._settlements = Settlements(store.peers, store.directory, self._estates, settings, clock)

    def status(self) -> list[RegionView]:
        """Tell what is known of every region, from here."""
        ages = self._store.usage.ages()
        return [self._view(region, ages[region]) for region in self._store.topology.regions]

    def _view(self, region: str, age: float | None) -> RegionView:
        known = self._fences.known(region)
        unsettled: int | None = None
        if not known.away:
            unsettled = sum(len(self._settlements.unsettled(region, survivor)) for survivor in known.kept)
        return RegionView(known.state(region), known.reachable, age, unsettled)

    def fence(self, region: str, *, by: str, why: str, progress: Progress) -> Fenced:
        """Take a region out of service; see `Fences.fence`."""
        self._other(region, "fenced")
        return self._fences.fence(region, by=by, why=why, progress=progress)

    def reachable(self, region: str) -> bool:
        """Whether a region's DynamoDB answers; raises `ConflictError` if it serves."""
        self._other(region, "claimed from")
        known = self._fences.known(region)
        state = known.state(region)
        if state.serves or (known.reachable and (known.own is None or known.own.serves)):
            raise ConflictError(
                f"{region} is not fenced: what it holds it may spend",
                hint=f"fence it first: cutlass region fence {region}",
            )
        return known.reachable

    def move(self, region: str, *, org_id: str | None, progress: Progress, dry_run: bool = False) -> Moved:
        """Take everything a fenced region that answers holds, exactly."""
        if not self.reachable(region):
            raise UnavailableError(f"{region}'s DynamoDB does not answer")
        return self._claims.move(region, self._organisations(org_id), progress, dry_run=dry_run)

    def take_proven(self, region: str, *, org_id: str | None, progress: Progress, dry_run: bool) -> Moved:
        """Take what a fenced region that does not answer had already sent here: it is this region's own."""
        state = self._fences.known(region).state(region)
        return self._claims.claim(state, self._organisations(org_id), progress, dry_run=dry_run)

    def claim(
        self,
        region: str,
        *,
        denied: str,
        margin_seconds: int | None,
        org_id: str | None,
        progress: Progress,
        dry_run: bool,
    ) -> Moved:
        """Claim what the copies show of a fenced region that does not answer, less a margin.

        Parameters
        ----------
        denied : str
            How its writes are denied, in the operator's words; it is kept with the fence.
        margin_seconds : int, optional
            For how long it may have handed units out unseen; by default from its last heartbeat to the fence.

        Raises `UnavailableError` when another survivor does not answer, `ConflictError` when one claims.
        """
        if not denied.strip():
            raise InvalidRequestError("a claim that is not proven needs to say how the region's writes are denied")
        if self.reachable(region):
            raise ConflictError(f"{region}'s DynamoDB answers: what it holds is moved exactly, not claimed")
        state = self._fences.known(region).state(region)
        silent_ms = self._silence(state) if margin_seconds is None else margin_seconds * 1000
        if not dry_run:
            state = self._fences.claimant(region, self.region, denied)
        organisations = self._organisations(org_id)
        return self._claims.claim(
            state, organisations, progress, silent_ms=silent_ms, unproven=True, dry_run=dry_run
        )

    def _silence(self, state: RegionState) -> int:
        """Milliseconds from a region's last heartbeat, as it came here, to its fence."""
        age = self._store.usage.ages()[state.region]
        if age is None:
            raise ConflictError(
                f"no heartbeat of {state.region} ever came here: nothing tells how old its copies are",
                hint="give --margin-seconds",
            )
        return max(0, state.at_ms - (to_millis(self._store.clock()) - int(age * 1000)))

    def readmit(self, region: str, *, by: str, why: str, progress: Progress) -> Returned:
        """Settle every claim of every survivor, then let the region serve; again, after being cut short.

        Raises `UnavailableError` when the region or a survivor does not answer, and `ConflictError` when the
        region serves, does not know of its fence, or another operator decided something meanwhile.
        """
        self._other(region, "readmitted")
        settling = self._fences.begin_return(region)
        survivors = self._fences.survivors(region)
        claims = [claim for survivor in survivors for claim in self._settlements.unsettled(region, survivor)]
        overdrafts = []
        for done, claim in enumerate(claims):
            progress(done, len(claims))
            if overdraft := self._settlements.settle(claim):
                overdrafts.append(overdraft)
        progress(len(claims), len(claims))
        left = sum(len(self._settlements.unsettled(region, survivor)) for survivor in survivors)
        state = self._fences.end_return(region, settling, left, by=by, why=why)
        return Returned(state, len(claims), overdrafts)

    def _organisations(self, org_id: str | None) -> list[Organisation]:
        return self._estates.organisations() if org_id is None else [self._store.directory.get(org_id)]

    def _other(self, region: str, what: str) -> None:
        if region not in self._store.topology.regions:
            names = ", ".join(self._store.topology.regions)
            raise InvalidRequestError(f"there is no region {region!r}; there are: {names}", field="region")
        if region == self.region:
            raise InvalidRequestError(f"{region} cannot be {what} from itself", field="region")
