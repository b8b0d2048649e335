"""When units run out: many possible futures, drawn from the weeks just past.

The method is a bootstrap (B. Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979) in two steps, for
two things keep a forecast from being exact: chance, and that so few days do not tell what is usual.

- Each future first draws which of the last days it knows, by day of the week; one fewer than there are, which
  makes what is not known of their average as large as it is (P. J. McCarthy, C. B. Snowden, "The Bootstrap and
  Finite Population Sampling", 1985).
- Then each of its days uses what one of the days it knows used, of the same weekday, drawn at random and carried
  along their trend. That goes on for as many days as were seen and then ends: a damped trend (E. S. Gardner,
  E. McKenzie, "Forecasting Trends in Time Series", 1985).

Units are spent in the order of grants; a plan's grants come anew with each period, others do not. The day on which
a future runs out is noted; the median over all futures is the forecast, the 10th to the 90th of 100 the interval.
`benchmarks/forecast.py` measures how often it holds.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

HISTORY_DAYS, HORIZON_DAYS, FUTURES = 84, 366, 400
_LOW, _MIDDLE, _HIGH = 10, 50, 90

WEEKS_FOR_WEEKDAYS = 4
"""Of how many weeks days must be known before weekdays are told apart and a trend is believed."""

_FASTEST = math.log(2) / 28
"""The fastest trend that is believed: twice as much in four weeks."""

_Day = tuple[int, int]
"""A day, counted from the first of the forecast, and the units used on it."""


@dataclass(slots=True)
class Stock:
    """Units of one grant that may be spent until a day, not included; None: for good. `plan`: of the plan."""

    units: int
    until: date | None
    plan: bool


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the plan grants with each period.

    Attributes
    ----------
    units : int
        The units of a period.
    begins : date
        The day on which the next period begins: the first of the forecast, or a later one.
    following : Callable
        Gives the day on which the period after a day begins.
    """

    units: int
    begins: date
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
    past = _by_weekday(history, start)
    futures = [_future(_demand(past, len(history), start, chance), stocks, renewal, start) for _ in range(FUTURES)]
    return Forecast(Prognosis.of([limit for limit, _ in futures]), Prognosis.of([end for _, end in futures]))


def _by_weekday(history: Sequence[tuple[date, int]], start: date) -> list[list[_Day]]:
    """The days of each weekday; all of them for each where few are known."""
    days = [((day - start).days, used) for day, used in history] or [(-1, 0)]
    if len(days) < 7 * WEEKS_FOR_WEEKDAYS:
        return [days] * 7
    found: Mapping[int, list[_Day]] = defaultdict(list)
    for day, used in history:
        found[day.weekday()].append(((day - start).days, used))
    return [found[weekday] for weekday in range(7)]


def _demand(past: list[list[_Day]], seen: int, start: date, chance: random.Random) -> Iterator[int]:
    """What one future uses, day by day, by the days it knows and their trend."""
    drawn: dict[int, list[_Day]] = {}
    for days in past:  # where weekdays are not told apart they are one list, which is drawn from once
        drawn.setdefault(id(days), chance.choices(days, k=max(1, len(days) - 1)))
    rate = _trend(drawn.values()) if len(drawn) > 1 else 0.0
    known = [[used * math.exp(-rate * at) for at, used in drawn[id(days)]] for days in past]
    grown = 1.0
    for number in range(HORIZON_DAYS):
        days_like_it = known[(start.weekday() + number) % 7]
        yield round(days_like_it[int(chance.random() * len(days_like_it))] * grown)
        if number < seen:
            grown *= math.exp(rate)


def _trend(drawn: Iterable[Sequence[_Day]]) -> float:
    """By which share use grows with each day: the common slope within the weekdays (least squares)."""
    together = spread = total = 0.0
    count = 0
    for days in drawn:
        middle = sum(at for at, _ in days) / len(days)
        together += sum((at - middle) * used for at, used in days)
        spread += sum((at - middle) ** 2 for at, _ in days)
        total += sum(used for _, used in days)
        count += len(days)
    if not spread or not total:
        return 0.0
    return max(-_FASTEST, min(_FASTEST, together / spread / (total / count)))


def _future(
    demand: Iterator[int], stocks: Sequence[Stock], renewal: Renewal | None, start: date
) -> tuple[date | None, date | None]:
    """One future: the days on which the plan's units of a period, and on which all units, do not suffice."""
    left = [replace(stock) for stock in stocks]
    turn = renewal.begins if renewal else None
    limit: date | None = None
    for number, used in enumerate(demand):
        day, need = start + timedelta(days=number), used
        if turn is not None and renewal is not None and day >= turn:
            turn = renewal.following(day)
            left.insert(0, Stock(renewal.units, turn, plan=True))
        left = [stock for stock in left if stock.units and (stock.until is None or day < stock.until)]
        if limit is None and need > sum(stock.units for stock in left if stock.plan):
            limit = day
        for stock in left:
            taken = min(stock.units, need)
            stock.units -= taken
            need -= taken
        if need:
            return limit, day
    return limit, None
