"""The types of report: each asks the archive and puts the answers into words, tables and charts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cutlass.domain.reports import ReportSpec
from cutlass.reporting.archive import BEGINNING
from cutlass.reporting.model import Report
from cutlass.reporting.query import Questions
from cutlass.reporting.reports import forecast, refusals, statement, summary, usage


@dataclass(frozen=True, slots=True)
class Kind:
    """How a type is built, and whether it asks for all that came before its span: balances do."""

    build: Callable[[ReportSpec, Questions], Report]
    from_beginning: bool

    def span(self, spec: ReportSpec) -> tuple[datetime, datetime]:
        """Return the span of the archive that it asks."""
        return (BEGINNING if self.from_beginning else spec.start), spec.end


KINDS: Mapping[str, Kind] = {
    "usage": Kind(usage.build, from_beginning=False),
    "credit-statement": Kind(statement.build, from_beginning=True),
    "limits-and-refusals": Kind(refusals.build, from_beginning=False),
    "forecast": Kind(forecast.build, from_beginning=True),
    "summary": Kind(summary.build, from_beginning=True),
}
"""Every type of `contracts/reports.yaml`."""
