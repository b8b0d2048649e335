"""The steps of a history that refund and end, with what must hold of the ledger after every one."""

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from tests.property.model import REGIONS, Company
from tests.property.places import Region
from tests.property.refunding import Refunding, end_pools, paid_wrongly, plan_refund, write_refund


class RefundRules:
    """Part of the histories' state machine."""

    company: Company

    def __init__(self) -> None:
        super().__init__()
        self.refunding: list[tuple[Region, Refunding]] = []

    @precondition(lambda self: self.company.charged)
    @rule(age=st.integers(0, 60), units=st.integers(1, 40), number=st.integers(0, 3), later=st.booleans())
    def refund(self, age, units, number, later):
        """Give back a part of a charge, under one of a few ids; or find that it was given back before."""
        company = self.company
        request_id = list(company.charged)[-1 - age % len(company.charged)]
        place = company.regions[company.charged[request_id][0]]
        if planned := plan_refund(company, place, request_id, units, f"r{number}"):
            if later:
                self.refunding.append((place, planned))
            else:
                write_refund(company, place, planned)

    @precondition(lambda self: self.refunding)
    @rule(first=st.booleans())
    def finish_refund(self, first):
        """Write the oldest or the newest refund under way."""
        place, planned = self.refunding.pop(0 if first else -1)
        write_refund(self.company, place, planned)

    @rule(region=st.sampled_from(REGIONS))
    def end_pools(self, region):
        """What voided and expired pools have left is ended."""
        end_pools(self.company, self.company.regions[region])

    @invariant()
    def the_ledger_knows_who_paid(self):
        """A consumer that has read everything knows of every unit that is out of a pool where it went."""
        for name, region in self.company.regions.items():
            if region.read == len(region.stream):
                problems = paid_wrongly(region)
                assert problems == [], f"{name}: {problems}"
