"""How often what happens lies in the forecast's interval: a back-test over made-up organisations.

`python -m benchmarks.forecast` makes up demand of several shapes, lets the forecast see the first weeks of it, and
counts in how many of the cases the day on which units run out lies in the interval. It writes the shares into
docs/reports.md. All of it follows from seeds: a second run counts the same.
"""

import argparse
import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from benchmarks.machine import ROOT
from cutlass.reporting.reports.prognosis import HISTORY_DAYS, HORIZON_DAYS, Prognosis, Renewal, Stock, foresee

CASES = 200
_BEGIN, _END = "<!-- forecast -->", "<!-- /forecast -->"
_PAGE = ROOT / "docs" / "reports.md"
_MEAN = 1000
_START = date(2026, 6, 1)

Demand = Callable[[int, random.Random], float]
"""What is used on a day, counted from the day of the forecast."""


def _week(day: int) -> float:
    return 0.25 if (_START + timedelta(days=day)).weekday() >= 5 else 1.3


def _growing(chance: random.Random) -> float:
    """The growth of a week, of one organisation: it may be shrinking."""
    return chance.uniform(-0.04, 0.05)


def _flat(_: random.Random) -> Demand:
    return lambda _day, chance: _MEAN * chance.gauss(1, 0.1)


def _weekly(_: random.Random) -> Demand:
    return lambda day, chance: _MEAN * _week(day) * chance.gauss(1, 0.15)


def _growth(case: random.Random) -> Demand:
    rate = _growing(case)
    return lambda day, chance: _MEAN * (1 + rate) ** (day / 7) * _week(day) * chance.gauss(1, 0.15)


def _noisy(_: random.Random) -> Demand:
    return lambda _day, chance: _MEAN * chance.lognormvariate(-0.32, 0.8)


def _bursts(_: random.Random) -> Demand:
    def demand(_day: int, chance: random.Random) -> float:
        burst = chance.uniform(3, 8) if chance.random() < 0.06 else 1
        return _MEAN * chance.gauss(1, 0.2) * burst

    return demand


def _rare(_: random.Random) -> Demand:
    return lambda _day, chance: _MEAN * 3 * chance.gauss(1, 0.3) if chance.random() < 0.3 else 0


SHAPES: Mapping[str, tuple[str, Callable[[random.Random], Demand]]] = {
    "flat": ("the same every day, give or take 10 %", _flat),
    "weekly": ("five days' work and two quiet ones, give or take 15 %", _weekly),
    "growth": ("the same, growing by up to 5 % a week or shrinking by up to 4 %", _growth),
    "noise": ("anything from a third to three times the average", _noisy),
    "bursts": ("as flat, and every 16th day three to eight times as much", _bursts),
    "rare": ("nothing on two days of three, much on the third", _rare),
}


@dataclass(frozen=True, slots=True)
class Case:
    """One made-up organisation: the forecast's interval of one thing, and the day on which it happened."""

    found: Prognosis
    happened: date | None

    @property
    def inside(self) -> bool:
        """Whether it happened in the interval, its ends included."""
        return (self.found.early or date.max) <= (self.happened or date.max) <= (self.found.late or date.max)

    @property
    def early(self) -> bool:
        """Whether it happened before the interval."""
        return (self.happened or date.max) < (self.found.early or date.max)

    @property
    def width(self) -> int | None:
        """Days from the beginning to the end of the interval; None for one without an end."""
        if self.found.early is None or self.found.late is None:
            return None
        return (self.found.late - self.found.early).days


def back_test(shape: str, seed: int, history_days: int = HISTORY_DAYS) -> tuple[Case, Case]:
    """Let one made-up organisation happen: first the plan's units of a month run out, then prepaid ones.

    The plan has units for 8 to 28 days of average use, the prepaid stock for 5 to 90.
    """
    chance = random.Random(f"{shape}{seed}")
    demand = SHAPES[shape][1](chance)
    used = {day: max(0, round(demand(day, chance))) for day in range(-history_days, HORIZON_DAYS)}
    history = [(_START + timedelta(days=day), used[day]) for day in range(-history_days, 0)]
    plan = int(_MEAN * chance.uniform(8, 28))
    renewal = Renewal(plan, _next_month(_START), _next_month)
    limit = foresee(history, [Stock(plan, _next_month(_START), plan=True)], renewal, _START, f"{seed}")
    stock = int(_MEAN * chance.uniform(5, 90))
    everything = foresee(history, [Stock(stock, None, plan=False)], None, _START, f"{seed}")
    return (
        Case(limit.limit, _first_short(used, plan)),
        Case(everything.everything, _run_out(used, stock)),
    )


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _first_short(used: Mapping[int, int], plan: int) -> date | None:
    """The first day on which a month's units do not suffice; each month has its own."""
    left, turn = plan, _next_month(_START)
    for number in range(HORIZON_DAYS):
        day = _START + timedelta(days=number)
        if day >= turn:
            left, turn = plan, _next_month(day)
        if used[number] > left:
            return day
        left -= used[number]
    return None


def _run_out(used: Mapping[int, int], stock: int) -> date | None:
    for number in range(HORIZON_DAYS):
        stock -= used[number]
        if stock < 0:
            return _START + timedelta(days=number)
    return None


def share(cases: list[Case]) -> float:
    """Which share of the cases lies in its interval."""
    return sum(case.inside for case in cases) / len(cases)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--cases", type=int, default=CASES)
    options.add_argument("--days", type=int, default=HISTORY_DAYS, help="days of history the forecast sees")
    options.add_argument("--print", action="store_true", help="only print: leave the page as it is")
    chosen = options.parse_args()
    lines = [
        f"{chosen.cases} organisations of each shape, with {chosen.days} days of history.",
        "",
        "| what is used | plan's units: within | before | prepaid ones: within | before | interval, days |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for shape, (about, _) in SHAPES.items():
        plans, stocks = zip(*(back_test(shape, seed, chosen.days) for seed in range(chosen.cases)), strict=True)
        widths = sorted(math.inf if case.width is None else case.width for case in stocks)
        numbers = [f"{100 * share(list(plans)):.0f} %", _before(list(plans))]
        numbers += [f"{100 * share(list(stocks)):.0f} %", _before(list(stocks))]
        lines.append(f"| {about} | {' | '.join(numbers)} | {widths[len(widths) // 2]:.0f} |")
        print(lines[-1], flush=True)
    if not chosen.print:
        page = _PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(_BEGIN)
        table = "\n".join(lines)
        _PAGE.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{rest.partition(_END)[2]}", encoding="utf-8")


def _before(cases: list[Case]) -> str:
    return f"{100 * sum(case.early for case in cases) / len(cases):.0f} %"


if __name__ == "__main__":
    main()
