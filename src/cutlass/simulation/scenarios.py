"""Scenarios: who asks where, how often, and what goes wrong meanwhile."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from cutlass.domain.errors import InvalidRequestError
from cutlass.simulation.geography import PLACES

DEMAND = 1.4
"""Units asked for, as a multiple of the units granted."""

FUZZ = "fuzz"
"""The name of scenarios drawn by `fuzzed`."""

LIMIT = 80_000
USERS = 200
REQUESTS_PER_SECOND = 300.0


@dataclass(frozen=True, slots=True)
class Cut:
    """No network between two regions from `start_ms` until `end_ms`."""

    one: str
    other: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Outage:
    """A region is gone from `start_ms` until `end_ms`; what it stored is there when it returns."""

    region: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class Credit:
    """A grant beside the plan's: of a user's own, or of everybody (`user` None); `ends_ms` None is never."""

    amount: int
    ends_ms: float | None
    user: int | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One setting in which every way of keeping a limit is tried.

    Attributes
    ----------
    regions : tuple[str, ...]
        The regions; the first is the organisation's home.
    weights : tuple[tuple[float, tuple[float, ...]], ...]
        The regions' shares of the load from a moment on, in milliseconds from the start.
    limit, user_limit : int
        Units of the plan's grant, and of each user.
    popularity : float
        1 where all users ask equally often; above, the lower a user's number the more.
    roaming : float
        The share of requests that a user makes from anywhere.
    units : tuple[int, int]
        The least and the most units of a request.
    lag_ms : tuple[float, float]
        The least and the most time a change takes to another region.
    lost, duplicated : float
        The shares of messages, also of answers to callers, that are lost or come twice.
    region_skew_ms, client_skew_ms : int
        How far the clocks of regions and of callers may be wrong, either way.
    meter_ms : float
        The time between two batches of the stream's consumer.
    audits : int
        Moments at which the invariants are checked, besides the end.
    """

    name: str
    regions: tuple[str, ...]
    weights: tuple[tuple[float, tuple[float, ...]], ...]
    home_percent: int = 80
    users: int = USERS
    limit: int = LIMIT
    user_limit: int = 1_500
    requests: int = int(LIMIT * DEMAND)
    requests_per_second: float = REQUESTS_PER_SECOND
    popularity: float = 1.5
    roaming: float = 0.05
    units: tuple[int, int] = (1, 1)
    lag_ms: tuple[float, float] = (500.0, 2000.0)
    cuts: tuple[Cut, ...] = ()
    outages: tuple[Outage, ...] = ()
    credits: tuple[Credit, ...] = ()
    lost: float = 0.0
    duplicated: float = 0.0
    region_skew_ms: int = 0
    client_skew_ms: int = 0
    meter_ms: float = 1000.0
    audits: int = 0

    @property
    def home(self) -> str:
        """The organisation's home region."""
        return self.regions[0]

    @property
    def span_ms(self) -> float:
        """The time in which all requests are made, about."""
        return self.requests / self.requests_per_second * 1000

    @property
    def faulty(self) -> bool:
        """Whether one request may reach a region more than once."""
        return bool(self.lost or self.duplicated or self.outages)

    def weights_at(self, moment_ms: float) -> tuple[float, ...]:
        """The regions' shares of the load at a moment."""
        return [shares for since, shares in self.weights if since <= moment_ms][-1]


def _plain(name: str, *shares: float) -> Scenario:
    return Scenario(name, tuple(PLACES)[: len(shares)], ((0.0, shares),))


def _flip() -> Scenario:
    base = _plain("flip", 0.8, 0.2)
    return replace(base, weights=((0.0, (0.8, 0.2)), (base.span_ms / 3, (0.2, 0.8))))


def _partition() -> Scenario:
    base = _plain("partition", 0.8, 0.2)
    start = base.span_ms / 4
    cut = Cut("london", "sydney", start, start + 60_000)
    return replace(base, cuts=(cut,), lost=0.001, duplicated=0.001)


def _region_loss() -> Scenario:
    base = _plain("region-loss", 0.8, 0.2)
    outage = Outage("sydney", base.span_ms * 0.3, base.span_ms * 0.6)
    return replace(base, outages=(outage,), lost=0.001, duplicated=0.001)


SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        scenario.name: scenario
        for scenario in (
            _plain("balanced", 0.5, 0.5),
            _plain("skew", 0.05, 0.95),  # against the split: most of the load is away from home
            _flip(),
            _partition(),
            _region_loss(),
            _plain("three-regions", 0.5, 0.3, 0.2),
            _plain("ten-regions", 0.28, 0.16, 0.12, 0.1, 0.08, 0.07, 0.06, 0.05, 0.04, 0.04),
        )
    }
)


