"""Histories of a region that dies and comes back, over the production rules and one grant of three regions.

Sydney goes dark at any point, with units spent that no copy tells of. It may go on spending until its writes
are denied or its fence is walked. London claims, the third region only takes part in transfers.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cutlass.domain import invariants, pools, regions, transfers
from cutlass.domain.errors import ConflictError
from cutlass.domain.pools import Pool
from cutlass.domain.regions import RegionState, Sight
from tests.unit.domain.samples import grant, topology

TOPOLOGY = topology(regions=3, home_percent=50)
NAMES = tuple(TOPOLOGY.regions)
LONDON, SYDNEY, THIRD = NAMES
GRANT = grant(amount=120, split=TOPOLOGY.split(120, SYDNEY))
WHO = {"by": "olga", "why": "dark", "at_ms": 0}

names = st.sampled_from(NAMES)
units = st.integers(1, 40)


@dataclass
class Booked:
    """A claim as the survivor keeps it."""

    epoch: int
    cumulative: int
    units: int
    settled: bool = False


class RegionHistories(RuleBasedStateMachine):
    """Deaths, fences, claims, late arrivals, returns, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.pools: dict[str, Pool] = {name: pools.mint(GRANT, name) for name in NAMES}
        self.held = dict.fromkeys(NAMES, 0)  # what allotments have, ready to spend
        self.spent = dict.fromkeys(NAMES, 0)
        self.copy = self.pools[SYDNEY]  # as London sees it
        self.own = RegionState(SYDNEY)
        self.kept = RegionState(SYDNEY)  # what the survivors keep
        self.epoch = self.own.epoch  # as Sydney's functions know it
        self.walked = True  # whether its allotments know of its fence
        self.dark = self.denied = False
        self.claims: list[Booked] = []
        self.worst = 0  # what the operator was told may be sold twice
        self.honest = True  # whether every claim was of units that were there, of a region that had stopped

    # --- what regions do by themselves

    def may_spend(self, name: str) -> bool:
        return name != SYDNEY or not (self.denied or (not self.own.serves and self.walked))

    @rule(name=names, wanted=units)
    def draw(self, name, wanted):
        """An allotment is refilled, by a process that knows an epoch."""
        pool = self.pools[name]
        moved = min(wanted, pool.available)
        fenced = name == SYDNEY and pool.fence >= self.epoch
        if self.may_spend(name) and not fenced:
            self.pools[name] = replace(pool, available=pool.available - moved, allotted=pool.allotted + moved)
            self.held[name] += moved

    @rule(name=names, wanted=units)
    def spend(self, name, wanted):
        """Decisions are taken."""
        if self.may_spend(name):
            moved = min(wanted, self.held[name])
            self.held[name] -= moved
            self.spent[name] += moved

    @rule(name=names)
    def give_back(self, name):
        """Allotments give back what they hold."""
        if name != SYDNEY or not self.denied:
            self._release(name)

    def _release(self, name: str) -> None:
        pool, back = self.pools[name], self.held[name]
        self.pools[name] = replace(pool, available=pool.available + back, returned=pool.returned + back)
        self.held[name] = 0

    @rule(origin=names, to=names, wanted=units)
    def send(self, origin, to, wanted):
        """One region takes from another; the answer may be lost. What London claims no third region takes."""
        spoken_for = origin == SYDNEY and to != LONDON and self.kept.claimant and not self.kept.serves
        if not spoken_for and origin != to and not (self.dark and SYDNEY in (origin, to)):
            pool = self.pools[origin]
            self.pools[origin] = transfers.send(pool, to, min(wanted, pool.available))

    @rule(origin=names, to=names)
    def accept(self, origin, to):
        """What was sent altogether arrives, from the sender or from a copy that is older."""
        if origin == to:
            return
        source = self.copy if origin == SYDNEY and self.dark else self.pools[origin]
        if not (to == SYDNEY and self.dark):
            self.pools[to] = transfers.accept(self.pools[to], origin, source.sent.get(to, 0))

    @precondition(lambda self: not self.dark)
    @rule()
    def replicate(self):
        """Sydney's pool arrives in London."""
        self.copy = self.pools[SYDNEY]

    @rule(dark=st.booleans())
    def network(self, dark):
        """Sydney cannot be reached, or can again."""
        self.dark = dark

    # --- what operators do

    @rule()
    def deny_writes(self):
        """Sydney can write no more, by means that are not Cutlass's."""
        self.denied = True

    @precondition(lambda self: not self.dark)
    @rule()
    def allow_writes(self):
        """It can again, once its fence is walked."""
        if not self.own.serves and self.walked:
            self.denied = False

    @rule(to_the_end=st.booleans())
    def fence(self, to_the_end):
        """Fence Sydney; where it answers, its pools, then its allotments."""
        state = regions.fence(self.prevailing(), **WHO)
        self.kept = state
        if not self.dark:
            self.walked = self.walked and not self.own.serves
            self.own = state
            self.pools[SYDNEY] = regions.fence_pool(self.pools[SYDNEY], state.epoch)
            self.walked = self.walked or to_the_end

    def prevailing(self) -> RegionState:
        return regions.prevailing(SYDNEY, [self.kept] if self.dark else [self.own, self.kept])

    @rule(kept_back=st.integers(0, 20))
    def claim(self, kept_back):
        """London claims what its copy shows, while Sydney does not answer."""
        serving = not self.dark and self.own.serves and self.own.epoch >= self.kept.epoch
        with suppress(ConflictError):
            state = regions.claim_by(self.prevailing(), LONDON, "a policy")
            assert not serving, "a region that serves was claimed from"
            if self.dark:
                self.kept = state
                self._claim(state.epoch, kept_back)

    def _claim(self, epoch: int, kept_back: int) -> None:
        accepted = {name: self.pools[name].accepted.get(SYDNEY, 0) for name in (LONDON, THIRD)}
        sight = Sight(self.copy.available, self.copy.sent, accepted)
        cumulative, claimed = regions.advance(sight, LONDON, kept_back)
        if not claimed or self.booked(epoch):
            return
        told = sum(claim.units for claim in self.claims if claim.epoch == epoch)
        assert told == 0, "claimed twice in an epoch"
        there = self.pools[SYDNEY].available - max(0, accepted[LONDON] - self.pools[SYDNEY].sent.get(LONDON, 0))
        known = all(accepted[name] >= units for name, units in self.pools[SYDNEY].sent.items())
        if known and self.pools[SYDNEY].allotted == self.copy.allotted:
            assert claimed <= there, "more is claimed than there is, as London could have known"
        self.honest = self.honest and self.denied and claimed <= there
        self.worst += claimed
        self.claims.append(Booked(epoch, cumulative, claimed))
        self.pools[LONDON] = transfers.accept(self.pools[LONDON], SYDNEY, cumulative)

    def booked(self, epoch: int) -> bool:
        """Whether the pool was claimed in an epoch; the record is put if absent."""
        return any(claim.epoch == epoch for claim in self.claims)

    @precondition(lambda self: not self.dark and not self.own.serves)
    @rule(die_before=st.sampled_from([None, "settling", "mark", "serving"]))
    def readmit(self, die_before):
        """Settle every claim, then serve; the operator's command may die between any two steps."""
        state = self.prevailing()
        if state.serves:
            state = replace(self.own, epoch=state.epoch)
        self.own = self.kept = settling = regions.settle_first(state)
        if die_before == "settling":
            return
        for claim in self.claims:
            if not claim.settled:
                self._settle(claim)
                if die_before == "mark":
                    return
                claim.settled = True
        with suppress(ConflictError):
            serving = regions.readmit(settling, self.unsettled(), **WHO)
            self.kept = serving
            if die_before != "serving":
                self.own, self.epoch, self.denied = serving, serving.epoch, False

    @precondition(lambda self: not self.dark and not self.own.serves)
    @rule()
    def hurry(self):
        """Readmit without a look at the claims: only the rule stands between."""
        with suppress(ConflictError):
            self.own = self.kept = settling = regions.settle_first(self.prevailing())
            self.own = self.kept = regions.readmit(settling, self.unsettled(), **WHO)
            self.epoch, self.denied = self.own.epoch, False

    def _settle(self, claim: Booked) -> None:
        pool = self.pools[SYDNEY]
        if claim.cumulative - pool.sent.get(LONDON, 0) > pool.available:
            self._release(SYDNEY)
        self.pools[SYDNEY] = regions.settle_units(self.pools[SYDNEY], LONDON, claim.cumulative)

    def unsettled(self) -> int:
        return sum(not claim.settled for claim in self.claims)

    # --- what must hold

    @invariant()
    def nothing_is_made_or_lost(self):
        """Every unit is accounted for; what is accepted was sent, or is claimed and waits to be settled."""
        for name in NAMES:
            assert invariants.check_pool(self.pools[name]) == []
        ahead = max((c.cumulative for c in self.claims if not c.settled), default=0)
        assert invariants.check_grant(GRANT, self.pools, {(SYDNEY, LONDON): ahead}) == []

    @invariant()
    def a_region_that_was_readmitted_owes_nothing(self):
        """It serves only when every claim is settled."""
        if self.own.serves and self.own.epoch >= self.kept.epoch:
            assert not self.unsettled(), "claims are not settled"

    @invariant()
    def nothing_is_sold_twice_but_what_was_told(self):
        """With a true fence nothing is; without one no more than the operator was told, all of it overdrawn."""
        overdrawn = self.pools[SYDNEY].overdrawn
        assert overdrawn <= self.worst
        assert overdrawn == 0 or not self.honest, "units were claimed that were there, and yet are overdrawn"
        waiting = max(0, self.pools[LONDON].accepted.get(SYDNEY, 0) - self.pools[SYDNEY].sent.get(LONDON, 0))
        assert sum(self.spent.values()) <= GRANT.amount + overdrawn + min(waiting, self.worst)

    def teardown(self):
        """In the end every unit can be sold: none was lost on the way."""
        self.dark = False
        for origin in NAMES:
            for to in NAMES:
                self.accept(origin, to)
        if not self.unsettled():
            left = sum(self.pools[name].available + self.held[name] + self.spent[name] for name in NAMES)
            assert left == GRANT.amount + self.pools[SYDNEY].overdrawn, "units were lost"


def die_and_come_back(history: RegionHistories, *, unseen: int = 0, denied: bool = True) -> None:
    """A life: use, a copy, unseen use, darkness, a claim that is sold, light, the return."""
    history.draw(SYDNEY, 10)
    history.spend(SYDNEY, 4)
    history.replicate()
    if unseen:
        history.draw(SYDNEY, unseen)
        history.spend(SYDNEY, unseen)
    history.network(dark=True)
    if denied:
        history.deny_writes()
    history.fence(to_the_end=True)
    history.claim(0)
    history.claim(5)
    history.draw(LONDON, 40)
    history.spend(LONDON, 40)
    history.network(dark=False)
    history.fence(to_the_end=True)
    history.hurry()
    for die_before in ("mark", None):
        if not history.own.serves:
            history.readmit(die_before)
    history.accept(SYDNEY, LONDON)


def play(story: Callable[[RegionHistories], None]) -> None:
    """Tell a story, and look at what must hold when it ends."""
    history = RegionHistories()
    story(history)
    history.nothing_is_made_or_lost()
    history.a_region_that_was_readmitted_owes_nothing()
    history.nothing_is_sold_twice_but_what_was_told()
    history.teardown()
