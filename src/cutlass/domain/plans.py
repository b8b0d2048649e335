"""The catalogue: meters, features, plans and what each plan allows.

These are the shapes of `contracts/plans.yaml` and `contracts/regions.yaml`; `cutlass.contracts` reads and
validates the files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cutlass.domain.alerts import Threshold

MAX_UNITS = 10**12
"""The largest amount anything may have, and what an unlimited user holds."""


class PeriodKind(StrEnum):
    """How often included units are granted anew."""

    DAY = "day"
    MONTH = "month"


class AtEnd(StrEnum):
    """What happens when the included units of a plan are used up."""

    DENY = "deny"
    CREDITS = "credits"
    OVERAGE = "overage"


@dataclass(frozen=True, slots=True)
class Feature:
    """Something a user does that is metered: `units` of `meter` unless the request names another number."""

    name: str
    title: str
    meter: str
    units: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a plan includes of one meter, per period. `user_limit` is None where users have no limit.

    `wait_for_regions` says whether a decision that would be refused waits for rights from other regions.
    """

    included: int
    user_limit: int | None
    at_end: AtEnd
    overage_cap: int = 0
    wait_for_regions: bool = True


@dataclass(frozen=True, slots=True)
class Throttle:
    """The gateway's outer fence for one organisation."""

    requests_per_second: int
    burst: int


@dataclass(frozen=True, slots=True)
class Plan:
    """One plan of the catalogue. `rank` rises with the plan: a higher one is an upgrade.

    `alerts` are the thresholds of organisations that set none of their own. For `detail_days` the archive keeps
    single entries, None for good; of older months it keeps sums.
    """

    name: str
    title: str
    rank: int
    period: PeriodKind
    features: frozenset[str]
    meters: Mapping[str, Allowance]
    throttle: Throttle
    alerts: tuple[Threshold, ...] = ()
    detail_days: int | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every meter (with its title), feature and plan, by name."""

    meters: Mapping[str, str]
    features: Mapping[str, Feature]
    plans: Mapping[str, Plan]


@dataclass(frozen=True, slots=True)
class Region:
    """One region of the platform: our name for it, its title, AWS's name, and the continents DNS sends here."""

    name: str
    title: str
    aws_region: str
    continents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topology:
    """The regions in order, and how a grant is divided over them (`home_percent` to the home region)."""

    regions: Mapping[str, Region]
    home_percent: int

    def split(self, amount: int, home: str) -> dict[str, int]:
        """Divide `amount` units over the regions: `home_percent` to `home`, the rest evenly, none lost.

        The home region's share is rounded up. No share falls when the amount rises (the others' are staggered
        for that, and add up by Hermite's identity): a raised limit must not leave units that one region has
        already handed out to another region too.
        """
        others = [name for name in self.regions if name != home]
        if not others:
            return {home: amount}
        rest, parts = amount * (100 - self.home_percent), 100 * len(others)
        shares = {name: (rest + 100 * place) // parts for place, name in enumerate(others)}
        return {home: amount - sum(shares.values()), **shares}
