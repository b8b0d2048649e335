"""Makes one report."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cutlass.domain.reports import ReportSpec
from cutlass.reporting.archive import Archive


@dataclass(frozen=True, slots=True)
class Made:
    """A report that was made.

    Attributes
    ----------
    path : Path
        The file, in the folder it was asked into.
    content_type, filename : str
        What it is sent with: its media type, and a name people understand.
    rows : int
        Rows of its main table.
    scanned_bytes : int
        Bytes of the archive that were read for it.
    """

    path: Path
    content_type: str
    filename: str
    rows: int
    scanned_bytes: int


def make(
    spec: ReportSpec,
    archive: Archive,
    out: Path,
    *,
    progress: Callable[[float], None],
    cancelled: Callable[[], bool],
) -> Made:
    """Make the report into the folder `out`; a file is there whole or not at all.

    Parameters
    ----------
    progress : Callable
        Is told how much is done, from 0 to 1, never less than before.
    cancelled : Callable
        Is asked now and then whether to stop.

    Raises
    ------
    ReportCancelledError
        `cancelled` said so.
    ReportTooLargeError
        It does not fit into memory, or into its format.
    UnavailableError
        The archive cannot be read.
    """
    raise NotImplementedError((spec, archive, out, progress, cancelled))
