"""The workload of a scenario: the same requests, in the same order, for every way of keeping a limit."""

import random
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from itertools import accumulate

from cutlass.simulation.scenarios import Scenario

Arrival = tuple[float, int, int, int, int]
"""The moment in milliseconds, the request's number, the user's, the region's, and the units."""

_SPREAD = 0x9E3779B97F4A7C15
"""The golden ratio of 64 bits: multiples of it lie evenly, so users are spread over the regions by number."""


def position(user: int) -> float:
    """Where a user lies from 0 to 1: the shares of the load, laid end to end, say in which region that is."""
    return ((user + 1) * _SPREAD & (1 << 64) - 1) / (1 << 64)


def usual_region(scenario: Scenario, user: int) -> str:
    """The region a user calls at the start, by which the rights of the user's limit are divided."""
    return scenario.regions[_region(_bounds(scenario.weights[0][1]), position(user))]


def workload(scenario: Scenario, seed: int) -> Iterator[Arrival]:
    """Draw the requests: a Poisson process over users of unequal activity, who stay or roam."""
    rng = random.Random(f"workload {seed}")  # noqa: S311 - not a secret
    draw, rate = rng.random, scenario.requests_per_second / 1000
    changes = [since for since, _ in scenario.weights]
    bounds = [_bounds(shares) for _, shares in scenario.weights]
    least, most = scenario.units
    now = 0.0
    for number in range(scenario.requests):
        now += rng.expovariate(rate)
        user = int(scenario.users * draw() ** scenario.popularity)
        where = draw() if draw() < scenario.roaming else position(user)
        region = _region(bounds[bisect_right(changes, now) - 1], where)
        yield now, number, user, region, least if least == most else rng.randint(least, most)


@cache
def _bounds(shares: tuple[float, ...]) -> list[float]:
    return list(accumulate(shares))


def _region(bounds: list[float], where: float) -> int:
    return min(bisect_right(bounds, where), len(bounds) - 1)
