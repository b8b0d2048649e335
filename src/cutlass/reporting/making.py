"""Makes one report: asks the archive, puts the answers together, writes the file."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cutlass.domain.errors import UnavailableError
from cutlass.domain.reports import EVERYONE, ReportSpec
from cutlass.reporting.archive import Archive
from cutlass.reporting.athena import Athena
from cutlass.reporting.errors import ArchiveChangedError
from cutlass.reporting.formats import FORMATS
from cutlass.reporting.model import Report
from cutlass.reporting.query import Limits, Questions, Watch, local
from cutlass.reporting.reports import KINDS

_FOUND, _ASKED = 0.1, 0.8
"""How much is done once the files are here, and once all questions are answered."""

_ATTEMPTS = 5


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
    limits: Limits | None = None,
    athena: Athena | None = None,
) -> Made:
    """Make the report into the folder `out`; a file is there whole or not at all.

    Parameters
    ----------
    progress : Callable
        Is told how much is done, from 0 to 1, never less than before.
    cancelled : Callable
        Is asked now and then whether to stop.
    limits : Limits, optional
        What a query on this machine may take.
    athena : Athena, optional
        Is asked where more bytes than it names would have to be read here.

    Raises
    ------
    ReportCancelledError
        `cancelled` said so.
    ReportTooLargeError
        It does not fit into memory, or into its format.
    UnavailableError
        The archive cannot be read.
    """
    watch = Watch(progress, cancelled)
    watch.tell(0.0)
    written = FORMATS[spec.format]
    report, scanned = _built(archive, spec, watch, limits or Limits(), athena)
    watch.tell(_ASKED)
    out.mkdir(parents=True, exist_ok=True)
    filename = _filename(spec)
    partial = out / f".{os.getpid()}-{spec.digest()[:16]}.{spec.format}"
    try:
        written.write(report, partial)
        watch.tell(0.99)
        partial.replace(out / filename)
    finally:
        partial.unlink(missing_ok=True)
    watch.tell(1.0)
    return Made(out / filename, written.content_type, filename, len(report.tables[0].rows), scanned)


def _built(
    archive: Archive, spec: ReportSpec, watch: Watch, limits: Limits, athena: Athena | None
) -> tuple[Report, int]:
    """Ask for all that a report says, of one state of the archive; with it how many bytes were read."""
    kind = KINDS[spec.type]
    start, end = kind.span(spec)
    for _ in range(_ATTEMPTS):
        try:
            with _questions(archive, spec, start, end, watch, limits, athena) as questions:
                watch.tell(_FOUND)
                report = kind.build(spec, questions)
        except ArchiveChangedError:
            continue
        return report, questions.scanned_bytes
    raise UnavailableError("the archive changes while it is asked", retry_after=5)


def _questions(
    archive: Archive,
    spec: ReportSpec,
    start: datetime,
    end: datetime,
    watch: Watch,
    limits: Limits,
    athena: Athena | None,
) -> AbstractContextManager[Questions]:
    if athena is not None and spec.org_id != EVERYONE:
        choice = archive.choose(spec.org_id, start, end)
        if athena.takes(choice):
            return athena.asked(archive, spec.org_id, (start, end), choice, watch)
    return local(archive, spec.org_id, start, end, watch, limits)


def _filename(spec: ReportSpec) -> str:
    """A name without anything a file system or a header could take amiss."""
    who = (
        "all" if spec.org_id == EVERYONE else "".join(c if c.isalnum() or c in "-_" else "_" for c in spec.org_id)
    )
    return f"{spec.type}_{who}_{spec.start:%Y%m%d}-{spec.end:%Y%m%d}.{spec.format}"
