"""The regions' own DynamoDBs as one region reaches them, and which of them did not answer lately."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from cutlass.domain.errors import UnavailableError
from cutlass.storage.dynamo import Dynamo

_AWAY_SECONDS = 5.0
"""How long a region that did not answer is not waited for again."""


class Peers:
    """A client for every region's own DynamoDB, by the region's name."""

    def __init__(
        self,
        dynamos: Mapping[str, Dynamo],
        region: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dynamos = dynamos
        self._monotonic = monotonic
        self._away: dict[str, float] = {}
        self.region = region
        self.others = [name for name in dynamos if name != region]

    def at(self, region: str) -> Dynamo:
        """The client of a region, whether it answers or not."""
        return self._dynamos[region]

    @property
    def here(self) -> Dynamo:
        """The client of this region."""
        return self._dynamos[self.region]

    def seen_from(self, region: str) -> "Peers":
        """The same clients as another region uses them: what it is short of, and what it accepts."""
        return Peers(self._dynamos, region, self._monotonic)

    def away(self, region: str) -> bool:
        """Whether a region did not answer a moment ago."""
        return self._away.get(region, 0.0) > self._monotonic()

    @contextmanager
    def reach(self, region: str) -> Iterator[Dynamo]:
        """Call a region where a request waits for the answer: one that did not answer lately is not called.

        Raises `UnavailableError` at once for such a region.
        """
        if self.away(region):
            raise UnavailableError(f"{region} did not answer a moment ago")
        try:
            yield self._dynamos[region]
        except UnavailableError:
            if region != self.region:
                self._away[region] = self._monotonic() + _AWAY_SECONDS
            raise
