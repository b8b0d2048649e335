"""Reconciliation: what an organisation's items must come to, over all regions (`docs/reconciliation.md`).

`CHECKS` is the list of all there is to prove. Each check takes one look at the items of a meter and yields what
breaks it, with the item that does; a new rule is a new entry.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cutlass.domain import invariants
from cutlass.domain.allotments import Allotment
from cutlass.domain.grants import Grant
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import Period, period_at, to_millis
from cutlass.domain.plans import Catalogue
from cutlass.domain.pools import Pool
from cutlass.domain.regions import Claim
from cutlass.domain.stripes import holder_name, striped, unstriped

Holder = tuple[str, str]
"""A user and a period's key: whose allotment it is."""


@dataclass(frozen=True, slots=True)
class RegionLook:
    """The items of one region: pools, and allotments by user and period.

    `whole` says that pools and allotments are of one moment, so that their sums can be compared.
    """

    pools: tuple[Pool, ...]
    allotments: Mapping[Holder, Allotment]
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Look:
    """What one organisation has of one meter in every region, each at its own DynamoDB.

    Attributes
    ----------
    grants : tuple[tuple[Grant, bool], ...]
        Every grant, and whether it was voided; read after the pools.
    all_kept : bool
        Whether no item is old enough to have been deleted.
    claims : tuple[Claim, ...]
        What survivors claimed of fenced regions in advance and is not settled.
    """

    grants: tuple[tuple[Grant, bool], ...]
    regions: Mapping[str, RegionLook]
    all_kept: bool = True
    claims: tuple[Claim, ...] = ()

    def claimed(self, item: str, user_id: str) -> invariants.Claims:
        """What was claimed of a pool or, by its period, of a user's rights."""
        claims = [claim for claim in self.claims if (claim.item, claim.user_id) == (item, user_id)]
        return {(claim.origin, claim.survivor): claim.cumulative for claim in claims}

    def pools_of(self, grant_id: str) -> dict[str, Pool]:
        """The pools of a grant, by region."""
        return {
            region: pool
            for region, look in self.regions.items()
            for pool in look.pools
            if pool.grant_id == grant_id
        }

    def holders(self) -> dict[Holder, dict[str, Allotment]]:
        """The allotments of each user and period, by region and stripe."""
        found: dict[Holder, dict[str, Allotment]] = {}
        for region, look in self.regions.items():
            for (user_id, name), allotment in look.allotments.items():
                period, stripe = unstriped(name)
                found.setdefault((user_id, period), {})[holder_name(region, stripe)] = allotment
        return found


@dataclass(frozen=True, slots=True)
class Breach:
    """An invariant that does not hold, and what breaks it.

    Attributes
    ----------
    region : str
        The region of the item; of a grant, and of what is a matter of all regions, empty.
    pool, holder, grant : optional
        The item that breaks it: a pool, an allotment or a grant; none of them: the region's pools together.
    """

    invariant: str
    words: str
    region: str = ""
    pool: Pool | None = None
    holder: Holder | None = None
    grant: str | None = None

    @property
    def identity(self) -> tuple[str, str, str, Holder | None, str | None]:
        """What tells one breach from another, however the numbers in its words change."""
        return self.invariant, self.region, self.pool.key if self.pool else "", self.holder, self.grant


def _pools(look: Look) -> Iterator[Breach]:
    for region, items in look.regions.items():
        for pool in items.pools:
            for words in invariants.check_pool(pool):
                yield Breach("pool", words, region, pool=pool)


def _allotments(look: Look) -> Iterator[Breach]:
    for region, items in look.regions.items():
        for holder, allotment in items.allotments.items():
            for words in invariants.check_allotment(allotment):
                yield Breach("allotment", words, region, holder=holder)


def _shares(look: Look) -> Iterator[Breach]:
    grants = {grant.grant_id: grant for grant, _ in look.grants}
    for region, items in look.regions.items():
        for pool in items.pools:
            grant = grants.get(pool.grant_id)
            if grant is None:
                yield Breach("share", f"pool {pool.key}: there is no grant of this name", region, pool=pool)
            elif pool.minted != (share := grant.split.get(region, 0)):
                words = f"pool {pool.key}: {pool.minted} units minted, its share of the grant is {share}"
                yield Breach("share", words, region, pool=pool)


def _grants(look: Look) -> Iterator[Breach]:
    for grant, _ in look.grants:
        for words in invariants.check_minted(grant, look.pools_of(grant.grant_id)):
            yield Breach("grant", words, grant=grant.grant_id)


