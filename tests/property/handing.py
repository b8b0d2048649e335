"""Depots over the model's regions, as `cutlass.storage.depots` fills them and has them hand over."""

from cutlass.domain import depots, refills, reservations
from cutlass.domain.allotments import Allotment
from cutlass.domain.depots import Emptying, Filling, HandOver
from tests.property.model import Company
from tests.property.places import Region, RuleBrokenError, Transaction

_ATTEMPTS = 5


def hand_over(company: Company, region: Region, user: str, units: int, *, later: bool = False) -> str:
    """Supply a user through the region's depot: `handed`, `enough`, `short` or `underway`, to be written later."""
    for _ in range(_ATTEMPTS):
        met = region.allotments.get(company.key(region, user))
        if met is not None and (met.until_ms <= company.now_ms or met.available >= units):
            return "enough"  # or it has to be settled first
        if met is None:
            for earlier in company.earlier(region, user):
                company.settle(region, earlier)
        base, live = company.under_terms(region, user, met), company.live_pools(region, user)
        key = company.key(region, depots.depot_name(0))
        stored = region.allotments.get(key)
        depot = stored or depots.newborn(region.organisation.rev, "basic")
        step = depots.next_step(depot, base, live, units, company.now_ms, birth=met is None)
        match step:
            case HandOver():
                transaction = _handed(company, region, user, base, depot, step)
                if later:
                    region.underway.append(transaction)
                    return "underway"
                if not company.commit(region, transaction):
                    raise RuleBrokenError(f"{user} was handed nothing, though nothing came between")
                return "handed"
            case Filling(draws):
                moves = {draw.pool.key: draw.units for draw in draws}
                filled = depots.fill(depot, draws, company.now_ms)
                company.commit(region, Transaction(key, stored, filled, moves))
            case Emptying():
                company.commit(region, company.release(region, key))
            case _:
                return "short"
    raise RuleBrokenError(f"the depot in {region.name} had nothing for {user} after {_ATTEMPTS} steps")


def _handed(
    company: Company, region: Region, user: str, base: Allotment, depot: Allotment, step: HandOver
) -> Transaction:
    key = company.key(region, user)
    drawn = [draw.pool for draw in step.draws]
    ended = [pool.key for pool in drawn if pool.grant_id in region.voided or pool.expires_ms <= company.now_ms]
    if ended:
        raise RuleBrokenError(f"{user} was handed units of {ended}, which are voided or have expired")
    company.check_order(base, step.draws, depots.with_held(company.live_pools(region, user), depot))
    moves = {draw.pool.key: draw.units for draw in step.draws if draw.pool.user_id is not None}
    giver = None
    if step.depot is not depot:
        giver = Transaction(
            company.key(region, depots.depot_name(0)),
            depot,
            step.depot,
            {},
            on_terms=True,
            slack=reservations.slack(depot, step.units),
        )
    filled = refills.refill(base, step.draws, company.now_ms)
    return Transaction(key, region.allotments.get(key), filled, moves, giver=giver)
