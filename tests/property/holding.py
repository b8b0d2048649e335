"""Reservations over the model's regions, as `cutlass.storage.reservations` makes and ends them."""

from dataclasses import replace

from cutlass.domain import allotments, reservations
from cutlass.domain.allotments import Allotment, Verdict
from cutlass.domain.metering import AllotmentKey
from cutlass.domain.reservations import Reservation, State
from tests.property.model import METER, Company
from tests.property.places import Region, RuleBrokenError, Transaction

_ATTEMPTS = 12


def reserve(
    company: Company, region: Region, user: str, request_id: str, units: int, lasts_ms: int, *, later: bool = False
) -> str:
    """Set units aside: `reserved`, `replayed` or `refused`; or `underway`, to be written later if it holds."""
    name = reservations.reservation_name("org", user, METER, request_id)
    for _ in range(_ATTEMPTS):
        if name in region.reservations:
            return "replayed"
        met = region.allotments.get(company.key(region, user))
        if met and _affords(company, region, met, units):
            made = _made(company, region, user, request_id, met, lasts_ms, units)
            if later:
                region.underway.append(made)
                return "underway"
            if not company.commit(region, made):
                raise RuleBrokenError(f"a reservation of {user} was not written, though nothing came between")
            return "reserved"
        transaction = company.supply(region, user, units)
        if transaction is None:
            return "refused"
        company.commit(region, transaction)
    raise RuleBrokenError(f"{user} in {region.name} got no reservation after {_ATTEMPTS} attempts")


def end(company: Company, region: Region, name: str, spent: int, state: State, *, later: bool = False) -> bool:
    """End a reservation that is held; with `later`, its end is written later, if it still is held then."""
    for _ in range(_ATTEMPTS):
        found = region.reservations[name]
        if found.state is not State.HELD:
            return False
        key = AllotmentKey(region.name, "org", found.user_id, METER, found.period)
        met = region.allotments[key]
        above = max(0, spent - found.units)
        if above and key != company.key(region, found.user_id):
            return False  # its period has ended: there is nothing more to be had
        if not above or _affords(company, region, met, above):
            transaction = _ended(company, key, met, found, spent, state)
            if not later:
                return company.commit(region, transaction)
            region.underway.append(transaction)
            return False
        supplied = company.supply(region, found.user_id, above)
        if supplied is None:
            return False
        company.commit(region, supplied)
    raise RuleBrokenError(f"a reservation of {found.user_id} was not ended after {_ATTEMPTS} attempts")


def _affords(company: Company, region: Region, met: Allotment, units: int) -> bool:
    verdict = allotments.afford(met, units, region.organisation.rev, company.now_ms)
    if verdict is Verdict.TERMS_CHANGED:
        region.organisation = company.organisation
    return verdict is Verdict.TAKEN


def _made(
    company: Company, region: Region, user: str, request_id: str, met: Allotment, lasts_ms: int, units: int
) -> Transaction:
    key = company.key(region, user)
    parts, left = reservations.set_aside(met, units)
    if any(part.expires_ms <= company.now_ms for part in parts):
        raise RuleBrokenError(f"{user} was given units that have expired")
    made = Reservation(
        region=region.name,
        name=reservations.reservation_name("org", user, METER, request_id),
        org_id="org",
        user_id=user,
        feature="default",
        meter=METER,
        period=key.period,
        resets_ms=0,
        request_id=request_id,
        units=units,
        parts=parts,
        created_ms=company.now_ms,
        deadline_ms=company.now_ms + lasts_ms,
        plan=met.plan,
        limit=None,
        total=0,
        left=None,
    )
    room = reservations.slack(met, units)
    return Transaction(key, met, left, {}, made.told(left), on_terms=True, slack=room)


def _ended(
    company: Company, key: AllotmentKey, met: Allotment, found: Reservation, spent: int, state: State
) -> Transaction:
    ending = reservations.end(met, found, spent, company.now_ms)
    ended = replace(found, state=state, spent=spent, ended_ms=company.now_ms).told(ending.allotment)
    moves = {pool: -units for pool, units in ending.returns.items()}
    above = max(0, spent - found.units)
    return Transaction(key, met, ending.allotment, moves, ended, on_terms=above > 0, slack=met.available - above)