def _transfers(look: Look) -> Iterator[Breach]:
    for grant, _ in look.grants:
        pools = look.pools_of(grant.grant_id)
        claimed = look.claimed(next((pool.key for pool in pools.values()), ""), grant.user_id or "")
        for receiver, origin, units, sent in invariants.unsent(pools, claimed):
            words = f"grant {grant.grant_id}: {receiver} accepted {units} units from {origin}, which sent {sent}"
            yield Breach("accepted", words, receiver, pool=pools[receiver])
    for holder, allotments in look.holders().items():
        user_id, period = holder
        for receiver, origin, units, sent in invariants.unsent(allotments, look.claimed(period, user_id)):
            words = f"allotment: {receiver} accepted {units} rights from {origin}, which sent {sent}"
            region, stripe = unstriped(receiver)
            yield Breach("accepted", words, region, holder=(user_id, striped(period, stripe)))


def _sums(look: Look) -> Iterator[Breach]:
    for region, items in look.regions.items():
        if items.whole:
            for words in invariants.check_sums(items.pools, items.allotments.values(), all_kept=look.all_kept):
                yield Breach("handed-out", words, region)


def _rights(look: Look) -> Iterator[Breach]:
    """Under terms that never changed (whoever reads this knows) no user has more rights than the limit."""
    for holder, allotments in look.holders().items():
        limits = [allotment.limit for allotment in allotments.values()]
        known = [limit for limit in limits if limit is not None]
        if len(known) < len(limits):
            continue  # a region knows of no limit
        limit = max(known)
        rights = sum(allotment.rights for allotment in allotments.values())
        spent = sum(allotment.used - allotment.refunded for allotment in allotments.values())
        extra = sum(allotment.extra + allotment.overdrawn for allotment in allotments.values())
        region, _ = unstriped(max(allotments, key=lambda name: allotments[name].rights))
        if rights > limit:
            yield Breach(
                "rights", f"allotment: {rights} rights minted of a limit of {limit}", region, holder=holder
            )
        if spent > limit + extra:
            words = f"allotment: {spent} units spent of a limit of {limit} and {extra} of the user's own"
            yield Breach("limit", words, region, holder=holder)


def _account(look: Look) -> Iterator[Breach]:
    if gap := account(look, 0).gap:
        yield Breach("account", f"{gap:+} units granted that are not accounted for")


CHECKS: tuple[Callable[[Look], Iterator[Breach]], ...] = (
    _pools,
    _allotments,
    _shares,
    _grants,
    _transfers,
    _rights,
    _sums,
    _account,
)
"""Every check, those that name one item before those that can only name many."""

FLEETING = frozenset({"accepted", "limit"})
"""The invariants that a look may show broken though they never were, because it comes to one region after another.

What breaks them must show again when the regions are looked at in the other order.
"""

OF_TERMS = frozenset({"rights", "limit"})
"""The invariants that hold only for a user whose terms never changed: what was given out is not taken back."""


def breaches(look: Look) -> list[Breach]:
    """Everything in a look that breaks an invariant, in the order of `CHECKS`."""
    return [breach for check in CHECKS for breach in check(look)]


@dataclass(frozen=True, slots=True)
class Account:
    """Where the granted units of one meter are, over all regions.

    `overdrawn` are units that were given out in two regions, by a claim that an operator made at that risk.
    `gap` is None where it could not be told: some region was not looked at as of one moment, or old items were
    deleted.
    """

    granted: int
    used: int
    remaining: int
    reserved: int
    in_transit: int
    expired: int
    burned: int
    overdrawn: int
    gap: int | None


def account(look: Look, now_ms: int) -> Account:
    """Account for every unit granted; what has expired by `now_ms` counts as expired wherever it still lies.

    In transit are units that one region's pool has sent and another's not accepted yet. Units refunded are back in
    their pools, so they are not used.
    """
    remaining = expired = burned = overdrawn = transit = used = reserved = 0
    for grant, voided in look.grants:
        pools = look.pools_of(grant.grant_id)
        unminted = sum(units for region, units in grant.split.items() if region not in pools)
        ended = grant.expires_at is not None and to_millis(grant.expires_at) <= now_ms
        burned += unminted if voided else 0
        expired += unminted if ended and not voided else 0
        remaining += unminted if not ended and not voided else 0
    for items in look.regions.values():
        for pool in items.pools:
            transit += sum(pool.sent.values()) - sum(pool.accepted.values())
            burned += pool.burned
            overdrawn += pool.overdrawn
            over = pool.expires_ms <= now_ms
            expired += pool.expired + (pool.available if over else 0)
            remaining += 0 if over else pool.available
        for allotment in items.allotments.values():
            over = allotment.until_ms <= now_ms
            expired += allotment.expired + (allotment.available if over else 0)
            remaining += 0 if over else allotment.available
            used += allotment.used - allotment.refunded
            reserved += allotment.reserved
    granted = sum(grant.amount for grant, _ in look.grants)
    told = look.all_kept and all(items.whole for items in look.regions.values())
    gap = granted + overdrawn - (used + remaining + reserved + transit + expired + burned) if told else None
    return Account(granted, used, remaining, reserved, transit, expired, burned, overdrawn, gap)


