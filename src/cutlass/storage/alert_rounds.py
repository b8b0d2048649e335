"""The scheduled part of alerts: the looks that are due, and what a region finds when it takes another's place."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from cutlass.domain.depots import of_depot
from cutlass.domain.organisations import Organisation
from cutlass.domain.plans import Catalogue
from cutlass.domain.stripes import unstriped
from cutlass.storage import keys
from cutlass.storage.alert_dues import AlertDues, Due
from cutlass.storage.alert_evaluator import AlertEvaluator
from cutlass.storage.alert_figures import Look
from cutlass.storage.alert_homes import AlertHomes
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import Dynamo

_USERS = 100
"""Users looked at together."""


@dataclass(slots=True)
class Round:
    """What one run came to: looks taken, alerts recorded, and whether it came to the end in its time."""

    looks: int = 0
    alerts: int = 0
    whole: bool = True


class AlertRounds:
    """Takes the looks that are due in one region.

    Parameters
    ----------
    table, limits : str
        The full names of the alerts table, and of the one with the rosters.
    """

    def __init__(
        self,
        dynamo: Dynamo,
        directory: Directory,
        homes: AlertHomes,
        dues: AlertDues,
        evaluator: AlertEvaluator,
        catalogue: Catalogue,
        *,
        table: str,
        limits: str,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dynamo = dynamo
        self._directory = directory
        self._homes = homes
        self._dues = dues
        self._evaluator = evaluator
        self._catalogue = catalogue
        self._table = table
        self._limits = limits
        self._clock = clock
        self._monotonic = monotonic

    def run(self, seconds: float) -> Round:
        """Take every look that is due, for so long at most; the next run goes on from there."""
        end = self._monotonic() + seconds
        found = Round()
        self._take_over()
        taken: set[tuple[str, str | None]] = set()
        for due in self._dues.pending():
            if (due.org_id, due.user_id) not in taken and not self._take(due, end, found):
                found.whole = False
                return found
            taken.add((due.org_id, due.user_id))
            self._dues.done(due)
            if self._monotonic() >= end:
                found.whole = False
                return found
        return found

    def _take(self, due: Due, end: float, found: Round) -> bool:
        """Look at what one item says; False if the time was over before the last user."""
        organisation, _ = self._directory.find(due.org_id)
        if organisation is None:
            return True
        period = organisation.period_at(self._catalogue, self._clock()).key
        meters = list(organisation.plan_at(self._catalogue, self._clock()).meters)
        found.looks += 1
        if due.user_id:
            found.alerts += self._evaluator.look(Look(due.org_id, due.user_id, meter, period) for meter in meters)
            return True
        found.alerts += self._evaluator.look(Look(due.org_id, None, meter, period) for meter in meters)
        if due.user_id is not None:
            return True
        everyone = self._users(organisation, meters, period, due.after)
        while users := list(islice(everyone, _USERS)):
            looks = {(of, name): Look(due.org_id, name, of, period) for _, of, name in users}
            found.alerts += self._evaluator.look(looks.values())
            if self._monotonic() >= end:
                self._dues.reached(due, users[-1])
                return False
        return True

    def _users(
        self, organisation: Organisation, meters: Iterable[str], period: str, after: tuple[str, str, str] | None
    ) -> Iterator[tuple[str, str, str]]:
        """Whoever has an allotment of the period: region, meter and user, behind the place that was reached."""
        for region in self._directory.topology.regions:
            for meter in meters:
                if after is not None and after[:2] != (region, meter):
                    continue
                roster = keys.roster(region, organisation.org_id, meter, period)
                for line in self._dynamo.query(self._limits, roster, after=after[2] if after else None):
                    user_id, stripe = unstriped(line["sk"])
                    if not stripe and not of_depot(user_id):
                        yield region, meter, user_id
                after = None

    def _take_over(self) -> None:
        """Where this region's part has changed, note that everyone at home there is to be looked at."""
        states = self._homes.states()
        for name, state in states.items():
            if self._homes.of(name) != self._homes.region:
                continue
            key = keys.watched(self._homes.region, name)
            item = self._dynamo.get(self._table, *key)
            if (item["epoch"] if item else 1) >= state.epoch:
                continue
            for organisation in self._directory.every(home=name):
                self._dues.everyone(organisation, f"epoch{state.epoch}")
            self._dynamo.put(self._table, {"pk": key[0], "sk": key[1], "epoch": state.epoch})
