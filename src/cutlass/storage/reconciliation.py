"""Reconciliation of live items: looks that are fair to what goes on meanwhile, and what they came to.

Every region is read at its own DynamoDB, consistently. Decisions, refills and transfers go on meanwhile;
docs/reconciliation.md says why none of them looks like a problem.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from cutlass.domain.allotments import Allotment
from cutlass.domain.depots import SPAN
from cutlass.domain.errors import NotFoundError
from cutlass.domain.grants import Grant
from cutlass.domain.ledger import EntryKind
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import Period, to_millis
from cutlass.domain.plans import Catalogue
from cutlass.domain.pools import Pool
from cutlass.domain.reconciliation import (
    FLEETING,
    OF_TERMS,
    Breach,
    Comparison,
    Holder,
    Look,
    RegionLook,
    account,
    breaches,
    compare_ledger,
    compare_usage,
    periods_of,
)
from cutlass.domain.regions import Claim
from cutlass.domain.stripes import striped, unstriped
from cutlass.storage import keys
from cutlass.storage.directory import Directory, user_from_item
from cutlass.storage.items import allotment_from_item, claim_from_item
from cutlass.storage.ledger import Ledger
from cutlass.storage.peers import Peers
from cutlass.storage.pools import Pools
from cutlass.storage.reconciled import Problem, Reconciled
from cutlass.storage.settings import Settings
from cutlass.storage.usage import Usage

_LOOKS = 4
"""Looks at one region before it is said that its items kept changing."""

_CONFIRMATIONS = 3
"""Looks at all regions, in alternating order, before a fleeting breach is taken for one."""

_STILL_DECIDING = timedelta(days=1)
"""How long after its end a period may still be one to a region whose clock is wrong."""

_KEPT = timedelta(days=399)
"""How long items are certainly kept: a day less than until they expire."""


class Reconciliation:
    """Proves the invariants on the items of all regions."""

    def __init__(
        self,
        peers: Peers,
        directory: Directory,
        settings: Settings,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
    ) -> None:
        self.peers = peers
        self.directory = directory
        self.settings = settings
        self.catalogue = catalogue
        self.clock = clock
        self.regions = list(directory.topology.regions)

    def organisation(
        self, org_id: str, *, meters: Iterable[str] | None = None, ledger: bool = False
    ) -> Reconciled:
        """Reconcile an organisation, all of its meters or some; `ledger` reads also every entry of its ledger.

        Raises
        ------
        NotFoundError
            There is no such organisation.
        UnavailableError
            A region did not answer: nothing is proven.
        """
        found = self.directory.get(org_id)
        organisation = self.directory.look(found.home_region, org_id)
        if organisation is None:
            raise NotFoundError(f"there is no organisation {org_id!r}")
        result = Reconciled(org_id)
        for meter in meters or self.catalogue.meters:
            _Meter(self, organisation, meter, result).reconcile(ledger=ledger)
        return result


class _Meter:
    """One organisation's items of one meter."""

    def __init__(self, of: Reconciliation, organisation: Organisation, meter: str, result: Reconciled) -> None:
        self._of = of
        self._organisation = organisation
        self._org_id = organisation.org_id
        self._meter = meter
        self._result = result
        self._now = now = of.clock()
        self._all_kept = organisation.created_at > now - _KEPT
        self._since = organisation.created_at if self._all_kept else now - _KEPT
        periods = periods_of(organisation, of.catalogue, self._since, now)
        # Of an older period some pools may be gone that its allotments drew from.
        self._periods = {key: one for key, one in periods.items() if self._all_kept or one.start >= self._since}

    def reconcile(self, *, ledger: bool) -> None:
        look = self._look(self._of.regions)
        found = self._confirmed(breaches(look))
        for region, items in look.regions.items():
            self._result.items += len(items.pools) + len(items.allotments)
            if not items.whole:
                self._result.not_compared.append(f"{region}, {self._meter}: pools and allotments kept changing")
        self._result.accounts[self._meter] = account(look, to_millis(self._now))
        for comparison in self._comparisons(look, ledger=ledger):
            self._result.behind += comparison.behind
            found += comparison.breaches
        self._result.problems += [self._problem(breach) for breach in found]

    def _confirmed(self, found: list[Breach]) -> list[Breach]:
        """Keep what is certainly wrong: what is fleeting only if it shows in every look."""
        found = [b for b in found if b.invariant not in OF_TERMS or not self._changed_terms(b)]
        for turn in range(_CONFIRMATIONS):
            if not any(breach.invariant in FLEETING for breach in found):
                break
            order = self._of.regions if turn % 2 else self._of.regions[::-1]
            again = {breach.identity for breach in breaches(self._look(order))}
            found = [b for b in found if b.invariant not in FLEETING or b.identity in again]
        return found

    def _changed_terms(self, breach: Breach) -> bool:
        """Whether the limit of a breach's user may ever have been another one."""
        user_id = breach.holder[0] if breach.holder else ""
        home = self._organisation.home_region
        table = self._of.settings.table(keys.ORGANISATIONS)
        item = self._of.peers.at(home).get(table, *keys.user(home, self._org_id, user_id))
        return self._organisation.rev > 1 or item is None or user_from_item(item).rev > 1

    def _look(self, order: Sequence[str]) -> Look:
        """Look at one region after another, then at the grants, none of which is new since."""
        for _ in range(_LOOKS):
            owners = {grant.user_id for grant, _ in self._grants() if grant.user_id}
            regions = {region: self._region(region, owners) for region in order}
            grants = self._grants()
            if {grant.user_id for grant, _ in grants if grant.user_id} == owners:
                break
        else:
            regions = {name: RegionLook(r.pools, r.allotments, whole=False) for name, r in regions.items()}
        return Look(tuple(grants), regions, self._all_kept, tuple(self._claims()))

    def _claims(self) -> Iterator[Claim]:
        """What each region claimed of another in advance, as far as it is not settled."""
        table, of_meter = self._of.settings.table(keys.LIMITS), f"{self._org_id}#{self._meter}#"
        for survivor in self._of.regions:
            for origin in self._of.regions:
                pk = keys.claims(survivor, origin)
                there = self._of.peers.at(survivor)
                found = map(claim_from_item, there.query(table, pk, between=(of_meter, of_meter + "~")))
                yield from (claim for claim in found if not claim.settled)

    def _grants(self) -> list[tuple[Grant, bool]]:
        return list(self._of.directory.grants(self._organisation, self._meter, at=self._organisation.home_region))

    def _region(self, region: str, owners: Iterable[str]) -> RegionLook:
        """Read pools, allotments and pools again, until nothing moved between them meanwhile.

        Units move between a pool and an allotment in one transaction, which the pool counts, and between a depot
        and an allotment in one that the depot counts. So if pools and depots have counted the same before and
        after, what was read between is of one moment.
        """
        pools, depots = self._pools(region, owners), self._depots(region)
        for _ in range(_LOOKS):
            allotments = self._allotments(region, self._periods)
            before = _moved(pools, depots)
            pools, depots = self._pools(region, owners), self._depots(region)
            if before == _moved(pools, depots):
                return RegionLook(tuple(pools), allotments)
        return RegionLook(tuple(pools), allotments, whole=False)

    def _pools(self, region: str, owners: Iterable[str]) -> list[Pool]:
        reader = Pools(
            self._of.peers.at(region),
            self._of.settings.table(keys.LIMITS),
            self._of.settings.table(keys.ORGANISATIONS),
            region,
        )
        pools = reader.of(self._org_id, self._meter)
        for user_id in owners:
            pools += reader.of(self._org_id, self._meter, user_id, own=True)
        return pools

    def _depots(self, region: str) -> dict[Holder, Allotment]:
        """Read a region's depots of the periods in which somebody may still be handed something."""
        late = self._now - _STILL_DECIDING
        return self._allotments(region, [key for key, one in self._periods.items() if one.end > late], SPAN)

    def _allotments(
        self, region: str, periods: Iterable[str], span: tuple[str, str] | None = None
    ) -> dict[Holder, Allotment]:
        """Read a region's allotments of some periods, or those whose names lie in a span."""
        table, dynamo = self._of.settings.table(keys.LIMITS), self._of.peers.at(region)
        wanted: dict[keys.Key, Holder] = {}
        for period in periods:
            for line in dynamo.query(table, keys.roster(region, self._org_id, self._meter, period), between=span):
                user_id, stripe = unstriped(line["sk"])
                key = keys.rostered(region, self._org_id, line["sk"], self._meter, period)
                wanted[key] = user_id, striped(period, stripe)
        items = dynamo.batch_get({table: list(wanted)}) if wanted else {}
        return {wanted[pk, sk]: allotment_from_item(item) for (_, pk, sk), item in items.items()}

    def _comparisons(self, look: Look, *, ledger: bool) -> Iterable[Comparison]:
        """Compare with the usage the latest two periods; with the ledger, which knows no periods, all of them."""
        if ledger and not self._all_kept:
            self._result.not_compared.append(f"{self._meter}: the ledger goes back further than the allotments")
            ledger = False
        chosen = self._periods if ledger else self._latest()
        for region, items in look.regions.items():
            periods = {holder: unstriped(holder[1])[0] for holder in items.allotments}
            allotments = {h: one for h, one in items.allotments.items() if periods[h] in chosen}
            if not allotments:
                continue
            dynamo = self._of.peers.at(region)
            settings, clock = self._of.settings, self._of.clock
            usage = Usage(dynamo, settings.table(keys.USAGE), region, [region], clock)
            start = min(chosen[periods[holder]].start for holder in allotments)
            counted = usage.counted(self._org_id, self._meter, start, clock())
            yield compare_usage(region, allotments, counted)
            if ledger:
                charged = self._charged(Ledger(dynamo, settings.table(keys.LEDGER), region, [region]), start)
                yield compare_ledger(region, allotments, counted, charged)

    def _latest(self) -> dict[str, Period]:
        begun = sorted((period for period in self._periods.values() if period.start <= self._now), reverse=True)
        return {period.key: period for period in begun[:2]}

    def _charged(self, ledger: Ledger, start: datetime) -> dict[str, int]:
        """Units charged to each user and not refunded, in the ledger of one region."""
        charged: dict[str, int] = defaultdict(int)
        end = self._of.clock() + timedelta(days=1)
        for entry in ledger.between(self._org_id, start - timedelta(days=1), end):
            sign = {EntryKind.DECISION: 1, EntryKind.REFUND: -1}.get(entry.kind, 0)
            if sign and entry.meter == self._meter and entry.user_id:
                charged[entry.user_id] += sign * entry.units
        return charged

    def _problem(self, breach: Breach) -> Problem:
        region, home = breach.region, self._organisation.home_region
        if breach.pool:
            pk, sk = keys.pools(region, self._org_id, self._meter, breach.pool.user_id), breach.pool.key
        elif breach.holder:
            pk, sk = keys.allotment(region, self._org_id, breach.holder[0], self._meter, breach.holder[1])
        elif region:
            pk, sk = keys.pools(region, self._org_id, self._meter), ""
        else:
            pk, sk = keys.grants(home, self._org_id), breach.grant or ""
        return Problem(self._org_id, self._meter, region or home, pk, sk, breach.invariant, breach.words)


def _moved(pools: Iterable[Pool], depots: Mapping[Holder, Allotment]) -> tuple[dict[str, tuple[int, int]], int]:
    """What pools have counted of their dealings with allotments, by pool, and depots of theirs."""
    counted = {f"{pool.user_id}#{pool.key}": (pool.allotted, pool.returned) for pool in pools}
    return counted, sum(depot.handed for depot in depots.values())