def total(accounts: Iterable[Account]) -> Account:
    """Add accounts up; the gap of the sum is that of the accounts whose gap could be told, None if none could."""
    accounts = list(accounts)
    sums = {name: sum(getattr(one, name) for one in accounts) for name in Account.__slots__ if name != "gap"}
    gaps = [one.gap for one in accounts if one.gap is not None]
    return Account(**sums, gap=sum(gaps) if gaps else None)


@dataclass(slots=True)
class Counted:
    """What the stream's consumer has counted of one allotment: units, and the newest event's number."""

    units: int = 0
    upto: int = 0


@dataclass(slots=True)
class Comparison:
    """What a comparison of allotments with records of them came to; `behind` were not recorded to the end yet."""

    compared: int = 0
    behind: int = 0
    breaches: list[Breach] = field(default_factory=list)


def compare_usage(
    region: str, allotments: Mapping[Holder, Allotment], counted: Mapping[Holder, Counted]
) -> Comparison:
    """Compare what allotments spent with what was counted of them, where the counting has caught up.

    An allotment's events are counted in the order of their numbers, so the newest one tells how far it has come.
    """
    found = Comparison()
    for holder, allotment in allotments.items():
        met = counted.get(holder, Counted())
        if met.upto != allotment.seq:
            found.behind += 1
            continue
        found.compared += 1
        if met.units != allotment.kept:
            words = f"allotment: {allotment.kept} units spent, {met.units} counted in the usage"
            found.breaches.append(Breach("usage", words, region, holder=holder))
    return found


def compare_ledger(
    region: str,
    allotments: Mapping[Holder, Allotment],
    counted: Mapping[Holder, Counted],
    charged: Mapping[str, int],
) -> Comparison:
    """Compare what each user spent in all periods with the charges in the ledger, by user.

    The ledger is written before the usage is counted, so who is counted to the end is in the ledger to the end.
    """
    found = Comparison()
    spent: dict[str, int] = {}
    newest: dict[str, str] = {}
    late = set()
    for (user, period), allotment in allotments.items():
        spent[user] = spent.get(user, 0) + allotment.kept
        newest[user] = max(newest.get(user, ""), period)
        if counted.get((user, period), Counted()).upto != allotment.seq:
            late.add(user)
    for user, units in spent.items():
        if user in late:
            found.behind += 1
            continue
        found.compared += 1
        if charged.get(user, 0) != units:
            words = f"allotments: {units} units spent, {charged.get(user, 0)} charged in the ledger"
            found.breaches.append(Breach("ledger", words, region, holder=(user, newest[user])))
    return found


def in_turn(ids: Iterable[str], now: datetime) -> list[str]:
    """Order organisations so that each hour's run begins elsewhere.

    The starts follow the golden ratio, which divides the whole as evenly as can be however many hours pass (the
    three-distance theorem), so no organisation waits long for its turn.
    """
    ordered = sorted(ids)
    hours = to_millis(now) // 3_600_000
    start = int(hours * 0.618033988749895 % 1 * len(ordered))
    return ordered[start:] + ordered[:start]


def periods_of(
    organisation: Organisation, catalogue: Catalogue, since: datetime, now: datetime
) -> dict[str, Period]:
    """Every period from `since` up to the next one in which some region may have opened allotments, by key.

    A region that has not heard of new terms goes on under the old ones, so each terms' own periods count too.
    """
    found: dict[str, Period] = {}
    moment = since
    while moment <= now:
        period = organisation.period_at(catalogue, moment)
        found[period.key] = period
        moment = period.end
    following = organisation.period_at(catalogue, moment)
    found[following.key] = following
    for terms in organisation.terms:
        moment = max(since, terms.since)
        while moment <= now:
            period = period_at(catalogue.plans[terms.plan].period, terms.rule, moment)
            found.setdefault(period.key, period)
            moment = period.end
    return found
