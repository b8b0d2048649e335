"""Refunds and endings in the model: planned from what is on record, written in one transaction or not at all."""

from collections import Counter
from dataclasses import dataclass

from cutlass.domain import pools, refunds
from cutlass.domain.allotments import LastDecision, unspent
from cutlass.domain.ledger import EntryKind, LedgerEntry
from cutlass.domain.metering import EXPIRED_IN_HAND
from cutlass.domain.periods import period_key
from cutlass.domain.refunds import RefundAccount, RefundPart
from cutlass.domain.reservations import State, behind
from tests.property.model import Company
from tests.property.places import Region, RuleBrokenError, Transaction


@dataclass(frozen=True)
class Refunding:
    """A refund under way: what its charge's account was seen to be and is to be, and the change beside it."""

    request_id: str
    seen: RefundAccount
    new: RefundAccount
    transaction: Transaction


def plan_refund(company: Company, region: Region, request_id: str, units: int, refund_id: str) -> Refunding | None:
    """Plan a refund as `cutlass.storage.refunds`; None where it is refused or was made before."""
    charge = charges(region).get(request_id)
    if charge is None:
        return None
    account = region.accounts.get(request_id, RefundAccount(charge.units))
    if account.part(refund_id) or account.left < units:
        return None
    back = refunds.given_back(charge.spent, account.refunded, units)
    last = LastDecision(request_id, "default", units, company.now_ms, 0, None, refund_id, back)
    key = max(
        (k for k in region.allotments if k.user_id == charge.user_id and k.period <= period_key(charge.at)),
        key=lambda k: k.period,
    )
    met = region.allotments[key]
    moves: Counter[str] = Counter()
    for pool, part in back:
        moves[pool] -= part
    new = account.with_part(RefundPart(refund_id, units, company.now_ms, None, 0))
    return Refunding(request_id, account, new, Transaction(key, met, refunds.refund(met, last), dict(moves)))


def write_refund(company: Company, region: Region, planned: Refunding) -> bool:
    """Write a refund, if nothing came between; the same one comes back once, and never above its charge."""
    request_id = planned.request_id
    if region.accounts.get(request_id, RefundAccount(planned.seen.charged)) != planned.seen:
        return False
    if not company.commit(region, planned.transaction):
        return False
    region.accounts[request_id] = planned.new
    done = company.refunded.setdefault(request_id, {})
    part = planned.new.parts[-1]
    if part.refund_id in done:
        raise RuleBrokenError(f"{request_id} was refunded twice as {part.refund_id}")
    done[part.refund_id] = part.units
    if sum(done.values()) > company.charged[request_id][2]:
        raise RuleBrokenError(f"{done} was given back of {request_id}, which was charged less")
    return True


def end_pools(company: Company, region: Region) -> None:
    """End what voided and expired pools have left, as `cutlass.storage.housekeeping`."""
    for key, pool in region.pools.items():
        ended = pools.end(pool, company.now_ms)
        if ended != pool and pool.expires_ms > company.now_ms and not pool.voided:
            raise RuleBrokenError(f"{key} was ended before its time")
        if not ended.voided and ended.expires_ms <= company.now_ms and ended.available:
            raise RuleBrokenError(f"{key} has expired and still has units")
        region.pools[key] = ended


def charges(region: Region) -> dict[str, LedgerEntry]:
    """The charges on record, by their requests."""
    return {e.request_id or "": e for e in region.recorded.values() if e.kind is EntryKind.DECISION}


def paid_wrongly(region: Region) -> list[str]:
    """Where the record of who paid does not agree with the pools, once everything is on record."""
    out: Counter[str] = Counter()
    by_charge: dict[str, Counter[str]] = {}
    for entry in region.recorded.values():
        sign = {EntryKind.DECISION: 1, EntryKind.REFUND: -1}.get(entry.kind, int(entry.reason == EXPIRED_IN_HAND))
        for pool, units in entry.spent:
            out[pool] += sign * units
            if entry.request_id:
                by_charge.setdefault(entry.request_id, Counter())[pool] += sign * units
    for allotment in region.allotments.values():
        for chunk, units in unspent(allotment):
            out[chunk.pool] += units
    for one in region.reservations.values():
        ended = one.state is not State.HELD
        for part in behind(one.parts, one.spent) if ended else one.parts:
            out[part.pool] += part.units if not ended or part.expires_ms <= one.ended_ms else 0
    wrong = [
        f"{pool.allotted - pool.returned} units are out of {key}, by the ledger {out[key]}"
        for key, pool in region.pools.items()
        if pool.allotted - pool.returned != out[key]
    ]
    for request_id, left in by_charge.items():
        wrong += [
            f"{pool} got more of {request_id} back than it paid" for pool, units in left.items() if units < 0
        ]
    return wrong
