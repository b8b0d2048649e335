"""What happens when this region has too little: rights come from where they lie idle, or there is a reason."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from cutlass.domain import rebalancing
from cutlass.domain.allotments import Allotment
from cutlass.domain.decisions import Reason
from cutlass.domain.periods import to_millis
from cutlass.domain.plans import AtEnd
from cutlass.domain.refills import Shortage
from cutlass.domain.sights import Sight
from cutlass.storage.rebalancer import Rebalancer
from cutlass.storage.stripes import Stripes
from cutlass.storage.subjects import Subject, Subjects
from cutlass.storage.sweeps import Swept
from cutlass.storage.transfers import Transfers

_DRY_SECONDS = 1.0
"""How long a shortage is believed without minting and asking around again."""

_WAIT_SECONDS, _LOOKS = 0.05, 100
"""How long and how often those wait who find another thread at the same search."""

_REMEMBERED = 10_000

_Key = tuple[str, str | None, str, str]
"""Organisation, user or None for all of them, meter and period."""


@dataclass(frozen=True, slots=True)
class Dry:
    """A shortage of so many units met a moment ago, and the terms it was met under."""

    until: float
    units: int
    reason: Reason
    shortage: Shortage
    subject: Subject


class Shortages:
    """Relieves the shortages of one region; of those that come together in a process, one asks and all wait."""

    def __init__(
        self,
        subjects: Subjects,
        transfers: Transfers,
        rebalancer: Rebalancer,
        stripes: Stripes,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._subjects = subjects
        self._transfers = transfers
        self._rebalancer = rebalancer
        self._stripes = stripes
        self._clock = clock
        self._monotonic = monotonic
        self._dry: dict[_Key, Dry] = {}
        self._searching: dict[_Key, threading.Event] = {}
        self._lock = threading.Lock()

    # --- what is remembered ---------------------------------------------------------------------------

    def remembered(self, org_id: str, user_id: str | None, meter: str, period: str, units: int) -> Dry | None:
        """The shortage a user met a moment ago, if it tells that so many units are short too."""
        dry = self._dry.get((org_id, user_id, meter, period))
        if dry is None or self._monotonic() >= dry.until:
            return None
        more = units > dry.units and dry.reason is not Reason.REGION_SHORT
        return dry if more or units == dry.units else None

    def believed(self, subject: Subject, units: int) -> bool:
        """Whether somebody has asked around for so much a moment ago, in vain."""
        return any(self.remembered(*_key(subject, user), units) for user in (subject.user.user_id, None))

    def forget(self, subject: Subject) -> None:
        """There was enough: what was remembered is past."""
        self._dry.pop(_key(subject, subject.user.user_id), None)
        self._dry.pop(_key(subject, None), None)

    def _remember(self, key: _Key, dry: Dry) -> None:
        if len(self._dry) >= _REMEMBERED:
            self._dry.clear()
        self._dry[key] = dry

    # --- relief ---------------------------------------------------------------------------------------

    def relieve(self, subject: Subject, base: Allotment, units: int, shortage: Shortage) -> Reason | None:
        """Get some of what is short from elsewhere; returns None when any came, else why not.

        Only what this region's copies say may be in other regions is asked for there. When every region
        answered and none had anything, the limit is reached, whatever the copies say.
        """
        sight = self._sight(subject)
        of_one = shortage.of_user or any(grant.user_id for grant in sight.grants.values())
        key, own = _key(subject, subject.user.user_id if of_one else None), _key(subject, subject.user.user_id)
        dry = self.remembered(*key, units)
        if dry is None:
            with self._lock:
                other = self._searching.get(key)
                if other is None:
                    self._searching[key] = threading.Event()
            if other is not None:
                self._wait(other, subject, units, shortage)
                return None
            try:
                reason = self._search(subject, base, units, shortage, sight)
            finally:
                self._searching.pop(key).set()
            if reason is None:
                return None
            dry = Dry(self._monotonic() + _DRY_SECONDS, units, reason, shortage, subject)
            self._remember(key, dry)
            if not shortage.of_user and self._gather(subject, units, sight):
                self.forget(subject)
                return None
        # Whoever asks again finds it by its own key, without finding out whether it has grants of its own.
        self._remember(own, replace(dry, subject=subject))
        return dry.reason

    def _gather(self, subject: Subject, units: int, sight: Sight) -> int:
        """Look for what idle users hold in other regions; whoever waited for the search does not wait for this."""
        if not subject.plan.meters[subject.meter].wait_for_regions:
            return 0
        return self._rebalancer.gather(_swept(subject), sight, units)

    def _wait(self, other: threading.Event, subject: Subject, units: int, shortage: Shortage) -> None:
        for _ in range(_LOOKS):
            if other.wait(_WAIT_SECONDS):
                return
            if not shortage.of_user and sum(p.available for p in self._subjects.pools(subject)) >= units:
                return

    def _search(
        self, subject: Subject, base: Allotment, units: int, shortage: Shortage, sight: Sight
    ) -> Reason | None:
        if shortage.of_user and subject.stripes > 1:
            need = max(1, units - base.available - base.unbacked)
            if self._stripes.gather(subject.holder, subject.stripe, subject.stripes, need):
                return None
            subject, base = self._first(subject, base)
        reason = self._reason(subject, base, units, shortage, sight)
        may_wait = subject.plan.meters[subject.meter].wait_for_regions
        if shortage.of_user:
            if reason is not Reason.REGION_SHORT:
                return reason
            if self._take_rights(subject, base, units, may_wait=may_wait):
                return None
            sight = sight.of_user(subject.user.user_id)  # grants of the user's own need no rights
        if sight.grants and self._take_units(subject, base, units, sight, may_wait=may_wait):
            return None
        if reason is Reason.REGION_SHORT and may_wait and self._transfers.reaches_all():
            return self._reached(subject, shortage)
        return reason

    def _first(self, subject: Subject, base: Allotment) -> tuple[Subject, Allotment]:
        """Stripe 0, to which rights from other regions come: the others gather them from there."""
        met = self._stripes.read(subject.holder, [0]).get(0, base)
        return replace(subject, stripe=0), replace(met, total=base.total)

    def reason(self, subject: Subject, base: Allotment, units: int, shortage: Shortage) -> Reason:
        """Tell a limit that is reached from rights that may lie in another region."""
        return self._reason(subject, base, units, shortage, self._sight(subject))

    def _reason(self, subject: Subject, base: Allotment, units: int, shortage: Shortage, sight: Sight) -> Reason:
        if not shortage.of_user:
            there = sight.units()
        else:
            own = sight.of_user(subject.user.user_id).units()
            siblings = self._stripes.siblings(subject.holder, subject.stripe, subject.stripes).values()
            others = self._subjects.others(subject)
            extra = sum(part.extra for part in (base, *siblings, *others.values()) if part)
            if subject.limit is not None and base.total + base.reserved + units > subject.limit + extra + own:
                return Reason.USER_LIMIT_REACHED
            there = base.unbacked + own
            for region, other in others.items():
                there += other.unbacked + other.available if other else self._subjects.share(subject, region)
                if other:  # on its way, as far as this region knows
                    there += other.sent.get(self._subjects.region, 0) - base.accepted.get(region, 0)
        return Reason.REGION_SHORT if there >= units - base.available else self._reached(subject, shortage)

    @staticmethod
    def _reached(subject: Subject, shortage: Shortage) -> Reason:
        if shortage.of_user:
            return Reason.USER_LIMIT_REACHED
        at_end = subject.plan.meters[subject.meter].at_end
        return Reason.CREDITS_EXHAUSTED if at_end is AtEnd.CREDITS else Reason.ORG_LIMIT_REACHED

    def _sight(self, subject: Subject) -> Sight:
        return self._subjects.sight(
            subject.organisation, subject.plan, subject.meter, user_id=subject.user.user_id
        )

    def _take_rights(self, subject: Subject, base: Allotment, units: int, *, may_wait: bool) -> int:
        holder = subject.holder
        for region, other in self._subjects.others(subject).items():
            sent = other.sent.get(self._subjects.region, 0) if other else 0
            if sent and (came := self._transfers.accept_rights(holder, region, sent)):
                return came
        if not may_wait:
            return 0
        need = max(1, units - base.available - base.unbacked)
        return self._transfers.take_rights(holder, need, partial(self._unborn, subject))

    def _unborn(self, subject: Subject, region: str) -> Allotment:
        """The allotment another region would begin with, behind what the user's earlier ones there remember."""
        org_id, user_id = subject.organisation.org_id, subject.user.user_id
        earlier = self._transfers.earlier(region, org_id, user_id, subject.meter, subject.period.key)
        return self._subjects.newborn(subject, earlier, region=region)

    def _take_units(self, subject: Subject, base: Allotment, units: int, sight: Sight, *, may_wait: bool) -> int:
        """Get units for this region's pools: from where the copies show plenty, or else from allotments here."""
        rate = sight.rate_at(to_millis(self._clock()))
        need = max(1, units - base.available - sight.available())
        enough, there = rebalancing.enough(rate, need), sight.units()
        came = 0 if may_wait else self._rebalancer.accept_sent(sight)
        plenty = may_wait and there >= enough
        if plenty:
            came = self._rebalancer.pull(sight, need)
        if not came:
            came = self._rebalancer.sweep(_swept(subject), sight, enough, share=may_wait)
        if not came and may_wait and not plenty and there >= need:
            came = self._rebalancer.pull(sight, need)
        return came


def _swept(subject: Subject) -> Swept:
    return Swept(subject.organisation.org_id, subject.meter, subject.period.key)


def _key(subject: Subject, user_id: str | None) -> _Key:
    return subject.organisation.org_id, user_id, subject.meter, subject.period.key
