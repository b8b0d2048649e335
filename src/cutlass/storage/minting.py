"""How a period's grants come to be, and how this region gets its pools of every grant it may spend."""

from collections.abc import Callable
from datetime import datetime, timedelta

from cutlass.domain.errors import UnavailableError
from cutlass.domain.grants import Grant, missing_grants, superseded_grants
from cutlass.domain.organisations import Organisation
from cutlass.domain.plans import Catalogue
from cutlass.storage.directory import Directory, grant_to_item, void_to_item
from cutlass.storage.peers import Peers
from cutlass.storage.pools import Pools

WRITE_AHEAD = timedelta(days=1)
"""How long before a period ends the next one's grants are written, so that every region sees them in time."""

_RACES = 8


class Minting:
    """Grants of periods, written at the home region; pools, written in this region."""

    def __init__(
        self,
        peers: Peers,
        directory: Directory,
        pools: Pools,
        catalogue: Catalogue,
        table: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._peers = peers
        self._directory = directory
        self._pools = pools
        self._catalogue = catalogue
        self._table = table
        self._clock = clock

    def open_period(self, organisation: Organisation) -> str:
        """Write what the plan's grants of the current period (and soon the next) lack, at the home region.

        Grants written ahead that a change of terms has made wrong are voided before their period begins.
        Returns the region whose view of the grants is complete: this one, or the home region. Raises
        `UnavailableError` when the home region, which alone decides what is missing, does not answer.
        """
        here, home = self._directory.region, organisation.home_region
        now = self._clock()
        period = organisation.period_at(self._catalogue, now)
        complete = here
        for moment in [now, period.end] if period.end - now <= WRITE_AHEAD else [now]:
            if home != here and any(self._wrong(organisation, moment, at=here)):
                complete = home
            if complete == home:
                self._mend(organisation, moment)
        return complete

    def _mend(self, organisation: Organisation, moment: datetime) -> None:
        home = organisation.home_region
        there = self._directory.at_home(home)
        for _ in range(_RACES):
            missing, superseded = self._wrong(organisation, moment, at=home)
            for grant in superseded:
                if self._clock() >= grant.effective_at:
                    return  # its period began meanwhile: it stands
                there.put_if_absent(self._table, void_to_item(grant, home, self._clock()))
                self._pools.burn(grant)
            written = [there.put_if_absent(self._table, grant_to_item(grant, home)) is None for grant in missing]
            if not superseded and all(written):
                return
        raise UnavailableError("the organisation's plan is being changed by others", hint="send the request again")

    def mint(self, organisation: Organisation, meter: str, user_id: str | None = None) -> None:
        """Bring to life every pool of a meter from which the organisation, or one user, may be supplied here.

        Without an answer of the home region there is nothing new to mint: this region holds what it has.
        """
        complete = self._directory.region
        try:
            with self._peers.reach(organisation.home_region):
                complete = self.open_period(organisation)
        except UnavailableError:
            if organisation.home_region == complete:
                raise
        now = self._clock()
        self._pools.mint(
            (grant, voided)
            for grant, voided in self._directory.grants(organisation, meter, at=complete)
            if grant.user_id in {None, user_id} and (grant.expires_at is None or grant.expires_at > now)
        )

    def _wrong(self, organisation: Organisation, moment: datetime, *, at: str) -> tuple[list[Grant], list[Grant]]:
        """What grants a period lacks and, if it has not begun, which it has but should not."""
        plan = organisation.plan_at(self._catalogue, moment)
        period = organisation.period_at(self._catalogue, moment)
        now = self._clock()
        existing = [
            pair for meter in self._catalogue.meters for pair in self._directory.grants(organisation, meter, at=at)
        ]
        missing = missing_grants(organisation, plan, period, self._directory.topology, existing, now=now)
        superseded = superseded_grants(plan, period, existing) if now < period.start else []
        return missing, superseded
