"""A year of an organisation, by chance: everything that moves units, in both regions, one of which is lost in it.

Simulated time jumps from one moment to the next. At the last second of each month it is noted what the live items
have of each grant, with all that happened metered.
"""

import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import cycle
from zoneinfo import ZoneInfo

from cutlass.contracts import load_catalogue
from cutlass.domain.errors import ConflictError, ReservationExpiredError
from cutlass.domain.grants import Category
from cutlass.domain.periods import PeriodRule, period_at
from cutlass.domain.plans import Catalogue, PeriodKind
from cutlass.storage.region_loss import RegionLoss
from cutlass.storage.settlements import Overdraft
from tests.support.engines import Engine
from tests.support.shelf import BOTH, Live, Shelf, live
from tests.support.world import World

ZONES = ["Europe/London", "Australia/Sydney", "America/New_York"]
METER = "requests"
_INCLUDED = {"basic": 400, "premium": 900}
_LONGEST = 86_400


def small(catalogue: Catalogue) -> Catalogue:
    """Plans that a few decisions use up, with a limit that no user reaches."""
    plans = dict(catalogue.plans)
    for name, included in _INCLUDED.items():
        allowance = replace(plans[name].meters[METER], included=included, user_limit=5000)
        plans[name] = replace(plans[name], meters={**plans[name].meters, METER: allowance})
    return replace(catalogue, plans=plans)


def world_of(engine: Engine) -> World:
    """Make a world of small plans."""
    return World(engine, catalogue=small(load_catalogue()))


