"""An organisation with many users of one pool, and depots before it."""

from cutlass.domain.allotments import Allotment
from cutlass.domain.depots import of_depot
from cutlass.domain.pools import Pool
from cutlass.storage import keys
from cutlass.storage.dynamo import expression
from tests.support.world import World


def crowd(world: World, users: int, **limits: int) -> list[str]:
    """Make users of the world's organisation, which is founded; returns their names."""
    names = [f"user{number}" for number in range(users)]
    for name in names:
        world.stores["london"].organisations.put_user(world.org, name, limits=limits)
    world.replicate()
    return names


def force_depots(world: World, depots: int, region: str = "london") -> None:
    """Have every pool of a region say that so many depots are worth it, as a crowd would have it say."""
    store = world.stores[region]
    for pool in pools(world, region):
        pk = keys.pools(region, world.org, "requests")
        store.dynamo.update(store.allotments.table, pk, pool.key, expression("SET depots = :n", n=depots))


def pools(world: World, region: str = "london") -> list[Pool]:
    """The organisation's pools of a region, as they are stored."""
    return world.stores[region].pools.of(world.org, "requests")


def depots(world: World, region: str = "london") -> dict[str, Allotment]:
    """All depots of a region, by name and period."""
    _, held = world.held(region, "requests")
    return {f"{name} {period}": one for (name, period), one in held.items() if of_depot(name)}
