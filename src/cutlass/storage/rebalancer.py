"""Moves units ahead of need and at a shortage: between regions' pools, and back from what allotments hold.

A region that is short asks the region that has most first. What another region's DynamoDB does not answer is
found again in its replicated copy. Everything here may be cut short at any step and begun again.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from cutlass.domain import rebalancing
from cutlass.domain.errors import UnavailableError
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import to_millis
from cutlass.domain.plans import MAX_UNITS, Catalogue
from cutlass.domain.pools import Pool
from cutlass.domain.sights import Sight
from cutlass.storage.directory import Directory
from cutlass.storage.pauses import Pauses
from cutlass.storage.peers import Peers
from cutlass.storage.regions import Gate
from cutlass.storage.subjects import Subjects
from cutlass.storage.sweeps import PAGES, Sweeps, Swept
from cutlass.storage.transfers import Transfers

CLAIMS, CLAIM_WAIT_SECONDS = 4, 0.3
"""How often and after how long a claim to sweep is tried again, where somebody would be refused without."""


class Rebalancer:
    """Keeps the pools of one region supplied."""

    def __init__(
        self,
        peers: Peers,
        directory: Directory,
        subjects: Subjects,
        transfers: Transfers,
        sweeps: Sweeps,
        gate: Gate,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._peers = peers
        self._directory = directory
        self._subjects = subjects
        self._transfers = transfers
        self._sweeps = sweeps
        self._gate = gate
        self._catalogue = catalogue
        self._clock = clock
        self._sleep = sleep
        self._pauses = Pauses(monotonic)
        self.region = peers.region

    # --- what the stream and the schedule start -------------------------------------------------------

    def pull_ahead(self, org_id: str, meter: str) -> int:
        """Even out what the regions have of a meter's grants before this one is short; returns what came."""
        if self._gate.fenced(self._peers.here):
            return 0
        organisation, _ = self._directory.find(org_id)
        if organisation is None or self._pauses.on(("pull", org_id, meter)):
            return 0
        sight = self._sight(organisation, meter)
        came, now_ms, asked = self.accept_sent(sight), self._now(), False
        for grant_id, pool in sight.own.items():
            wishes = rebalancing.pulls_ahead(pool, sight.stocks(grant_id, now_ms), now_ms)
            for region, units in wishes.items():
                came += self._transfers.take_units(sight.grants[grant_id], pool, region, units)
            scarce = bool(pool.rate) and not came and pool.cover_ms(now_ms) < rebalancing.SCARCE_MS
            if scarce:  # have what idle users hold given back, here and elsewhere, before the grant ends
                period = organisation.period_at(self._catalogue, self._clock()).key
                swept = Swept(org_id, meter, period)
                came += self._sweep(swept, sight, MAX_UNITS, only_idle=True)
                came += self.gather(swept, sight, 0)
            asked = asked or bool(wishes) or scarce
        if asked:
            self._pauses.note(("pull", org_id, meter), fruitless=not came)
        return came

    def even_out(self, organisation: Organisation) -> int:
        """Take in what was sent here, and send what others need more; returns the units that moved."""
        moved = 0
        for meter in organisation.plan_at(self._catalogue, self._clock()).meters:
            sight = self._sight(organisation, meter)
            moved += self.accept_sent(sight) + self._push(sight)
        return moved

    def even_out_all(self) -> int:
        """Do that for every organisation this region knows; one that fails does not keep the others from it."""
        moved = 0
        if self._gate.fenced(self._peers.here):
            return 0
        for organisation in self._directory.every():
            with suppress(UnavailableError):
                moved += self.even_out(organisation)
        return moved

    def short_soon(self, pool: Pool) -> bool:
        """Whether a pool of an organisation's will need units from elsewhere soon."""
        now_ms = self._now()
        cover_ms = pool.cover_ms(now_ms)
        return pool.user_id is None and pool.live(now_ms) and pool.rate > 0 and cover_ms < rebalancing.PULL_MS

    # --- at a shortage --------------------------------------------------------------------------------

    def accept_sent(self, sight: Sight) -> int:
        """Take in what other regions' copies show to be sent here; returns what is new."""
        came = 0
        for grant_id, pool in sight.own.items():
            for region, cumulative in sight.sent_here(grant_id).items():
                came += self._transfers.accept_units(sight.grants[grant_id], pool.key, region, cumulative)
        return came

    def pull(self, sight: Sight, need: int) -> int:
        """Get units of some grants from other regions; returns what came."""
        came = self.accept_sent(sight)
        if came:
            return came
        now_ms = self._now()
        for grant_id, pool in sight.own.items():
            others = sight.stocks(grant_id, now_ms)
            wishes = rebalancing.to_pull(rebalancing.stock(pool, now_ms), others, max(0, need - came))
            for region in [*wishes, *(region for region in others if region not in wishes)]:
                if came >= need and region not in wishes:
                    break
                left = max(0, need - came)
                grant = sight.grants[grant_id]
                came += self._transfers.take_units(grant, pool, region, wishes.get(region, left), left)
            if came >= need:
                break
        return came

    def sweep(self, swept: Swept, sight: Sight, enough: int, *, share: bool) -> int:
        """Take back what allotments here hold before somebody is refused; returns what came.

        One process of the region does it at a time. The others wait a moment for what it finds. With `share`,
        regions that are as short get their part of it at once.
        """
        came = self._sweep(swept, sight, enough, only_idle=False)
        if came and share:
            self._push(self._subjects.refreshed(sight))
        return came

    def gather(self, swept: Swept, sight: Sight, need: int) -> int:
        """Have idle users of other regions give back what they hold there; returns what came here."""
        pool, key = _common(sight), ("elsewhere", swept.org_id, swept.meter)
        if pool is None or self._pauses.on(key):
            return 0
        came = 0
        for region in self._peers.others:
            freed = 0
            with suppress(UnavailableError), self._peers.reach(region) as there:
                if self._sweeps.claim(there, region, swept, pool.key, only_idle=True):
                    freed = self._sweeps.sweep(there, region, swept, MAX_UNITS, only_idle=True)
            for grant_id, mine in sight.own.items() if freed else ():
                came += self._transfers.take_units(sight.grants[grant_id], mine, region, freed, need)
        self._pauses.note(key, fruitless=not came)
        return came

    # --- the parts ------------------------------------------------------------------------------------

    def _now(self) -> int:
        return to_millis(self._clock())

    def _sight(self, organisation: Organisation, meter: str) -> Sight:
        plan = organisation.plan_at(self._catalogue, self._clock())
        return self._subjects.sight(organisation, plan, meter)

    def _push(self, sight: Sight) -> int:
        went, now_ms = 0, self._now()
        for grant_id, pool in sight.own.items():
            wishes = rebalancing.to_push(rebalancing.stock(pool, now_ms), sight.stocks(grant_id, now_ms))
            for region, units in wishes.items():
                if not self._peers.away(region) and self._transfers.push_units(
                    sight.grants[grant_id], pool, region, units
                ):
                    went += units
        return went

    def _sweep(self, swept: Swept, sight: Sight, enough: int, *, only_idle: bool) -> int:
        key = ("idle" if only_idle else "all", swept.org_id, swept.meter)
        pool = _common(sight)
        if pool is None or self._pauses.on(key):
            return 0
        here = self._peers.here
        for attempt in range(CLAIMS):
            if self._sweeps.claim(here, self.region, swept, pool.key, only_idle=only_idle):
                came = self._sweeps.sweep(here, self.region, swept, enough, only_idle=only_idle, pages=PAGES)
                self._pauses.note(key, fruitless=not came)
                return came
            if only_idle or attempt + 1 == CLAIMS:
                break
            self._sleep(CLAIM_WAIT_SECONDS)
            if (there_now := self._subjects.refreshed(sight).available()) > sight.available():
                return there_now - sight.available()
        return 0


def _common(sight: Sight) -> Pool | None:
    """The pool of everybody's on which sweeps are claimed."""
    return next((pool for pool in sight.own.values() if pool.user_id is None), None)
