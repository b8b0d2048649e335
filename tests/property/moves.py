"""The part of the histories in which rights move: between regions, and back from allotments to pools."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.property import handing
from tests.property.model import REGIONS, Company

regions = st.sampled_from(REGIONS)
users = st.sampled_from(["ann", "bob"])
units = st.one_of(st.integers(1, 5), st.integers(6, 40))


class Moves(RuleBasedStateMachine):
    """Transfers, releases, sweeps, hand-overs, pulls and pushes."""

    def __init__(self) -> None:
        super().__init__()
        self.company = Company()

    @rule(origin=regions, to=regions, which=st.integers(0, 9), moved=units)
    def send(self, origin, to, which, moved):
        """A region sends units of a pool to another one."""
        place = self.company.regions[origin]
        if origin != to and place.pools:
            self.company.send(place, to, sorted(place.pools)[which % len(place.pools)], moved)

    @rule(origin=regions, to=regions, user=users, moved=units)
    def send_rights(self, origin, to, user, moved):
        """A region sends rights of a user's limit to another one."""
        place = self.company.regions[origin]
        key = self.company.key(place, user)
        if origin != to and key in place.allotments:
            self.company.send_rights(place, to, key, moved)

    @precondition(lambda self: self.company.messages)
    @rule(age=st.integers(0, 12))
    def deliver(self, age):
        """A message arrives: the newest or an older one, perhaps again."""
        messages = self.company.messages
        self.company.deliver(messages[-1 - age % len(messages)])

    @rule(region=regions, user=users, later=st.booleans())
    def release(self, region, user, later):
        """An allotment gives back what it holds."""
        place = self.company.regions[region]
        key = self.company.key(place, user)
        if key in place.allotments:
            transaction = self.company.release(place, key)
            if later:
                place.underway.append(transaction)
            else:
                self.company.commit(place, transaction)

    @rule(region=regions, only_idle=st.booleans(), later=st.booleans())
    def sweep_up(self, region, only_idle, later):
        """A pool is dry: what allotments hold comes back, unless something comes between."""
        place = self.company.regions[region]
        for transaction in self.company.swept(place, only_idle=only_idle):
            if later:
                place.underway.append(transaction)
            else:
                self.company.commit(place, transaction)

    @rule(region=regions, user=users, moved=units, later=st.booleans())
    def hand_over(self, region, user, moved, later):
        """A user is supplied through the region's depot, at once or beside whatever comes between."""
        handing.hand_over(self.company, self.company.regions[region], user, moved, later=later)

    @rule(origin=regions, to=regions, which=st.integers(0, 9), need=units)
    def pull(self, origin, to, which, need):
        """A region that is or will be short takes its share of a pool from another one."""
        place, short = self.company.regions[origin], self.company.regions[to]
        if origin != to and place.pools:
            self.company.pull(place, short, sorted(place.pools)[which % len(place.pools)], need)

    @rule(origin=regions, which=st.integers(0, 9))
    def push(self, origin, which):
        """A region sends what it has beyond its share."""
        place = self.company.regions[origin]
        if place.pools:
            self.company.push(place, sorted(place.pools)[which % len(place.pools)])
