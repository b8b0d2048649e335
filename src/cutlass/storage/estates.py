"""What a region holds, organisation by organisation: the walks of an operator over it."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from cutlass.domain.allotments import Allotment
from cutlass.domain.depots import SPAN, of_depot
from cutlass.domain.errors import UnavailableError
from cutlass.domain.grants import Grant
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import Period
from cutlass.domain.plans import Catalogue
from cutlass.domain.pools import Pool
from cutlass.domain.stripes import unstriped
from cutlass.storage import keys
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.items import allotment_from_item, pool_from_item
from cutlass.storage.peers import Peers

Progress = Callable[[int, int], None]
"""Told how many organisations of how many are done."""


@dataclass(frozen=True, slots=True)
class HeldPool:
    """A pool with its place."""

    key: keys.Key
    meter: str
    pool: Pool


@dataclass(frozen=True, slots=True)
class HeldAllotment:
    """An allotment with its place."""

    key: keys.Key
    user_id: str
    meter: str
    period: Period
    allotment: Allotment
    stripe: int = 0


class Estates:
    """Reads what any region holds: at its own DynamoDB, or this region's copies of it.

    Parameters
    ----------
    table : str
        The full name of the limits table.
    """

    def __init__(
        self,
        peers: Peers,
        directory: Directory,
        catalogue: Catalogue,
        table: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._peers = peers
        self._directory = directory
        self._catalogue = catalogue
        self._table = table
        self._clock = clock

    def organisations(self) -> list[Organisation]:
        """Every organisation that any region which answers knows, each as it was changed last.

        One made a moment ago may have pools already, so no region's list may be behind.
        """
        found: dict[str, Organisation] = {}
        for region in (self._peers.region, *self._peers.others):
            with suppress(UnavailableError), self._peers.reach(region):
                for organisation in self._directory.every(at=region, consistent=True):
                    met = found.get(organisation.org_id)
                    if met is None or met.rev < organisation.rev:
                        found[organisation.org_id] = organisation
        return sorted(found.values(), key=lambda organisation: organisation.org_id)

    def grants(
        self, organisation: Organisation, *, copies: bool = False, ended: bool = False
    ) -> list[tuple[Grant, bool]]:
        """Every grant, and whether it was voided: as its home has them, or by the copies here.

        Those that are over only if `ended`: to a clock that is behind they may not be. Raises `UnavailableError`.
        """
        at = self._peers.region if copies else organisation.home_region
        with self._peers.reach(at):
            return [
                (grant, voided)
                for meter in self._catalogue.meters
                for grant, voided in self._directory.grants(organisation, meter, at=at)
                if ended or grant.expires_at is None or grant.expires_at > self._clock()
            ]

    def pools(self, region: str, organisation: Organisation, users: set[str], *, at: str) -> Iterator[HeldPool]:
        """A region's pools of an organisation and of the own grants of some users, as `at` has them."""
        there = self._peers.at(at)
        for meter in self._catalogue.meters:
            for user in (None, *sorted(users)):
                pk = keys.pools(region, organisation.org_id, meter, user)
                for item in there.query(self._table, pk):
                    yield HeldPool((pk, item["sk"]), meter, pool_from_item(item))

    def allotments(self, region: str, organisation: Organisation, *, at: str) -> Iterator[HeldAllotment]:
        """A region's allotments of the current period and of those beside it, as `at` has them.

        A decision may still come to the one before, and by a clock that is ahead to the one after. Depots come
        before the allotments they hand over to, so that a walk which closes them leaves nobody behind it who could
        still be handed something.
        """
        there, org_id = self._peers.at(at), organisation.org_id
        for meter in self._catalogue.meters:
            for period in self._periods(organisation):
                for name in self._names(there, keys.roster(region, org_id, meter, period.key)):
                    key = keys.rostered(region, org_id, name, meter, period.key)
                    user_id, stripe = unstriped(name)
                    item = there.get(self._table, *key)
                    if item is not None:
                        yield HeldAllotment(key, user_id, meter, period, allotment_from_item(item), stripe)

    def _names(self, there: Dynamo, roster: str) -> Iterator[str]:
        """The names on a roster, depots first; the others are read when these are done with."""
        for line in there.query(self._table, roster, between=SPAN):
            yield line["sk"]
        for line in there.query(self._table, roster):
            if not of_depot(line["sk"]):
                yield line["sk"]

    def _periods(self, organisation: Organisation) -> list[Period]:
        now = organisation.period_at(self._catalogue, self._clock())
        before = organisation.period_at(self._catalogue, now.start - timedelta(milliseconds=1))
        return [before, now, organisation.period_at(self._catalogue, now.end)]
