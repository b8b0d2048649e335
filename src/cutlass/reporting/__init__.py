"""Reports: from the ledger's archive to a file somebody reads or loads.

`make` makes one report of one archive. It asks the archive by SQL, so it needs no store and no region; what asks
for a report, pays for it and hands it out is elsewhere.
"""

from cutlass.reporting.archive import Archive
from cutlass.reporting.athena import Athena
from cutlass.reporting.errors import ReportCancelledError, ReportTooLargeError
from cutlass.reporting.making import Made, make
from cutlass.reporting.query import Limits

__all__ = ["Archive", "Athena", "Limits", "Made", "ReportCancelledError", "ReportTooLargeError", "make"]
