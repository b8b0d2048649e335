"""The scheduled part of alerts: the looks that are due, and what a region finds when it takes another's place."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from cutlass.domain.depots import of_depot
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import Period
from cutlass.domain.pools import FIRST_EPOCH
from cutlass.domain.stripes import unstriped
from cutlass.storage import keys
from cutlass.storage.alert_dues import AlertDues, Due
from cutlass.storage.alert_evaluator import AlertEvaluator
from cutlass.storage.alert_figures import Look
from cutlass.storage.alert_table import AlertTable

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
    limits : str
        The full name of the table with the rosters.
    """

    def __init__(
        self,
        table: AlertTable,
        dues: AlertDues,
        evaluator: AlertEvaluator,
        *,
        limits: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dynamo, self._directory, self._homes = table.dynamo, table.directory, table.homes
        self._table, self._catalogue, self._clock = table.name, table.catalogue, table.clock
        self._dues = dues
        self._evaluator = evaluator
        self._limits = limits
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
        found.looks += 1
        periods = self._periods(organisation, before=due.before)
        if due.user_id is not None:
            found.alerts += self._look(due.org_id, [due.user_id or None], periods)
            return True
        if due.after is None:
            found.alerts += self._look(due.org_id, [None], periods)
        everyone = self._users(organisation, periods, due.after)
        while places := list(islice(everyone, _USERS)):
            names = dict.fromkeys(user_id for _, user_id in places)
            found.alerts += self._look(due.org_id, names, periods)
            if self._monotonic() >= end:
                self._dues.reached(due, places[-1])
                return False
        return True

    def _look(self, org_id: str, users: Iterable[str | None], periods: Mapping[Period, Iterable[str]]) -> int:
        return self._evaluator.look(
            Look(org_id, user_id, meter, period.key)
            for user_id in users
            for period, meters in periods.items()
            for meter in meters
        )

    def _periods(self, organisation: Organisation, *, before: bool) -> dict[Period, list[str]]:
        """The period of now and, if wanted, the one before, with the meters of their plans."""
        now = organisation.period_at(self._catalogue, self._clock())
        moments = [now.start, now.start - timedelta(milliseconds=1)] if before else [now.start]
        return {
            organisation.period_at(self._catalogue, moment): list(
                organisation.plan_at(self._catalogue, moment).meters
            )
            for moment in moments
        }

    def _users(
        self,
        organisation: Organisation,
        periods: Mapping[Period, Iterable[str]],
        after: tuple[str, str] | None,
    ) -> Iterator[tuple[str, str]]:
        """Whoever has an allotment of the periods: the roster and the name, behind the place that was reached."""
        rosters = [
            keys.roster(region, organisation.org_id, meter, period.key)
            for region in self._directory.topology.regions
            for period, meters in periods.items()
            for meter in meters
        ]
        if after is not None and after[0] in rosters:
            rosters = rosters[rosters.index(after[0]) :]
        for roster in rosters:
            behind = after[1] if after and after[0] == roster else None
            for line in self._dynamo.query(self._limits, roster, after=behind):
                user_id, stripe = unstriped(line["sk"])
                if not stripe and not of_depot(user_id):
                    yield roster, user_id

    def _take_over(self) -> None:
        """Where this region's part has changed, note that everyone at home there is to be looked at."""
        states = self._homes.states()
        for name, state in states.items():
            if state.epoch <= FIRST_EPOCH or self._homes.of(name) != self._homes.region:
                continue
            key = keys.watched(self._homes.region, name)
            item = self._dynamo.get(self._table, *key)
            if item and item["epoch"] >= state.epoch:
                continue
            for organisation in self._directory.every(home=name):
                self._dues.everyone(organisation, f"epoch{state.epoch}")
            self._dynamo.put(self._table, {"pk": key[0], "sk": key[1], "epoch": state.epoch})
