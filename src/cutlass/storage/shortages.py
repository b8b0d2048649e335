"""What happens when this region has too little: rights come from where they lie idle, or there is a reason."""

from functools import partial

from cutlass.domain.allotments import Allotment
from cutlass.domain.decisions import Reason
from cutlass.domain.grants import Grant
from cutlass.domain.plans import AtEnd
from cutlass.domain.pools import Pool
from cutlass.domain.refills import Shortage
from cutlass.storage.subjects import Subject, Subjects
from cutlass.storage.transfers import Holder, Taken, Transfers


class Shortages:
    """Relieves the shortages of one region."""

    def __init__(self, subjects: Subjects, transfers: Transfers) -> None:
        self._subjects = subjects
        self._transfers = transfers

    def relieve(self, subject: Subject, base: Allotment, units: int, shortage: Shortage) -> Reason | None:
        """Get some of what is short from the other regions; returns None when any came, else why not.

        Only what this region's copies say may be there is asked for. When every region answered and none had
        anything, the limit is reached, whatever the copies say.
        """
        reason = self.reason(subject, base, units, shortage)
        if reason is not Reason.REGION_SHORT:
            return reason
        taken = self._take_rights(subject, base, units) if shortage.of_user else Taken(0, everywhere=True)
        if not taken.units:
            grants = self._subjects.grants(subject)
            if shortage.of_user:  # grants of the user's own need no rights
                grants = {grant_id: grant for grant_id, grant in grants.items() if grant.user_id}
            from_pools = self._take_units(subject, base, units, grants)
            taken = Taken(from_pools.units, everywhere=taken.everywhere and from_pools.everywhere)
        if taken.units:
            return None
        return self._reached(subject, shortage) if taken.everywhere else reason

    def reason(self, subject: Subject, base: Allotment, units: int, shortage: Shortage) -> Reason:
        """Tell a limit that is reached from rights that may lie in another region."""
        grants = self._subjects.grants(subject)
        if not shortage.of_user:
            there = self._units_anywhere(subject, grants)
        else:
            own = self._units_anywhere(subject, {g: grant for g, grant in grants.items() if grant.user_id})
            if subject.limit is not None and base.total + base.reserved + units > subject.limit + base.extra + own:
                return Reason.USER_LIMIT_REACHED
            there = base.unbacked + own
            for region, other in self._subjects.others(subject).items():
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

    def _take_rights(self, subject: Subject, base: Allotment, units: int) -> Taken:
        org_id, user_id = subject.organisation.org_id, subject.user.user_id
        holder = Holder(org_id, user_id, subject.meter, subject.period.key, subject.period.end_ms)
        for region, other in self._subjects.others(subject).items():
            sent = other.sent.get(self._subjects.region, 0) if other else 0
            if sent and (units_new := self._transfers.accept_rights(holder, region, sent)):
                return Taken(units_new, everywhere=True)
        need = max(1, units - base.available - base.unbacked)
        return self._transfers.take_rights(holder, need, partial(self._unborn, subject))

    def _unborn(self, subject: Subject, region: str) -> Allotment:
        """The allotment another region would begin with, behind what the user's earlier ones there remember."""
        org_id, user_id = subject.organisation.org_id, subject.user.user_id
        earlier = self._transfers.earlier(region, org_id, user_id, subject.meter, subject.period.key)
        return self._subjects.newborn(subject, earlier, region=region)

    def _take_units(self, subject: Subject, base: Allotment, units: int, grants: dict[str, Grant]) -> Taken:
        own = {pool.grant_id: pool for pool in self._subjects.pools(subject)}
        for region, pools in self._copies(subject).items():
            for pool in pools:
                sent, mine = pool.sent.get(self._subjects.region, 0), own.get(pool.grant_id)
                grant = grants.get(pool.grant_id)
                if sent and mine and grant:
                    accepted = self._transfers.accept_units(grant, mine.key, region, sent)
                    if accepted:
                        return Taken(accepted, everywhere=True)
        held = sum(pool.available for pool in own.values() if pool.grant_id in grants)
        return self._transfers.take_units(grants, own, max(1, units - base.available - held))

    def _copies(self, subject: Subject) -> dict[str, list[Pool]]:
        others = [region for region in self._subjects.regions if region != self._subjects.region]
        return {region: self._subjects.pools(subject, region) for region in others}

    def _units_anywhere(self, subject: Subject, grants: dict[str, Grant]) -> int:
        """Units left in all regions' pools, as far as this region knows; a pool it does not see is full."""
        own = {pool.grant_id: pool for pool in self._subjects.pools(subject)}
        units = sum(pool.available for pool in own.values() if pool.grant_id in grants)
        for region, pools in self._copies(subject).items():
            seen = {pool.grant_id: pool for pool in pools}
            for grant_id, grant in grants.items():
                pool, mine = seen.get(grant_id), own.get(grant_id)
                if pool is None:
                    units += grant.split.get(region, 0) - (mine.accepted.get(region, 0) if mine else 0)
                else:
                    units += pool.available
                    if mine:  # on its way, as far as this region knows
                        units += pool.sent.get(self._subjects.region, 0) - mine.accepted.get(region, 0)
        return units