def scenario(
    name: str,
    *,
    seed: int = 1,
    users: int | None = None,
    requests_per_second: float | None = None,
    limit: int | None = None,
) -> Scenario:
    """Find a scenario by name, and make it larger or smaller.

    The limit grows with the users where it is not given, and the rate with the limit, so that the span and
    with it what happens when stays as it is. A given rate stretches or shrinks all moments alike, except the
    length of a partition. The scenario `fuzz` is drawn anew for every seed, as `fuzzed` does.

    Raises
    ------
    InvalidRequestError
        There is no such scenario, or a number is out of range.
    """
    if name == FUZZ and users is requests_per_second is limit is None:
        return fuzzed(seed)
    found = SCENARIOS.get(name)
    if found is None:
        raise InvalidRequestError(f"there is no scenario {name!r}", hint=f"one of {', '.join(SCENARIOS)}")
    for what, value in (("users", users), ("requests per second", requests_per_second), ("limit", limit)):
        if value is not None and value <= 0:
            raise InvalidRequestError(f"{what} must be positive")
    users = users or found.users
    limit = limit or max(found.limit, users)
    requests = int(limit * DEMAND)
    rate = requests_per_second or found.requests_per_second * requests / found.requests
    user_limit = max(1, found.user_limit * found.users * limit // (found.limit * users))
    sized = replace(
        found, users=users, limit=limit, user_limit=user_limit, requests=requests, requests_per_second=rate
    )
    return _stretched(sized, sized.span_ms / found.span_ms)


def _stretched(base: Scenario, by: float) -> Scenario:
    return replace(
        base,
        weights=tuple((since * by, shares) for since, shares in base.weights),
        cuts=tuple(
            replace(cut, start_ms=cut.start_ms * by, end_ms=cut.start_ms * by + cut.end_ms - cut.start_ms)
            for cut in base.cuts
        ),
        outages=tuple(
            replace(outage, start_ms=outage.start_ms * by, end_ms=outage.end_ms * by) for outage in base.outages
        ),
    )


def fuzzed(seed: int) -> Scenario:
    """Draw a small scenario in which much goes wrong at once."""
    rng = random.Random(f"scenario {seed}")  # noqa: S311 - not a secret
    regions = tuple(PLACES)[: rng.choice((2, 2, 2, 3, 3, 4, 10))]
    requests, rate = rng.randint(60, 260), rng.choice((4.0, 15.0, 60.0))
    span = requests / rate * 1000
    users, limit = rng.choice((1, 3, rng.randint(1, 12))), rng.randint(requests // 4, requests)
    slowest = rng.choice((50.0, 2000.0, 10_000.0))
    return Scenario(
        name=FUZZ,
        regions=regions,
        weights=((0.0, _shares(rng, regions)), (span * rng.random(), _shares(rng, regions))),
        home_percent=rng.choice((0, 50, 80, 100)),
        users=users,
        limit=limit,
        user_limit=rng.choice((rng.randint(1, 10), 1 + limit // users, limit)),
        requests=requests,
        requests_per_second=rate,
        popularity=rng.choice((1.0, 1.5, 3.0)),
        roaming=rng.choice((0.0, 0.3, 1.0)),
        units=(1, rng.choice((1, 1, 4))),
        lag_ms=(slowest * rng.random(), slowest),
        cuts=tuple(_cut(rng, regions, span) for _ in range(rng.randint(0, 2))),
        outages=tuple(_outage(rng, regions, span) for _ in range(rng.randint(0, 2))),
        credits=tuple(_credit(rng, users, span) for _ in range(rng.randint(0, 3))),
        lost=rng.choice((0.0, 0.02, 0.2)),
        duplicated=rng.choice((0.0, 0.05, 0.3)),
        region_skew_ms=rng.choice((0, 200, 3000)),
        client_skew_ms=rng.choice((0, 1000, 20_000)),
        meter_ms=rng.choice((200.0, 1000.0, 5000.0)),
        audits=2,
    )


def _shares(rng: random.Random, regions: Sequence[str]) -> tuple[float, ...]:
    drawn = [rng.random() ** 2 + 0.01 for _ in regions]
    return tuple(share / sum(drawn) for share in drawn)


def _cut(rng: random.Random, regions: Sequence[str], span: float) -> Cut:
    one, other = rng.sample(regions, 2)
    start = span * rng.random()
    return Cut(one, other, start, start + span * rng.random() / 2)


def _outage(rng: random.Random, regions: Sequence[str], span: float) -> Outage:
    start = span * rng.random()
    return Outage(rng.choice(regions), start, start + span * rng.random() / 3)


def _credit(rng: random.Random, users: int, span: float) -> Credit:
    ends = rng.choice((None, span * (0.1 + 0.8 * rng.random())))
    return Credit(rng.randint(5, 120), ends, rng.choice((None, rng.randrange(users))))
