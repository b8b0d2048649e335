"""The invariants every item and every organisation must keep (`docs/exact-limits.md`, "Invariants").

Each `check_` function returns what is wrong in words, and nothing where all is well: reconciliation names the item
(`cutlass.domain.reconciliation`), the property tests require that there is none.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from cutlass.domain.allotments import Allotment, unspent
from cutlass.domain.grants import Grant
from cutlass.domain.pools import Pool
from cutlass.domain.reservations import Reservation, State


def check_pool(pool: Pool) -> list[str]:
    """A pool neither makes nor loses units."""
    got = pool.minted + sum(pool.accepted.values()) + pool.returned + pool.overdrawn
    went = pool.available + pool.allotted + sum(pool.sent.values()) + pool.expired + pool.burned
    problems = [] if got == went else [f"pool {pool.key}: {got} units came in, {went} are accounted for"]
    return problems + _negative(f"pool {pool.key}", pool)


def check_allotment(allotment: Allotment) -> list[str]:
    """An allotment neither makes nor loses rights of the user's limit, nor units drawn from pools."""
    held = allotment.available + allotment.gone
    problems = []
    if allotment.refunded > max(0, allotment.used):
        problems.append(f"allotment: {allotment.refunded} units refunded of {allotment.used} used")
    came = allotment.rights + allotment.extra + allotment.released + sum(allotment.accepted.values())
    came += allotment.overdrawn
    went = allotment.unbacked + held + sum(allotment.sent.values())
    if came != went:
        problems.append(f"allotment: {came} rights came in, {went} are accounted for")
    if allotment.drawn != held:
        problems.append(f"allotment: {allotment.drawn} units drawn, {held} are accounted for")
    if allotment.held and allotment.held[-1].upto != allotment.drawn:
        problems.append("allotment: the chunks held do not end at what was drawn")
    return problems + _negative("allotment", allotment)


def check_reservations(allotment: Allotment, reservations: Iterable[Reservation]) -> list[str]:
    """What an allotment has set aside is what its reservations still hold, each of them to the unit."""
    reservations = list(reservations)
    problems = [
        f"reservation {one.reservation_id}: its parts are not its {one.units} units"
        for one in reservations
        if sum(part.units for part in one.parts) != one.units
    ]
    held = sum(one.units for one in reservations if one.state is State.HELD)
    if allotment.reserved != held:
        problems.append(f"allotment: {allotment.reserved} units set aside, its reservations hold {held}")
    return problems


def check_attribution(
    pools: Iterable[Pool], allotments: Iterable[Allotment], reservations: Iterable[Reservation]
) -> list[str]:
    """No pool has more units in users' hands and set aside than it handed out and did not get back."""
    out: Counter[str] = Counter()
    for allotment in allotments:
        for chunk, units in unspent(allotment):
            out[chunk.pool] += units
    for one in reservations:
        for part in one.parts if one.state is State.HELD else ():
            out[part.pool] += part.units
    given = {pool.key: pool.allotted - pool.returned for pool in pools}
    return [
        f"pool {key}: {units} of its units are held, {given.get(key, 0)} were handed out and not given back"
        for key, units in out.items()
        if units > given.get(key, 0)
    ]


def check_region(pools: Iterable[Pool], allotments: Iterable[Allotment]) -> list[str]:
    """What pools handed out is what allotments drew, and what these gave back came back."""
    pools, allotments = list(pools), list(allotments)
    problems = [line for pool in pools for line in check_pool(pool)]
    problems += [line for allotment in allotments for line in check_allotment(allotment)]
    return problems + check_sums(pools, allotments)


def check_sums(pools: Collection[Pool], allotments: Collection[Allotment], *, all_kept: bool = True) -> list[str]:
    """What a region's pools handed out is what its allotments drew, and what these gave back came back.

    What a depot handed over was drawn twice, by it and by the user's allotment, and handed out once. Without
    `all_kept` old allotments have been deleted whose units the pools still count: then these must be no fewer.
    """
    problems = []
    for word, out, received in (
        ("handed out", sum(p.allotted for p in pools), sum(a.drawn - a.handed for a in allotments)),
        ("given back", sum(p.returned for p in pools), sum(a.returned for a in allotments)),
    ):
        if out < received or (all_kept and out > received):
            problems.append(f"{out} units {word} on the pools' side, {received} on the allotments'")
    return problems


Claims = Mapping[tuple[str, str], int]
"""What was claimed in advance and is not settled: the cumulative number, by origin and survivor."""


def check_grant(grant: Grant, pools: Mapping[str, Pool], claims: Claims | None = None) -> list[str]:
    """The regions' pools of a grant never mint more than the grant, and accept no more than sent or claimed."""
    return check_minted(grant, pools) + [
        f"grant {grant.grant_id}: {receiver} accepted {units} from {origin}, which sent {sent}"
        for receiver, origin, units, sent in unsent(pools, claims)
    ]


def check_minted(grant: Grant, pools: Mapping[str, Pool]) -> list[str]:
    """The regions' pools of a grant never mint more than the grant, which is divided without a rest."""
    minted = sum(pool.minted for pool in pools.values())
    if minted > grant.amount or sum(grant.split.values()) != grant.amount:
        return [f"grant {grant.grant_id}: {minted} minted of {grant.amount}"]
    return []


def check_rights(allotments: Mapping[str, Allotment], claims: Claims | None = None) -> list[str]:
    """The regions' allotments of one user, meter and period accept no more rights than were sent or claimed."""
    return [
        f"allotment: {receiver} accepted {units} rights from {origin}, which sent {sent}"
        for receiver, origin, units, sent in unsent(allotments, claims)
    ]


def unsent(
    holders: Mapping[str, Pool] | Mapping[str, Allotment], claims: Claims | None = None
) -> Iterator[tuple[str, str, int, int]]:
    """Find what was accepted and neither sent nor claimed: receiver, origin, units accepted from it, units sent.

    `holders` are the same thing in several regions, by region.
    """
    for receiver, holder in holders.items():
        for origin, accepted in holder.accepted.items():
            sent = holders[origin].sent.get(receiver, 0) if origin in holders else 0
            if accepted > max(sent, (claims or {}).get((origin, receiver), 0)):
                yield receiver, origin, accepted, sent


def _negative(what: str, item: Pool | Allotment) -> list[str]:
    return [
        f"{what}: {name} is {value}"
        for name in item.__slots__
        if name != "rev" and isinstance(value := getattr(item, name), int) and value < 0
    ]
