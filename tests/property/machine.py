"""Arbitrary histories of one organisation, with what must hold after every step."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from cutlass.domain import allotments, invariants
from cutlass.domain.allotments import Allotment, Verdict
from cutlass.domain.grants import Category
from cutlass.domain.ids import MAX_AHEAD_MS
from cutlass.domain.periods import from_millis
from cutlass.domain.reservations import State
from tests.property import holding
from tests.property.model import HOME, REGIONS, TOPOLOGY
from tests.property.moves import Moves, regions, units, users
from tests.property.refund_rules import RefundRules
from tests.unit.domain.samples import grant

HOUR_MS = 3_600_000

aheads = st.one_of(
    st.just(0),
    st.integers(-6_000, 5_000),  # about fresh
    st.sampled_from([None, -HOUR_MS, -30 * HOUR_MS]),
    st.sampled_from([8_000, HOUR_MS, MAX_AHEAD_MS, MAX_AHEAD_MS + 1]),
)


class Histories(RefundRules, Moves):
    """Requests, replays, grants, changes and delays in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_up: list[tuple[str, str, str, int]] = []

    # --- requests

    @rule(region=regions, user=users, units=units, ahead=aheads)
    def check(self, region, user, units, ahead):
        """A request with an id of now, about now, long ago, or without a time."""
        company = self.company
        company.decide(company.regions[region], user, company.request_id(ahead), units)

    @rule(region=regions, user=users, count=st.integers(17, 40), gap=st.integers(0, 40))
    def burst(self, region, user, count, gap):
        """Many requests of one user, more than a ring holds."""
        company = self.company
        for _ in range(count):
            company.now_ms += gap
            company.decide(company.regions[region], user, company.request_id(), 1)

    @precondition(lambda self: self.company.charged)
    @rule(age=st.integers(0, 60))
    def replay(self, age):
        """Send a charged request again: the newest, or one `age` before it."""
        company = self.company
        request_id = list(company.charged)[-1 - age % len(company.charged)]
        region, user, units = company.charged[request_id]
        outcome = company.decide(company.regions[region], user, request_id, units)
        assert outcome == "replayed", f"the replay of {request_id} was {outcome}"

    @rule(region=regions, user=users)
    def look_up(self, region, user):
        """A request without a time finds that the ledger does not know it, and is held up there."""
        place = self.company.regions[region]
        if met := place.allotments.get(self.company.key(place, user)):
            self.looked_up.append((region, user, self.company.request_id(None), met.trims))

    @precondition(lambda self: self.looked_up)
    @rule(again=st.booleans())
    def come_back(self, again):
        """That request comes back with what it found; or its caller, tired of waiting, sends it again."""
        company = self.company
        region, user, request_id, fence = self.looked_up[-1]
        place = company.regions[region]
        if again:
            company.decide(place, user, request_id, 1)
        elif met := place.allotments.get(company.key(place, user)):
            spend = company.spend(place, user, request_id, 1, fence)
            if allotments.judge(met, spend) is Verdict.TAKEN:
                company.charge(place, company.key(place, user), spend)

    # --- time and the stream

    @rule(ms=st.one_of(st.integers(1, 300), st.integers(1_000, 6_000)))
    def wait(self, ms):
        """Let moments pass, with whatever the consumers are behind."""
        self.company.now_ms += ms

    @rule(ms=st.integers(10_000, 20 * HOUR_MS))
    def rest(self, ms):
        """Let hours pass; the consumers are never that far behind."""
        self.catch_up()
        self.company.now_ms += ms

    @rule(before=st.integers(1, 4_000))
    def come_to_the_end_of_a_period(self, before):
        """Let the day pass to its last seconds."""
        company = self.company
        end = company.period(company.regions[HOME]).end_ms
        if end - before > company.now_ms:
            self.catch_up()
            company.now_ms = end - before

    @rule(region=regions, count=st.integers(1, 60), crash=st.booleans())
    def meter(self, region, count, crash):
        """The consumer takes a batch; after a crash it takes it again."""
        self.company.meter(self.company.regions[region], count, crash=crash)

    @rule()
    def catch_up(self):
        """All consumers take all there is."""
        for region in self.company.regions.values():
            while region.read < len(region.stream):
                self.company.meter(region, 100)

    # --- changes of what is held, slower than the decisions beside them

    @rule(region=regions, user=users, units=units)
    def begin_refill(self, region, user, units):
        """Plan a change, to be written later if it still holds."""
        place = self.company.regions[region]
        if transaction := self.company.supply(place, user, units):
            place.underway.append(transaction)

    @precondition(lambda self: any(region.underway for region in self.company.regions.values()))
    @rule(first=st.booleans())
    def finish(self, first):
        """Write the oldest or the newest change under way."""
        place = next(region for region in self.company.regions.values() if region.underway)
        self.company.commit(place, place.underway.pop(0 if first else -1))

    @rule(region=regions, later=st.booleans())
    def sweep(self, region, later):
        """Settle every allotment of a period that has ended."""
        company, place = self.company, self.company.regions[region]
        current = company.period(place).key
        for key in [key for key in place.allotments if key.period < current]:
            if later and (transaction := company.settlement(place, key)):
                place.underway.append(transaction)
            else:
                company.settle(place, key)

    # --- units set aside

    @rule(
        region=regions,
        user=users,
        units=units,
        lasts_ms=st.sampled_from([1_000, 60_000, 20 * HOUR_MS]),
        later=st.booleans(),
    )
    def reserve(self, region, user, units, lasts_ms, later):
        """Set units aside, at once or beside whatever comes between."""
        company = self.company
        request_id = company.request_id()
        holding.reserve(company, company.regions[region], user, request_id, units, lasts_ms, later=later)

    @precondition(lambda self: self.reservations())
    @rule(age=st.integers(0, 12), moved=units)
    def reserve_again(self, age, moved):
        """Send a request again that has made a reservation."""
        region, made = self.reservation(age)
        asked = (self.company, region, made.user_id, made.request_id, moved, 1_000)
        assert holding.reserve(*asked) == "replayed", f"{made.request_id} reserved twice"

    @precondition(lambda self: self.reservations())
    @rule(age=st.integers(0, 12), cost=st.one_of(st.none(), st.integers(0, 50)), later=st.booleans())
    def commit(self, age, cost, later):
        """The work of a reservation is done: it cost as much as was set aside, or less, or more."""
        region, made = self.reservation(age)
        spent = made.units if cost is None else cost
        state = State.COMMITTED if spent else State.RELEASED
        holding.end(self.company, region, made.name, spent, state, later=later)

    @precondition(lambda self: self.reservations())
    @rule(age=st.integers(0, 12), later=st.booleans())
    def give_back(self, age, later):
        """The work of a reservation is called off."""
        region, made = self.reservation(age)
        holding.end(self.company, region, made.name, 0, State.RELEASED, later=later)

    @rule(region=regions, later=st.booleans())
    def expire(self, region, later):
        """The sweeper ends what is overdue."""
        place = self.company.regions[region]
        for made in list(place.reservations.values()):
            if made.deadline_ms < self.company.now_ms:
                holding.end(self.company, place, made.name, 0, State.EXPIRED, later=later)

    def reservations(self):
        """All reservations, each with its region."""
        return [
            (region, made) for region in self.company.regions.values() for made in region.reservations.values()
        ]

    def reservation(self, age):
        """The newest reservation, or one made before it."""
        made = sorted(self.reservations(), key=lambda pair: (pair[1].created_ms, pair[1].request_id))
        return made[-1 - age % len(made)]

    # --- the organisation

    @rule(
        amount=st.integers(1, 80),
        priority=st.sampled_from([5, 50, 50, 950]),
        lasts_ms=st.sampled_from([None, 3_000, 3_000, HOUR_MS, 30 * HOUR_MS]),
        user=st.sampled_from([None, None, "ann"]),
    )
    def grant(self, amount, priority, lasts_ms, user):
        """Grant credits, to all or to one user."""
        now = from_millis(self.company.now_ms)
        self.company.grant(
            grant(
                grant_id=f"requests:credit{len(self.company.grants)}",
                amount=amount,
                priority=priority,
                effective_at=now,
                expires_at=None if lasts_ms is None else now + timedelta(milliseconds=lasts_ms),
                user_id=user,
                split=TOPOLOGY.split(amount, HOME),
                created_at=now,
            )
        )

    @precondition(lambda self: any(g.category.prepaid for g in self.company.grants.values()))
    @rule(which=st.integers(0, 50))
    def void(self, which):
        """End some credits."""
        credit = [g for g in self.company.grants.values() if g.category.prepaid]
        self.company.voided.add(credit[which % len(credit)].grant_id)
        self.company.burn(self.company.regions[HOME])

    @rule(user=users, limit=st.integers(0, 120))
    def set_limit(self, user, limit):
        """Give a user a limit of their own."""
        self.company.set_limit(user, limit)

    @rule(user=users, region=st.sampled_from([None, *REGIONS]))
    def move(self, user, region):
        """Make another region a user's usual one, from the next period on."""
        self.company.move(user, region)

    @rule(plan=st.sampled_from(["basic", "premium", "enterprise"]))
    def set_plan(self, plan):
        """Move to a plan: up at once, down from the next period."""
        self.company.set_plan(plan)

    @rule()
    def open_period(self):
        """All regions, each with the terms it knows, see at one moment what grants there are, and mend them."""
        self.company.open_period_together()

    @rule(region=regions)
    def learn(self, region):
        """What the home region wrote arrives in a region."""
        self.company.learn(self.company.regions[region])

    @rule()
    def partition(self):
        """Cut the regions off from the home region, or join them again."""
        self.company.cut_off = not self.company.cut_off

    # --- what must hold

    @invariant()
    def nothing_is_made_or_lost(self):
        """Every unit of every item is accounted for."""
        for region in self.company.regions.values():
            problems = invariants.check_region(region.pools.values(), region.allotments.values())
            assert problems == [], f"{region.name}: {problems}"

    @invariant()
    def what_is_set_aside_is_known(self):
        """Units set aside belong to reservations that are held, and each pool's units are where it gave them."""
        for region in self.company.regions.values():
            for key, allotment in region.allotments.items():
                of_key = [
                    r for r in region.reservations.values() if (r.user_id, r.period) == (key.user_id, key.period)
                ]
                problems = invariants.check_reservations(allotment, of_key)
                assert problems == [], f"{key}: {problems}"
            problems = invariants.check_attribution(
                region.pools.values(), region.allotments.values(), region.reservations.values()
            )
            assert problems == [], f"{region.name}: {problems}"

    @invariant()
    def grants_are_minted_once(self):
        """The regions' pools of a grant are no more than the grant."""
        for one in self.company.grants.values():
            of_grant = {
                name: pool
                for name, region in self.company.regions.items()
                for pool in region.pools.values()
                if pool.grant_id == one.grant_id
            }
            problems = invariants.check_grant(one, of_grant)
            assert problems == [], problems

    @invariant()
    def rights_are_sent_before_they_arrive(self):
        """No region accepts more rights of a user than were sent to it."""
        regions_of: dict[tuple[str, str], dict[str, Allotment]] = {}
        for name, region in self.company.regions.items():
            for key, allotment in region.allotments.items():
                regions_of.setdefault((key.user_id, key.period), {})[name] = allotment
        problems = [line for of_user in regions_of.values() for line in invariants.check_rights(of_user)]
        assert problems == [], problems

    @invariant()
    def plans_are_granted_exactly(self):
        """The standing grants of a period are what one of the plans includes."""
        granted: dict[str, int] = {}
        for one in self.company.grants.values():
            if one.category is Category.PLAN:
                period = one.grant_id.partition("@")[0]
                stands = one.grant_id not in self.company.voided
                granted[period] = granted.get(period, 0) + one.amount * stands
        assert all(amount in {150, 300, 400} for amount in granted.values()), granted

    @invariant()
    def nobody_exceeds_a_limit(self):
        """Usage over all regions stays within the user's limit and own grants, and within all grants."""
        company = self.company
        used: dict[tuple[str, str], int] = {}
        held: dict[tuple[str, str], int] = {}
        for region in company.regions.values():
            for key, allotment in region.allotments.items():
                who = key.user_id, key.period
                used[who] = used.get(who, 0) + allotment.kept
                held[who] = held.get(who, 0) + allotment.reserved
        for (user, period), spent in used.items():
            own = sum(g.amount for g in company.grants.values() if g.user_id == user)
            taken = spent + held[user, period]
            assert taken <= company.peak[user, period] + own, f"{user} has spent or set aside {taken} in {period}"
        assert sum(used.values()) + sum(held.values()) <= sum(g.amount for g in company.grants.values())
        charged = sum(units for _, _, units in company.charged.values())
        refunded = sum(sum(parts.values()) for parts in company.refunded.values())
        assert sum(used.values()) == charged + company.committed.total() - refunded

    @invariant()
    def what_is_metered_is_what_was_used(self):
        """A consumer that has read everything has counted everything, once."""
        for region in self.company.regions.values():
            if region.read < len(region.stream):
                continue
            for key, allotment in region.allotments.items():
                tally = region.tallies[key]
                assert sum(tally.units.values()) == allotment.kept, f"usage of {key}"
                assert sum(tally.refusals.values()) == allotment.refused, f"refusals of {key}"
                assert tally.reserved == allotment.reserved, f"set aside: {key}"
                held = allotment.drawn - allotment.returned - allotment.expired - allotment.handed
                assert tally.moved == held, f"in hand: {key}"