class Year:
    """From March to March, with a leap day, in a zone and by a period rule that follow from the seed.

    Attributes
    ----------
    noted : Mapping
        What the live items had at the end of each month.
    overdrawn : list of Overdraft
        What the lost region had spent and its survivor was given.
    """

    def __init__(self, world: World, shelf: Shelf, seed: int) -> None:
        self.world, self.shelf = world, shelf
        self.rng = random.Random(seed)
        self.zone = ZoneInfo(self.rng.choice(ZONES))
        self.rule = PeriodRule(self.rng.choice([1, 15, 31]), self.rng.choice(ZONES))
        self.serving = BOTH
        self.noted: dict[datetime, Mapping[str, int]] = {}
        self.overdrawn: list[Overdraft] = []
        self.charges: list[tuple[str, str, str, int]] = []
        self.held: list[tuple[str, int]] = []
        self.prepaid: list[str] = []
        self.steps = cycle(self._deck())

    @property
    def months(self) -> list[datetime]:
        """Where the year's months begin, and where the last one ends."""
        return [
            datetime(2027 + month // 12, month % 12 + 1, 1, tzinfo=self.zone).astimezone(UTC)
            for month in range(2, 15)
        ]

    def live(self) -> None:
        """Live the year."""
        world = self.world
        world.now = self.months[0] - timedelta(days=3)
        world.found(plan="basic", period=self.rule, user="ann")
        world.stores["london"].organisations.put_user(world.org, "bob", limits={METER: 150})
        world.replicate()
        self.act()
        for at, happens in sorted(self._plan(), key=lambda one: one[0]):
            world.now = max(world.now, at)
            happens()

    def _plan(self) -> Iterator[tuple[datetime, object]]:
        begun, *ends = self.months
        for end in ends:
            yield end - timedelta(seconds=1), lambda end=end: self.note(end)
        period = period_at(PeriodKind.MONTH, self.rule, begun)
        while period.end < ends[-1]:
            yield period.end - timedelta(hours=12), self.before_the_turn
            yield period.end + timedelta(minutes=5), self.behind_the_turn
            period = period_at(PeriodKind.MONTH, self.rule, period.end)
        chance = self.rng
        # Never within the hour before a month's end, so that what is noted there is of that time.
        for day in sorted(chance.sample(range(365), 26)):
            yield begun + timedelta(days=day, hours=chance.randint(1, 20)), self.act
        yield begun + timedelta(days=chance.randint(40, 80), hours=3), lambda: self.change_plan("premium")
        yield begun + timedelta(days=chance.randint(230, 290), hours=3), lambda: self.change_plan("basic")
        lost = chance.randint(95, 190)
        yield begun + timedelta(days=lost, hours=5), self.lose
        for hours in (9, 20):
            yield begun + timedelta(days=lost, hours=hours), self.act
        yield begun + timedelta(days=lost + chance.randint(2, 25), hours=6), self.bring_back

    # --- what runs by itself ---------------------------------------------------------------------------

    def settle(self, *, take: bool = True) -> None:
        """Let the consumers of the regions that serve run until nothing is left to do; archive if asked."""
        for _ in range(2 if take else 1):
            for region in self.serving:
                self.world.meter(region)
            if self.serving == BOTH:
                self.world.replicate()
                for region in self.serving:
                    self.world.compensate(region)
        for region in self.serving:
            self.world.meter(region)
        if take:
            self.shelf.take(self.serving)

    def keep_house(self) -> None:
        for region in self.serving:
            self.world.stores[region].housekeeping.run(600)
        self.expire()

    def note(self, end: datetime) -> None:
        """Note what there is of each grant at a month's end, of those that may still be spent then."""
        self.settle()
        assert self.world.now == end - timedelta(seconds=1), "what is noted is not of the month's end"
        self.noted[end] = self.standing(live(self.world), end)

    def standing(self, found: Live, end: datetime) -> dict[str, int]:
        """What there is of each grant that has begun by `end`: of one that has ended what is set aside of it.

        What no region has come to need yet is in no pool, and there all the same, unless it was voided.
        """
        views = self.world.stores["london"].grants.page(self.world.org, meter=METER, limit=1000).items
        standing = {}
        for view in views:
            grant = view.grant
            if max(grant.effective_at, grant.created_at) >= end:
                continue
            if grant.expires_at is not None and grant.expires_at <= end:
                standing[grant.grant_id] = found.aside[grant.grant_id]
            else:
                unborn = 0 if view.voided_at else grant.amount - found.minted[grant.grant_id]
                standing[grant.grant_id] = found.there[grant.grant_id] + unborn
        return standing

    def before_the_turn(self) -> None:
        """The next period's grants are written; something is set aside that outlasts the period."""
        self.keep_house()
        self.reserve(_LONGEST)
        self.settle()

    def behind_the_turn(self) -> None:
        self.keep_house()
        self.settle(take=self.rng.random() < 0.5)

    def change_plan(self, plan: str) -> None:
        self.world.stores["london"].organisations.put(self.world.org, plan=plan, period=self.rule)
        self.settle()

    # --- a region that is lost -------------------------------------------------------------------------

    def lose(self) -> None:
        """Sydney goes dark; what it spent last was not copied. London claims and sells what it seems to have."""
        world = self.world
        self.settle()
        for _ in range(3):
            self.charge("sydney", "ann", 25)
        world.cut()
        self.serving = ("london",)
        desk = RegionLoss(world.stores["london"])
        desk.fence("sydney", by="olga", why="it is dark", progress=_quiet)
        desk.claim(
            "sydney",
            denied="a policy on its tables",
            margin_seconds=0,
            org_id=world.org,
            progress=_quiet,
            dry_run=False,
        )
        while self.charge("london", "ann", 40):
            world.pass_time(seconds=2)
        self.settle()

    def bring_back(self) -> None:
        world = self.world
        world.heal()
        self.serving = BOTH
        desk = RegionLoss(world.stores["london"])
        desk.fence("sydney", by="olga", why="it is dark", progress=_quiet)
        self.overdrawn = desk.readmit("sydney", by="olga", why="it is back", progress=_quiet).overdrafts
        world.pass_time(seconds=2)
        self.settle()
        self.keep_house()
        self.settle()

    # --- what users and operators do -------------------------------------------------------------------

    def act(self) -> None:
        """Do a few things, one behind the other, and let what follows from them follow now or later."""
        for _ in range(self.rng.randint(2, 4)):
            next(self.steps)()
            self.world.pass_time(seconds=self.rng.randint(1, 200))
        if self.rng.random() < 0.3:
            self.keep_house()
        if self.rng.random() < 0.7:
            self.settle(take=self.rng.random() < 0.7)

    def _deck(self) -> list:
        """Everything there is to do, each often enough to come several times a year."""
        deck = [self.spend] * 10 + [self.spend_twice] * 2 + [self.refund] * 4 + [self.grant] * 5 + [self.void] * 2
        deck += [self.set_aside] * 5 + [self.end] * 4 + [self.expire]
        self.rng.shuffle(deck)
        return deck

    def charge(self, region: str, user: str, units: int) -> bool:
        request = self.world.request_id()
        allowed = self.world.check(region, user, units=units, request_id=request).allowed
        if allowed:
            self.charges.append((request, region, user, units))
        return allowed

    def spend(self) -> None:
        self.charge(self.rng.choice(self.serving), self.rng.choice(["ann", "bob"]), self.rng.randint(5, 60))

    def spend_twice(self) -> None:
        """A retry goes to another region before the first charge is known there: one of the two comes back."""
        request, units = self.world.request_id(), self.rng.randint(5, 40)
        for region in self.serving:
            self.world.check(region, "ann", units=units, request_id=request)

    def refund(self) -> None:
        known = [charge for charge in self.charges if charge[1] in self.serving]
        if known:
            charge = self.rng.choice(known)
            self.world.meter(charge[1])
            self.charges.remove(charge)
            request, _, user, units = charge
            back = self.rng.choice([units, self.rng.randint(1, units)])
            self.world.refund(request, self.rng.choice(self.serving), user, refund_id="back", units=back)

    def grant(self) -> None:
        """A grant that begins now or later and ends within months or never, before or behind the plan's units."""
        chance, now = self.rng, self.world.now
        begins = now + timedelta(days=chance.choice([0, 0, 9, 33]), minutes=chance.randint(1, 600))
        ends = chance.choice([None, begins + timedelta(days=chance.randint(1, 70), hours=chance.randint(0, 23))])
        view, _ = self.world.stores[chance.choice(self.serving)].grants.create(
            self.world.org,
            meter=METER,
            amount=chance.randint(20, 200),
            priority=chance.choice([5, 50]),
            category=chance.choice([Category.PAID, Category.PROMOTIONAL]),
            effective_at=chance.choice([None, begins]),
            expires_at=ends,
            user_id=chance.choice([None, None, "bob"]),
        )
        self.prepaid.append(view.grant.grant_id)

    def void(self) -> None:
        if self.prepaid:
            name = self.prepaid.pop(self.rng.randrange(len(self.prepaid)))
            self.world.stores["london"].grants.void(self.world.org, name)

    def set_aside(self) -> None:
        self.reserve(self.rng.choice([600, _LONGEST]))

    def reserve(self, seconds: int) -> None:
        region, user = self.rng.choice(self.serving), self.rng.choice(["ann", "bob"])
        units, request = self.rng.randint(5, 60), self.world.request_id()
        made = self.world.reserve(region, user, ttl_seconds=seconds, units=units, request_id=request).reservation
        if made:
            self.held.append((made.reservation_id, units))

    def end(self) -> None:
        known = [one for one in self.held if one[0].partition("-")[0] in self.serving]
        if known:
            one = self.rng.choice(known)
            self.held.remove(one)
            cost = self.rng.choice([0, one[1], self.rng.randint(1, one[1])])
            region = one[0].partition("-")[0]
            with suppress(ReservationExpiredError, ConflictError):  # the sweeper came first
                made = self.world.stores[region].reservations.commit(one[0], cost).reservation
                if made and cost:
                    self.charges.append((made.charge_id, region, made.user_id, cost))

    def expire(self) -> None:
        for region in self.serving:
            self.world.stores[region].reservations.expire_overdue(100)


def _quiet(_done: int, _of: int) -> None:
    pass
