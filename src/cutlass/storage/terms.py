"""Carries changed terms into one region: organisations and users into allotments, grants into pools."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from cutlass.domain.grants import Grant
from cutlass.domain.organisations import Organisation, User
from cutlass.domain.plans import Catalogue
from cutlass.domain.refills import adopt
from cutlass.storage import keys
from cutlass.storage.allotments import Allotments
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.pools import Pools

_RACES = 20


class TermsKeeper:
    """Applies what the directory says to one region's allotments and pools, once or many times alike."""

    def __init__(
        self,
        dynamo: Dynamo,
        directory: Directory,
        allotments: Allotments,
        pools: Pools,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
    ) -> None:
        self._dynamo = dynamo
        self._directory = directory
        self._allotments = allotments
        self._pools = pools
        self._catalogue = catalogue
        self._clock = clock

    def apply_organisation(self, organisation: Organisation) -> int:
        """Tell every allotment of the current period of a newer revision; returns how many were told.

        From then on no decision is made on the older terms: it fails, and reads the new ones.
        """
        period = organisation.period_at(self._catalogue, self._clock()).key
        told = 0
        for meter in organisation.plan_at(self._catalogue, self._clock()).meters:
            pk = keys.roster(self._allotments.region, organisation.org_id, meter, period)
            for item in self._dynamo.query(self._allotments.table, pk):
                key = keys.rostered(self._allotments.region, organisation.org_id, item["sk"], meter, period)
                self._allotments.note_terms(key, organisation.rev)
                told += 1
        return told

    def apply_user(self, organisation: Organisation, user: User) -> None:
        """Bring the rights of a user's allotments to the user's limits as they are now."""
        now = self._clock()
        plan, period = organisation.plan_at(self._catalogue, now), organisation.period_at(self._catalogue, now)
        topology = self._directory.topology
        for meter in plan.meters:
            key = self._allotments.key(user.org_id, user.user_id, meter, period.key)
            share = user.share(plan, meter, self._allotments.region, organisation.home_region, topology, period)
            for _ in range(_RACES):
                met = self._allotments.read(key)
                if met is None or (met.rights == share and met.limit == user.limit(plan, meter)):
                    break
                new = adopt(met, rev=met.rev, plan=met.plan, limit=user.limit(plan, meter), share=share)
                if replace(new, refills=met.refills) == met or self._allotments.change(key, met, new):
                    break

    def apply_grant(self, grant: Grant) -> None:
        """Bring this region's pool of a grant to life, so that it is spent in its order."""
        self._pools.mint([(grant, False)])

    def apply_void(self, grant: Grant) -> int:
        """End what this region's pool of a voided grant still has; returns the units that ended."""
        return self._pools.burn(grant)
