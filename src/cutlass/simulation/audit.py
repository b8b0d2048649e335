"""The audit of a run: the production invariants, and an account of every unit."""

from collections.abc import Iterable

from cutlass.domain import invariants
from cutlass.domain.grants import Grant
from cutlass.domain.pools import Pool
from cutlass.simulation.escrow import Escrow


def problems(run: Escrow) -> list[str]:
    """What is wrong at this moment, in words; nothing where all is well."""
    stores = run.world.stores
    found = list(run.wrong)
    for store in stores:
        pools = [item.value for item in store.pools.values()]
        held = [item.value for item in store.allotments.values()]
        found += [f"{store.name}: {line}" for line in invariants.check_region(pools, held)]
    for grant in run.setting.grants.values():
        found += invariants.check_grant(grant, _pools(run, grant))
    moved = {user for store in stores for user, item in store.allotments.items() if item.value.accepted}
    for user in sorted(moved):
        met = {store.name: store.allotments[user].value for store in stores if user in store.allotments}
        found += [f"user {user}: {line}" for line in invariants.check_rights(met)]
    if oversold := run.books.oversold():
        found.append(f"{oversold} units were sold that nobody had")
    if gap := ledger_gap(run):
        found.append(f"{gap} units are not accounted for")
    return found


def ledger_gap(run: Escrow) -> int:
    """Units that are granted but nowhere, or spent but not in the journal of charges, or the other way round.

    Granted is what is used, left in pools and allotments, on its way between regions, ended and not yet minted.
    """
    held = [item.value for store in run.world.stores for item in store.allotments.values()]
    used = sum(allotment.used for allotment in held)
    accounted = used + sum(allotment.available + allotment.reserved + allotment.expired for allotment in held)
    for grant in run.setting.grants.values():
        pools = _pools(run, grant)
        accounted += _in_pools(pools.values())
        accounted += sum(units for region, units in grant.split.items() if region not in pools)
    return abs(run.setting.granted - accounted) + abs(used - run.journal.units)


def _in_pools(pools: Iterable[Pool]) -> int:
    """Units in the pools of one grant and between them."""
    return sum(
        pool.available + pool.expired + pool.burned + sum(pool.sent.values()) - sum(pool.accepted.values())
        for pool in pools
    )


def _pools(run: Escrow, grant: Grant) -> dict[str, Pool]:
    return {
        store.name: store.pools[grant.grant_id].value
        for store in run.world.stores
        if grant.grant_id in store.pools
    }
