"""Housekeeping: what has to happen although nobody asks for it, in one region, organisation by organisation.

- At an organisation's home, the next period's grants are written on the last day of the one before.
- What expired and voided pools have left, or get back late, is ended.
- What allotments of ended periods still hold goes back to its pools.

Each is also done where a request meets it, and doing it again changes nothing. So a run may stop anywhere.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cutlass.domain.allotments import release, settle
from cutlass.domain.depots import of_depot
from cutlass.domain.errors import CutlassError
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import Period, to_millis
from cutlass.domain.plans import Catalogue
from cutlass.domain.pools import NEVER_MS
from cutlass.domain.stripes import unstriped
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments, allotment_of
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.minting import WRITE_AHEAD, Minting
from cutlass.storage.pools import Pools
from cutlass.storage.returns import Return, give_back

_LOOK_AGAIN = timedelta(hours=1)
"""How long an organisation with nothing to come is not looked at: what comes back late waits no longer."""

_LOOK_BACK = timedelta(days=3)
"""How long after its end a period is looked at."""

_STILL_DECIDING = timedelta(minutes=1)
"""How long after a period's end a decision that began before may still be under way."""

_PAGE = 100
"""Allotments read at once."""

_REMEMBERED = 100_000


@dataclass(slots=True)
class Kept:
    """What one run came to.

    Attributes
    ----------
    looked_at, passed_over : int
        Organisations that were due, and those that were not.
    opened : int
        Of them, those at home here on the last day of a period: the next one's grants are there.
    ended_units : int
        Units that expired, or were burned, in pools.
    settled : int
        Allotments of ended periods that gave back what they held.
    failed : list[str]
        Organisations that could not be kept, each with the reason.
    whole : bool
        Whether the run reached the last organisation.
    """

    looked_at: int = 0
    passed_over: int = 0
    opened: int = 0
    ended_units: int = 0
    settled: int = 0
    failed: list[str] = field(default_factory=list)
    whole: bool = False


