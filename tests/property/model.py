"""One organisation in several regions, run by the production rules over dictionaries.

What DynamoDB does is imitated: a write is atomic, changes of what is held go on beside decisions and hold
only under their conditions, streams are read late and again, regions learn of each other late. The rules
themselves are called through their modules, so that a test may break one of them.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from cutlass.domain import allotments, grants, metering, organisations, pools, refills
from cutlass.domain.allotments import Allotment, Spend, Verdict
from cutlass.domain.depots import of_depot
from cutlass.domain.grants import Category, Grant
from cutlass.domain.ids import FRESH_MS, MAX_AHEAD_MS, RequestIdentity, mark_time
from cutlass.domain.metering import AllotmentKey
from cutlass.domain.organisations import Status, User, change
from cutlass.domain.periods import Period, from_millis
from cutlass.domain.plans import AtEnd, PeriodKind
from cutlass.domain.pools import Pool
from cutlass.domain.refills import Draw, Shortage
from tests.property.moving import Movements
from tests.property.places import Message, Region, RuleBrokenError, Transaction, merged
from tests.unit.domain.samples import NOW_MS, catalogue, organisation, plan, topology

TOPOLOGY = topology(regions=3, home_percent=70)
REGIONS = tuple(TOPOLOGY.regions)
HOME = REGIONS[0]
BASIC = plan("basic", 0, period=PeriodKind.DAY, included=150, user_limit=60)
PREMIUM = plan(
    "premium", 1, period=PeriodKind.DAY, included=300, user_limit=100, at_end=AtEnd.OVERAGE, overage_cap=40
)
ENTERPRISE = plan("enterprise", 2, period=PeriodKind.DAY, included=400, user_limit=110)
CATALOGUE = catalogue(BASIC, PREMIUM, ENTERPRISE)
METER = "requests"

_ATTEMPTS = 12
_EARLIER = 3


class Company(Movements):
    """One organisation with its users, grants, regions, and a list of who was charged for what."""

    def __init__(self, users: Iterable[str] = ("ann", "bob")) -> None:
        self.now_ms = NOW_MS
        self.organisation = organisation(BASIC, now=from_millis(NOW_MS))
        self.users = {name: User("org", name) for name in users}
        self.grants: dict[str, Grant] = {}
        self.voided: set[str] = set()
        self.regions = {name: Region(name, self.organisation, dict(self.users)) for name in REGIONS}
        self.charged: dict[str, tuple[str, str, int]] = {}
        self.refunded: dict[str, dict[str, int]] = {}
        self.committed: Counter[str] = Counter()
        self.peak: Counter[tuple[str, str]] = Counter()
        self.messages: list[Message] = []
        self.cut_off = False
        self._serial = 0

    # --- requests -------------------------------------------------------------------------------------

    def request_id(self, ahead_ms: int | None = 0) -> str:
        """A new request id of a time `ahead_ms` from now; opaque for None."""
        self._serial += 1
        if ahead_ms is None:
            return f"order-{self._serial}"
        return str(uuid.UUID(int=(self.now_ms + ahead_ms) << 80 | 7 << 76 | 2 << 62 | self._serial))

    def spend(self, region: Region, user: str, request_id: str, units: int, fence: int | None) -> Spend:
        identity = RequestIdentity.of(request_id, "org", user, "default", str(units))
        return Spend(identity, "default", units, region.organisation.rev, self.now_ms, fence)

    def decide(self, region: Region, user: str, request_id: str, units: int) -> str:
        """Decide a request as `cutlass.storage.decider` does: `charged`, `replayed` or `refused`."""
        if RequestIdentity.of(request_id).time_ms > self.now_ms + MAX_AHEAD_MS:
            return "refused"
        fence = None
        for _ in range(_ATTEMPTS):
            key = self.key(region, user)
            met = region.allotments.get(key)
            spend = self.spend(region, user, request_id, units, fence)
            verdict = Verdict.SHORT if met is None else allotments.judge(met, spend)
            if verdict is Verdict.TAKEN:
                self.charge(region, key, spend)
                return "charged"
            if verdict is Verdict.REPEATED:
                return self.replayed(request_id)
            if verdict is Verdict.LATE:
                if self.recorded(region, user, spend.identity):
                    return self.replayed(request_id)
                fence = met.trims
                continue
            if verdict is Verdict.TERMS_CHANGED:
                region.organisation = self.organisation
            transaction = self.supply(region, user, units)
            if transaction is None:
                region.write(key, allotments.refuse(region.allotments[key], spend, "short"), self.now_ms)
                return "refused"
            self.commit(region, transaction)
        raise RuleBrokenError(f"{user} in {region.name} got no answer after {_ATTEMPTS} attempts")

    def charge(self, region: Region, key: AllotmentKey, spend: Spend) -> None:
        request_id = spend.identity.request_id
        if request_id in self.charged:
            raise RuleBrokenError(f"{request_id} was charged twice")
        if any(chunk.expires_ms <= self.now_ms for chunk, _ in allotments.unspent(region.allotments[key])):
            raise RuleBrokenError(f"{request_id} was charged past the expiry of what {key.user_id} held")
        self.charged[request_id] = (region.name, key.user_id, spend.units)
        region.write(key, allotments.consume(region.allotments[key], spend), self.now_ms)

    def replayed(self, request_id: str) -> str:
        if request_id not in self.charged:
            raise RuleBrokenError(f"{request_id} is answered as a replay, but was never charged")
        return "replayed"

    def recorded(self, region: Region, user: str, identity: RequestIdentity) -> bool:
        """Whether the ledger or the periods before know a request."""
        return region.in_ledger(identity.request_id) or any(
            identity.mark in region.allotments[key].ring for key in self.earlier(region, user)
        )

    # --- supply ---------------------------------------------------------------------------------------

    def period(self, region: Region) -> Period:
        return region.organisation.period_at(CATALOGUE, from_millis(self.now_ms))

    def key(self, region: Region, user: str, period: Period | None = None) -> AllotmentKey:
        return AllotmentKey(region.name, "org", user, METER, (period or self.period(region)).key)

    def earlier(self, region: Region, user: str) -> list[AllotmentKey]:
        """The user's newest allotments of periods before, newest first."""
        end = self.key(region, user).period
        keys = [key for key in region.allotments if key.user_id == user and key.period < end]
        return sorted(keys, key=lambda key: key.period, reverse=True)[:_EARLIER]

    def supply(self, region: Region, user: str, units: int) -> Transaction | None:
        """Plan what brings an allotment to where it can answer; None where nothing does."""
        key = self.key(region, user)
        met = region.allotments.get(key)
        if met is not None and met.until_ms <= self.now_ms:
            return Transaction(key, met, allotments.settle(met, self.now_ms).allotment, {})
        if met is None:
            for earlier in self.earlier(region, user):
                self.settle(region, earlier)
        base = self.under_terms(region, user, met)
        if met is not None and base.available >= units:
            return Transaction(key, met, base, {})
        live = self.live_pools(region, user)
        draws = refills.plan_refill(base, live, units, self.now_ms)
        if isinstance(draws, Shortage) or not any(pool.category is Category.PLAN for pool in live):
            self.open_period(region)
            self.mint(region)
            draws = refills.plan_refill(base, self.live_pools(region, user), units, self.now_ms)
        if isinstance(draws, Shortage):
            if met is not None:
                return None
            draws = ()  # born empty, it can say of a replay that it is late
        self.check_order(base, draws, self.live_pools(region, user))
        if voided := [draw.pool.key for draw in draws if draw.pool.grant_id in region.voided]:
            raise RuleBrokenError(f"{voided} were drawn from, but {region.name} knows that they are voided")
        moves = {draw.pool.key: draw.units for draw in draws}
        return Transaction(key, met, refills.refill(base, draws, self.now_ms), moves)

    def under_terms(self, region: Region, user: str, met: Allotment | None) -> Allotment:
        org = region.organisation
        of, period = org.plan_at(CATALOGUE, from_millis(self.now_ms)), self.period(region)
        limit = region.users[user].limit(of, METER)
        share = region.users[user].share(of, METER, region.name, HOME, TOPOLOGY, period)
        self.peak[user, period.key] = max(self.peak[user, period.key], limit or 0)
        if met is None:
            mark_ms = self.watermark(region, user)
            return Allotment(org.rev, of.name, limit, rights=share, unbacked=share, mark_ms=mark_ms)
        if (met.rev, met.limit, met.rights) == (org.rev, limit, share):
            return met
        return refills.adopt(met, rev=org.rev, plan=of.name, limit=limit, share=share)

    def watermark(self, region: Region, user: str) -> int:
        """Where a newborn's watermark lies: behind all that earlier allotments remember."""
        marks = [self.period(region).start_ms + FRESH_MS]
        for key in self.earlier(region, user):
            met = region.allotments[key]
            marks += [met.mark_ms, *map(mark_time, met.ring)]
        return max(marks)

    def live_pools(self, region: Region, user: str) -> list[Pool]:
        name = region.organisation.terms_at(from_millis(self.now_ms)).plan
        return [
            pool
            for pool in region.pools.values()
            if pool.live(self.now_ms)
            and pool.user_id in {None, user}
            and grants.spendable(pool.category, CATALOGUE, name, METER)
        ]

    def check_order(self, base: Allotment, draws: Iterable[Draw], live: list[Pool]) -> None:
        """A pool may be passed over only when it is empty or the user's limit is reached."""
        taken = {draw.pool.key: draw.units for draw in draws}
        last = max((draw.pool.order for draw in draws), default=(0, 0, ""))
        limited = base.unbacked <= sum(d.units for d in draws if d.pool.user_id is None)
        for pool in live:
            left = pool.available - taken.get(pool.key, 0)
            if pool.order < last and left and not (limited and pool.user_id is None):
                raise RuleBrokenError(f"{pool.key} has {left} units left, but a later pool was drawn from")

    def commit(self, region: Region, transaction: Transaction) -> bool:
        """Write a change under the conditions of `cutlass.storage`; False if something came between."""
        key, now = transaction.key, region.allotments.get(transaction.key)
        if (transaction.old is None) != (now is None):
            return False
        changed = transaction.new if now is None else merged(transaction, now)
        drawn = [(region.pools[key], units) for key, units in transaction.moves.items() if units > 0]
        reservation, giver = transaction.reservation, transaction.giver
        given = merged(giver, region.allotments[giver.key]) if giver else None
        if giver and given is None:
            return False
        if reservation and not region.free_for(reservation):
            return False
        if changed is None or any(pool.available < units or pool.voided for pool, units in drawn):
            return False
        for pool_key, units in transaction.moves.items():
            pool = region.pools[pool_key]
            pool = pools.measure(pool, units, self.now_ms) if units > 0 else pool
            counter = "allotted" if units > 0 else "returned"
            region.pools[pool_key] = replace(
                pool,
                available=pool.available - units,
                members=pool.members + (transaction.old is None),
                **{counter: getattr(pool, counter) + abs(units)},
            )
        region.write(key, changed, self.now_ms)
        if giver and given:
            region.write(giver.key, given, self.now_ms)
        if reservation:
            region.reservations[reservation.name] = reservation
            self.committed[reservation.reservation_id] += reservation.spent
        return True

    def settle(self, region: Region, key: AllotmentKey) -> None:
        """Give back what is left of a period that has ended."""
        if transaction := self.settlement(region, key):
            self.commit(region, transaction)

    def settlement(self, region: Region, key: AllotmentKey) -> Transaction | None:
        met = region.allotments.get(key)
        if met is None or not met.available:
            return None
        depot = of_depot(key.user_id)
        settled = allotments.release(met) if depot else allotments.settle(met, self.now_ms, everything=True)
        returns = {pool: -units for pool, units in settled.returns.items()}
        return Transaction(key, met, settled.allotment, returns)

    # --- what the organisation does -------------------------------------------------------------------

    def open_period(self, region: Region) -> None:
        """Mend the grants of this period and of the next one at the home region, if it can be reached."""
        if self.cut_off and region.name != HOME:
            return
        for moment in (from_millis(self.now_ms), self.period(region).end):
            self.mend(region, moment, self.wrong(region, moment))

    def open_period_together(self) -> None:
        """As `open_period` in every region, all of which look before the first one writes."""
        for following in (False, True):
            moments = {
                name: self.period(region).end if following else from_millis(self.now_ms)
                for name, region in self.regions.items()
            }
            seen = {name: self.wrong(region, moments[name]) for name, region in self.regions.items()}
            for name, region in self.regions.items():
                self.mend(region, moments[name], seen[name])

    def mend(self, region: Region, moment: datetime, seen: tuple[list[Grant], list[Grant]]) -> None:
        """Void and write what was seen to be wrong; who loses a race looks again, as `storage.minting`."""
        for _ in range(_ATTEMPTS):
            missing, superseded = seen
            self.voided |= {grant.grant_id for grant in superseded}
            self.burn(region)
            written = [self.grants.setdefault(grant.grant_id, grant) is grant for grant in missing]
            if not superseded and all(written):
                return
            seen = self.wrong(region, moment)
        raise RuleBrokenError(f"the grants at {moment} are wrong however often {region.name} mends them")

    def wrong(self, region: Region, moment: datetime) -> tuple[list[Grant], list[Grant]]:
        """What grants a period lacks and, if it has not begun, which it has but should not."""
        org, now = region.organisation, from_millis(self.now_ms)
        of, period = org.plan_at(CATALOGUE, moment), org.period_at(CATALOGUE, moment)
        existing = [(grant, grant.grant_id in self.voided) for grant in self.grants.values()]
        missing = grants.missing_grants(org, of, period, TOPOLOGY, existing, now=now)
        return missing, grants.superseded_grants(of, period, existing) if now < period.start else []

    def mint(self, region: Region, *, heard: bool = False) -> None:
        if self.cut_off and region.name != HOME and not heard:
            return
        for grant in self.grants.values():
            born = pools.mint(grant, region.name, voided=grant.grant_id in self.voided)
            if born.key not in region.pools:
                region.pools[born.key] = born
                region.voided |= {grant.grant_id} & self.voided

    def grant(self, grant: Grant) -> None:
        self.grants[grant.grant_id] = grant
        self.mint(self.regions[HOME])

    def burn(self, region: Region) -> None:
        region.voided |= self.voided
        for key, pool in region.pools.items():
            if pool.grant_id in self.voided:
                left = pool.available
                region.pools[key] = replace(pool, available=0, burned=pool.burned + left, voided=True)

    def set_limit(self, user: str, limit: int) -> None:
        self._change_user(user, {METER: limit}, self.users[user].usual_region)

    def move(self, user: str, region: str | None) -> None:
        """Change a user's usual region. A copy older than the turn of a period would divide its rights twice."""
        self._change_user(user, self.users[user].limits, region)
        for place in self.regions.values():
            place.users[user] = self.users[user]

    def _change_user(self, user: str, limits: Mapping[str, int], region: str | None) -> None:
        now = from_millis(self.now_ms)
        period = self.organisation.period_at(CATALOGUE, now)
        old = self.users[user]
        self.users[user] = organisations.change_user(
            old, limits=limits, usual_region=region, period=period, now=now
        )

    def set_plan(self, name: str) -> None:
        org = self.organisation
        rule, now = org.terms[-1].rule, from_millis(self.now_ms)
        self.organisation = change(org, CATALOGUE, plan=name, rule=rule, status=Status.ACTIVE, now=now)

    def learn(self, region: Region) -> None:
        """What the home region wrote arrives: terms, limits, grants, voids."""
        region.organisation, region.users = self.organisation, dict(self.users)
        self.mint(region, heard=True)
        self.burn(region)
        for user in self.users:
            key = self.key(region, user)
            if (met := region.allotments.get(key)) and met.rev < self.organisation.rev:
                region.write(key, replace(met, rev=self.organisation.rev), self.now_ms)  # as `note_terms`

    # --- the stream's consumer ------------------------------------------------------------------------

    def meter(self, region: Region, count: int, *, crash: bool = False) -> None:
        """Record the next changes of the stream; a crash repeats them with the next batch."""
        batch = region.stream[region.read : region.read + count]
        events, newest = [], {}
        for key, old, new, at_ms in batch:
            if event := metering.event_of(key, old, new, from_millis(at_ms)):
                events.append(event)
                newest[key] = new
        for event in events:
            if event.entry:
                region.record(event.entry)
        for day, tally in metering.by_day(events, region.counted).items():
            region.counted[day] = tally.counted
            region.tallies[day[0]].include(tally)
        for key, image in newest.items():
            now = region.allotments[key]
            chosen = allotments.trim(image.ring, image.mark_ms, self.now_ms)
            if chosen and now.trims == image.trims:
                ring, trims = now.ring - chosen.marks, now.trims + 1
                region.write(key, replace(now, ring=ring, mark_ms=chosen.mark_ms, trims=trims), self.now_ms)
        if not crash:
            region.read += len(batch)
