"""What reconciliation came to: of one organisation, and of many."""

from dataclasses import asdict, dataclass, field
from typing import Any

from cutlass.domain.reconciliation import Account, total


@dataclass(frozen=True, slots=True)
class Problem:
    """An item that breaks an invariant; `sk` is empty where only the partition can be named."""

    org_id: str
    meter: str
    region: str
    pk: str
    sk: str
    invariant: str
    words: str


@dataclass(slots=True)
class Reconciled:
    """What the reconciliation of one organisation came to.

    Attributes
    ----------
    items : int
        Pools and allotments looked at.
    accounts : dict[str, Account]
        Where the granted units are, by meter.
    problems : list[Problem]
        What breaks an invariant, what names one item first.
    not_compared : list[str]
        Comparisons that could not be made fairly, in words: no problem, and no proof either.
    behind : int
        Allotments whose decisions the stream's consumer has not recorded to the end yet.
    """

    org_id: str
    items: int = 0
    accounts: dict[str, Account] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    behind: int = 0


@dataclass(slots=True)
class Summary:
    """What the reconciliation of many organisations came to; `failures` are by organisation."""

    results: list[Reconciled] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def problems(self) -> list[Problem]:
        """Every problem, in the order in which they were found."""
        return [problem for result in self.results for problem in result.problems]

    @property
    def clean(self) -> bool:
        """Whether every organisation could be looked at, and nothing was wrong."""
        return not self.problems and not self.failures

    def totals(self) -> dict[str, Account]:
        """The accounts of all organisations together, by meter."""
        meters = dict.fromkeys(meter for result in self.results for meter in result.accounts)
        return {
            meter: total(result.accounts[meter] for result in self.results if meter in result.accounts)
            for meter in meters
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it; `first` is the first problem, or None."""
        problems = [asdict(problem) for problem in self.problems]
        return {
            "clean": self.clean,
            "organisations": len(self.results),
            "items": sum(result.items for result in self.results),
            "behind": sum(result.behind for result in self.results),
            "first": problems[0] if problems else None,
            "problems": problems,
            "not_compared": {r.org_id: r.not_compared for r in self.results if r.not_compared},
            "failures": self.failures,
            "totals": {meter: asdict(account) for meter, account in self.totals().items()},
            "accounts": {
                result.org_id: {meter: asdict(account) for meter, account in result.accounts.items()}
                for result in self.results
            },
        }
