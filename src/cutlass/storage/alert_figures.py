"""What alerts are decided by: units spent over all regions, read anew each time.

An organisation's are the sums of its days in the table of usage. A user's are the allotments of the period, which
count what was spent in one region; of another region there is only a copy, which may be older than the copy of the
user's day that started the look. Both say at which of the allotment's events they stand, so the newer one counts.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cutlass.domain.metering import newest
from cutlass.domain.periods import Period
from cutlass.domain.stripes import striped
from cutlass.storage import keys
from cutlass.storage.allotments import allotment_of
from cutlass.storage.codec import Item
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.usage import Usage

LookKey = tuple[str, str | None, str, str]
"""Organisation, user, meter and period."""

Place = tuple[str, int]
"""A region, and a stripe there."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one allotment had spent in its period at one of its events."""

    seq: int = 0
    spent: int = 0


@dataclass(slots=True)
class Look:
    """A figure to be looked at: a user's, or with `user_id` None the organisation's.

    Attributes
    ----------
    step : int
        Units that what started the look has added.
    seen : dict
        What was seen of the user's allotments beside the tables.
    """

    org_id: str
    user_id: str | None
    meter: str
    period: str
    step: int = 0
    seen: dict[Place, Figure] = field(default_factory=dict)

    @property
    def key(self) -> LookKey:
        """What makes two looks the same."""
        return self.org_id, self.user_id, self.meter, self.period

    def see(self, place: Place, figure: Figure) -> None:
        """Keep the newer of two figures of one allotment."""
        if place not in self.seen or self.seen[place].seq < figure.seq:
            self.seen[place] = figure


class AlertFigures:
    """Reads usage over all regions, as it is known in one.

    Parameters
    ----------
    limits, days : str
        The full names of the tables with allotments and with usage by day.
    """

    def __init__(
        self,
        dynamo: Dynamo,
        usage: Usage,
        regions: Iterable[str],
        region: str,
        *,
        limits: str,
        days: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._dynamo = dynamo
        self._usage = usage
        self._regions = list(regions)
        self._region = region
        self._limits = limits
        self._days = days
        self._clock = clock

    def organisation(self, look: Look, period: Period) -> int:
        """Units an organisation has spent of a meter in a period."""
        totals = (self._usage.period_totals(look.org_id, look.meter, period, name) for name in self._regions)
        return sum(total.used for total in totals)

    def users(self, looks: Iterable[Look]) -> dict[LookKey, int]:
        """Units users have spent, by the look's key: some hundred keys of the tables are read with one request."""
        looks = list(looks)
        figures = {look.key: dict(look.seen) for look in looks}
        first = [(look, (name, 0)) for look in looks for name in self._regions]
        stripes = self._add(figures, first)
        more = [
            (look, (name, stripe))
            for look in looks
            for name in self._regions
            for stripe in range(1, stripes.get((look.key, name), 1))
        ]
        if more:
            self._add(figures, more)
        return {key: sum(figure.spent for figure in places.values()) for key, places in figures.items()}

    def _add(
        self, figures: Mapping[LookKey, dict[Place, Figure]], places: list[tuple[Look, Place]]
    ) -> dict[tuple[LookKey, str], int]:
        """Add what the tables have of some allotments; returns how many stripes each user has in each region."""
        days = [f"{self._clock() - timedelta(days=back):%Y%m%d}" for back in (0, 1)]
        wanted: dict[str, list[keys.Key]] = defaultdict(list)
        for look, (region, stripe) in places:
            wanted[self._limits].append(_allotment(look, region, stripe))
            if region != self._region:
                wanted[self._days] += [_day(look, region, stripe, day) for day in days]
        items = self._dynamo.batch_get(wanted)
        stripes = {}
        for look, (region, stripe) in places:
            allotment = allotment_of(items.get((self._limits, *_allotment(look, region, stripe))))
            counted = [items.get((self._days, *_day(look, region, stripe, day))) for day in days]
            found = [Figure(allotment.seq, allotment.kept)] if allotment else []
            found += [figure for item in counted if item and (figure := figure_of_day(item))]
            known = figures[look.key]
            best = max((*found, known.get((region, stripe), Figure())), key=lambda figure: figure.seq)
            known[region, stripe] = best
            if stripe == 0 and allotment:
                stripes[look.key, region] = allotment.stripes
        return stripes


def figure_of_day(item: Item) -> Figure | None:
    """What a user's day says of the allotment; None of one written before days said it."""
    if "spent" not in item:
        return None
    return Figure(newest(tuple((low, high) for low, high in item["counted"])), item["spent"])


def _allotment(look: Look, region: str, stripe: int) -> keys.Key:
    return keys.allotment(region, look.org_id, look.user_id or "", look.meter, look.period, stripe)


def _day(look: Look, region: str, stripe: int, day: str) -> keys.Key:
    name = striped(look.period, stripe)
    return keys.user_rollup(region, look.org_id, day, look.user_id or "", look.meter, name)