class Housekeeping:
    """Keeps house in one region.

    Between runs it remembers how far the walk came and when each organisation is due again; a process that begins
    anew looks at all of them once.
    """

    def __init__(
        self,
        dynamo: Dynamo,
        directory: Directory,
        allotments: Allotments,
        pools: Pools,
        minting: Minting,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dynamo = dynamo
        self._directory = directory
        self._allotments = allotments
        self._pools = pools
        self._minting = minting
        self._catalogue = catalogue
        self._clock = clock
        self._monotonic = monotonic
        self._walk: Iterator[Organisation] | None = None
        self._due: dict[str, datetime] = {}
        self._settled: dict[tuple[str, str, str], datetime] = {}

    def run(self, seconds: float) -> Kept:
        """Walk on from where the last run stopped, until the last organisation or for so many seconds.

        An organisation that cannot be kept now is named in `failed` and tried again with the next walk.
        """
        kept = Kept()
        until = self._monotonic() + seconds
        walk = self._walk or self._directory.every()
        for organisation in walk:
            self._walk = walk  # if this one ends the run by a failure, the next run goes on behind it
            due = self._due.get(organisation.org_id)
            if due is not None and self._clock() < due:
                kept.passed_over += 1
            else:
                self._keep(organisation, kept)
            if self._monotonic() >= until:
                return kept
        self._walk = None
        kept.whole = True
        return kept

    def _keep(self, organisation: Organisation, kept: Kept) -> None:
        kept.looked_at += 1
        try:
            due = self._look(organisation, kept)
        except CutlassError as error:
            kept.failed.append(f"{organisation.org_id}: {error.message}")
            return
        if len(self._due) >= _REMEMBERED:
            self._due.clear()
        self._due[organisation.org_id] = due

    def _look(self, organisation: Organisation, kept: Kept) -> datetime:
        """Do what is to do for one organisation now; returns when to look again."""
        now = self._clock()
        period = organisation.period_at(self._catalogue, now)
        due = min(now + _LOOK_AGAIN, period.end)
        if organisation.home_region == self._directory.region:
            ahead = period.end - WRITE_AHEAD
            if ahead <= now:
                self._open(organisation, kept)
            else:
                due = min(due, ahead)
        for ended in self._ended(organisation, now):
            whole = True
            for meter in self._catalogue.meters:
                whole = self._settle(organisation, meter, ended, kept) and whole
            if not whole:
                due = min(due, max(now, ended.end + _STILL_DECIDING))
        for meter in self._catalogue.meters:
            if next_end := self._end_pools(organisation, meter, kept):
                due = min(due, next_end)
        return due

    def _open(self, organisation: Organisation, kept: Kept) -> None:
        """Write the next period's grants, by the terms as they are now and not as the walk read them."""
        current = self._directory.look(self._directory.region, organisation.org_id)
        if current is not None:
            self._minting.open_period(current)
            kept.opened += 1

    def _end_pools(self, organisation: Organisation, meter: str, kept: Kept) -> datetime | None:
        """End what is left in voided and expired pools of a meter; returns when the next of the others expires."""
        now = self._clock()
        now_ms, next_ms = to_millis(now), NEVER_MS
        owners = {
            grant.user_id
            for grant, voided in self._directory.grants(organisation, meter)
            if grant.user_id and (voided or grant.expires_at)
        }
        pools = self._pools.of(organisation.org_id, meter)
        for user_id in sorted(owners):
            pools += self._pools.of(organisation.org_id, meter, user_id, own=True)
        for pool in pools:
            kept.ended_units += self._pools.end(organisation.org_id, meter, pool, now_ms)
            if pool.available and pool.expires_ms > now_ms:
                next_ms = min(next_ms, pool.expires_ms)
        return None if next_ms == NEVER_MS else now + timedelta(milliseconds=next_ms - now_ms)

    def _ended(self, organisation: Organisation, now: datetime) -> list[Period]:
        """The organisation's periods that have ended lately, newest first."""
        found: list[Period] = []
        start = organisation.period_at(self._catalogue, now).start
        while now - start < _LOOK_BACK and start > organisation.created_at:
            period = organisation.period_at(self._catalogue, start - timedelta(milliseconds=1))
            found.append(period)
            start = period.start
        return found

    def _settle(self, organisation: Organisation, meter: str, period: Period, kept: Kept) -> bool:
        """Empty the allotments of an ended period; whether that is done for good."""
        done = (organisation.org_id, meter, period.key)
        if done in self._settled:
            return True
        began, left = self._clock(), False
        region, table = self._allotments.region, self._allotments.table
        users: list[str] = []
        pk = keys.roster(region, organisation.org_id, meter, period.key)
        for item in self._dynamo.query(table, pk):
            users.append(item["sk"])
            if len(users) == _PAGE:
                left = self._settle_page(organisation, meter, period, users, kept) or left
                users = []
        left = self._settle_page(organisation, meter, period, users, kept) or left
        if left or began < period.end + _STILL_DECIDING:
            return False
        if len(self._settled) >= _REMEMBERED:
            self._settled.clear()
        self._settled[done] = began
        return True

    def _settle_page(
        self, organisation: Organisation, meter: str, period: Period, users: list[str], kept: Kept
    ) -> bool:
        """Empty the allotments of some users; whether one of them still holds units."""
        region, table, left = self._allotments.region, self._allotments.table, False
        names = {keys.rostered(region, organisation.org_id, name, meter, period.key): name for name in users}
        items = self._dynamo.batch_get({table: list(names)}) if names else {}
        for key, name in names.items():
            met = allotment_of(items.get((table, *key)))
            if met is None or not met.available:
                continue
            # What a depot held was in nobody's hands: if it has expired, that is the pool's to tell.
            depot = of_depot(name)
            settled = release(met) if depot else settle(met, to_millis(self._clock()), everything=True)
            returned = Return(key, organisation.org_id, unstriped(name)[0], meter, met, settled)
            if give_back(self._dynamo, table, region, [returned]):
                left = True
            else:
                kept.settled += 1
        return left
