"""The pools of one region: born once from grants, drawn from by refills, burned by voids."""

from collections.abc import Iterable
from dataclasses import replace

from cutlass.domain.errors import UnavailableError
from cutlass.domain.grants import Grant
from cutlass.domain.pools import Pool, end, measure, mint
from cutlass.storage import keys
from cutlass.storage.codec import Item, Wire
from cutlass.storage.dynamo import (
    ConditionFailedError,
    Dynamo,
    TransactionFailedError,
    expression,
    put_of,
    update_of,
)
from cutlass.storage.items import pool_from_item, pool_to_item
from cutlass.storage.regions import read_state

_RACES = 5


class Pools:
    """The pools of one region.

    Parameters
    ----------
    table : str
        The full name of the limits table.
    states : str
        That of the table with the regions' states.
    """

    def __init__(self, dynamo: Dynamo, table: str, states: str, region: str) -> None:
        self._dynamo = dynamo
        self._table = table
        self._states = states
        self.region = region

    def of(
        self,
        org_id: str,
        meter: str,
        user_id: str | None = None,
        *,
        region: str | None = None,
        own: bool = False,
    ) -> list[Pool]:
        """Read the organisation's pools of a meter and, given a user, those of the user's own grants.

        `region` reads this region's copy of another region's pools, which may be behind; `own` reads only
        those of the user's own grants.
        """
        owner = region or self.region
        partitions = [] if own else [keys.pools(owner, org_id, meter)]
        if user_id is not None:
            partitions.append(keys.pools(owner, org_id, meter, user_id))
        return [pool_from_item(item) for pk in partitions for item in self._dynamo.query(self._table, pk)]

    def mint(self, grants: Iterable[tuple[Grant, bool]]) -> None:
        """Bring this region's pools of some grants to life, each once; a voided one is born burned."""
        missing = {}
        for grant, voided in grants:
            pool = mint(grant, self.region, voided=voided)
            missing[self._partition(grant), pool.key] = pool
        for _, pk, sk in self._dynamo.batch_get({self._table: list(missing)}):
            del missing[pk, sk]
        for (pk, _), pool in missing.items():
            bear(self._dynamo, self._table, self._states, self.region, pk, pool)

    def burn(self, grant: Grant) -> int:
        """End what this region's pool of a voided grant still has; returns all it has burned."""
        pool = mint(grant, self.region, voided=True)
        pk = self._partition(grant)
        item = self._dynamo.put_if_absent(self._table, pool_to_item(pool, pk))
        while item is not None and not (item["voided"] and item["available"] == 0):
            left = int(item["available"])
            try:
                item = self._dynamo.update(
                    self._table,
                    pk,
                    pool.key,
                    expression(
                        "SET available = available - :left, burned = burned + :gone, voided = :yes",
                        "available = :seen",
                        left=left,
                        gone=left,
                        seen=left,
                        yes=True,
                    ),
                )
            except ConditionFailedError as moved:
                item = moved.item
        return pool.burned if item is None else int(item["burned"])

    def end(self, org_id: str, meter: str, pool: Pool, now_ms: int) -> int:
        """End what a voided or expired pool has left, if it still has what was seen; returns the units."""
        ended = end(pool, now_ms)
        if not pool.available or ended is pool:
            return 0
        counter = "burned" if pool.voided else "expired"
        try:
            self._dynamo.update(
                self._table,
                keys.pools(self.region, org_id, meter, pool.user_id),
                pool.key,
                expression(
                    f"SET available = available - :left, {counter} = {counter} + :ended",
                    "available = :seen AND voided = :voided",
                    left=pool.available,
                    ended=pool.available,
                    seen=pool.available,
                    voided=pool.voided,
                ),
                returns="NONE",
            )
        except ConditionFailedError:
            return 0  # it was written meanwhile: the next look ends the rest
        return pool.available

    def draw_of(
        self,
        org_id: str,
        meter: str,
        pool: Pool,
        units: int,
        now_ms: int,
        *,
        births: int,
        draws: int,
        epoch: int,
    ) -> Wire:
        """Make the write that takes units out of a pool for an allotment.

        `births` and `draws` count new members and refills of users: of a depot those since it was filled last.
        A pool fenced in `epoch`, the one the region is known to serve in, or later gives nothing. The rates go
        along, estimated from the pool as it was read: of two draws at once one estimate is lost.
        """
        hint = measure(pool, units, now_ms, draws=draws)
        return update_of(
            self._table,
            keys.pools(self.region, org_id, meter, pool.user_id),
            pool.key,
            expression(
                "SET available = available - :units, allotted = allotted + :given, members = members + :born, "
                "#rate = :rate, rated_units = :rated_units, rated_ms = :rated_ms, "
                "draws = if_not_exists(draws, :none) + :draws, rated_draws = :rated_draws, pulse = :pulse, "
                "depots = :depots",
                "available >= :units AND voided = :no AND (attribute_not_exists(fence) OR fence < :epoch)",
                units=units,
                given=units,
                born=births,
                rate=hint.rate,
                rated_units=hint.rated_units,
                rated_ms=hint.rated_ms,
                none=0,
                draws=draws,
                rated_draws=hint.rated_draws,
                pulse=hint.pulse,
                depots=hint.depots,
                no=False,
                epoch=epoch,
            ),
        )

    def _partition(self, grant: Grant) -> str:
        return keys.pools(self.region, grant.org_id, grant.meter, grant.user_id)


def bear(there: Dynamo, limits: str, states: str, region: str, pk: str, pool: Pool) -> Item | None:
    """Bring a region's pool to life at that region's DynamoDB, where the region is fenced, fenced.

    The birth holds only in the epoch that was read: one beside a fence could hand units out behind it. Returns
    the item that is there already, None when this one was written.
    """
    for _ in range(_RACES):
        state, unchanged = read_state(there, states, region)
        item = pool_to_item(replace(pool, fence=0 if state.serves else state.epoch), pk)
        try:
            there.transact([put_of(limits, item), unchanged])
        except TransactionFailedError as failed:
            if 0 in failed.failed:
                return there.get(limits, pk, pool.key)
        else:
            return None
    raise UnavailableError(f"{region} is being fenced or readmitted", hint="send the request again")
