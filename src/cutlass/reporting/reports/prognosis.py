"""When units run out: many possible futures, drawn from the weeks just past.

The method is a bootstrap by day of the week (B. Efron, "Bootstrap Methods: Another Look at the Jackknife",
1979): each future day uses what some day of the same weekday in the last eight weeks used, drawn at random. Units
are spent in the order of grants; a plan's grants come anew with each period, others do not. The day on which a
future runs out is noted; the median over all futures is the forecast, the 10th to the 90th of 100 the interval.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

HISTORY_DAYS, HORIZON_DAYS, FUTURES = 56, 366, 400
_LOW, _MIDDLE, _HIGH = 10, 50, 90


@dataclass(slots=True)
class Stock:
    """Units of one grant that may be spent until a day, not included; None: for good. `plan`: of the plan."""

    units: int
    until: date | None
    plan: bool


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the plan grants with each period: the units, and the day on which the period after a day begins."""

    units: int
    following: Callable[[date], date]


@dataclass(frozen=True, slots=True)
class Prognosis:
    """The days on which it happens in 10, 50 and 90 of 100 futures; None: not within the horizon."""

    early: date | None
    middle: date | None
    late: date | None

    @classmethod
    def of(cls, days: Sequence[date | None]) -> "Prognosis":
        """Summarise the days of all futures."""
        known = sorted(day or date.max for day in days)

        def at(percent: int) -> date | None:
            day = known[min(len(known) - 1, len(known) * percent // 100)]
            return None if day == date.max else day

        return cls(at(_LOW), at(_MIDDLE), at(_HIGH))


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the plan's units of a period are used up, and when everything is."""

    limit: Prognosis
    everything: Prognosis


def foresee(
    history: Sequence[tuple[date, int]], stocks: Sequence[Stock], renewal: Renewal | None, start: date, seed: str
) -> Forecast:
    """Forecast from the days up to `start`, each with the units used on it; the same seed, the same result.

    Parameters
    ----------
    stocks : sequence of Stock
        What is left, in the order of spending.
    renewal : Renewal, optional
        What comes with each period; nothing comes unless given.
    """
    chance = random.Random(seed)  # noqa: S311 (no secret: the same question gets the same answer)
    by_weekday: list[list[int]] = [[] for _ in range(7)]
    for day, used in history:
        by_weekday[day.weekday()].append(used)
    all_days = [used for _, used in history] or [0]
    draws = [used or all_days for used in by_weekday]
    futures = [_future(draws, stocks, renewal, start, chance) for _ in range(FUTURES)]
    return Forecast(Prognosis.of([limit for limit, _ in futures]), Prognosis.of([end for _, end in futures]))


def _future(
    draws: list[list[int]], stocks: Sequence[Stock], renewal: Renewal | None, start: date, chance: random.Random
) -> tuple[date | None, date | None]:
    """One future: the days on which the plan's units of a period, and on which all units, do not suffice."""
    left = [replace(stock) for stock in stocks]
    turn = renewal.following(start) if renewal else None
    limit: date | None = None
    for day in _days(start):
        if turn is not None and renewal is not None and day >= turn:
            turn = renewal.following(day)
            left.insert(0, Stock(renewal.units, turn, plan=True))
        left = [stock for stock in left if stock.units and (stock.until is None or day < stock.until)]
        need = chance.choice(draws[day.weekday()])
        plan = sum(stock.units for stock in left if stock.plan)
        if limit is None and need > plan:
            limit = day
        for stock in left:
            taken = min(stock.units, need)
            stock.units -= taken
            need -= taken
        if need:
            return limit, day
    return limit, None


def _days(start: date) -> Iterator[date]:
    for number in range(HORIZON_DAYS):
        yield start + timedelta(days=number)
