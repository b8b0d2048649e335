"""The peer zae-limiter (PyPI) as a worker: an `acquire` of a user that cascades to the organisation.

It runs by any Python that has it. What it answers is a rate limit by token buckets, in one region and without a
ledger.
"""

import argparse
import os
import warnings
from typing import Any

from benchmarks.peers.protocol import ORG, PLENTY, USERS, serve

_RESOURCE = "requests"


class ZaeLimiter:
    """Buckets of a day: what they refill in the seconds of a run is less than one unit of a small cap."""

    def __init__(self, options: argparse.Namespace) -> None:
        import zae_limiter  # noqa: PLC0415 (only the peer's own Python has it)

        warnings.simplefilter("ignore")
        self._zae: Any = zae_limiter
        self._repository = self._zae.SyncRepository(
            "benchmark", region=options.aws_region, endpoint_url=options.endpoint
        )
        self._limiter = self._zae.SyncRateLimiter(repository=self._repository)

    def prepare(self, cap: int | None) -> None:
        """Make its table, the organisation and users below it that cascade to it."""
        self._repository.create_table()
        waiter = self._repository._get_client().get_waiter("table_exists")  # it offers no other way to wait
        waiter.wait(TableName=self._repository.table_name)
        per_day = self._zae.Limit.per_day
        self._limiter.set_resource_defaults(_RESOURCE, [per_day("requests", PLENTY)])
        self._limiter.create_entity(ORG)
        if cap is not None:
            self._limiter.set_limits(ORG, [per_day("requests", cap)], resource=_RESOURCE)
        for user in USERS:
            self._limiter.create_entity(user, parent_id=ORG, cascade=True)

    def decide(self, user: str) -> bool:
        """Acquire a token of the user's and the organisation's."""
        try:
            with self._limiter.acquire(entity_id=user, resource=_RESOURCE, consume={"requests": 1}):
                return True
        except self._zae.RateLimitExceeded:
            return False


if __name__ == "__main__":
    os.environ.setdefault("AWS_EC2_METADATA_DISABLED", "true")
    serve(ZaeLimiter)
