"""Fills the archives of the running platform with a year of an organisation that never was."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from botocore.credentials import Credentials

from cutlass.contracts import load_catalogue, load_topology
from cutlass.platform.buckets import archives
from cutlass.platform.local import ACCOUNT
from cutlass.reporting.archiver import Archiver
from cutlass.reporting.demo import year
from cutlass.storage.objects import Bucket

if TYPE_CHECKING:
    from cutlass.domain.ledger import LedgerEntry

PLAN = "basic"
"""The plan of the organisation."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What was written: entries, and files of the archives."""

    entries: int
    files: int


def fill(endpoint: str, org_id: str, today: date, progress: Callable[[float], None]) -> Filled:
    """Write the year into the archive of each region; doing it again changes nothing.

    Parameters
    ----------
    endpoint : str
        Address of the emulator.
    progress : callable
        Told how much is done, from 0 to 1.
    """
    regions = load_topology().regions
    months: dict[tuple[str, str], list[LedgerEntry]] = {}
    count = files = 0
    for entry in year(org_id, load_catalogue().plans[PLAN], list(regions), today):
        months.setdefault((f"{entry.at:%Y-%m}", entry.region), []).append(entry)
        count += 1
    writers = {}
    for name, region in regions.items():
        own = archives(name, regions)[0].removeprefix("s3://")
        bucket = Bucket(own, region.aws_region, endpoint=endpoint, credentials=Credentials(ACCOUNT, "local"))
        writers[name] = Archiver(bucket, name)
    for done, ((month, at), entries) in enumerate(months.items(), 1):
        # The month that goes on gets more days: a file for each stays the same when the year is made again.
        files += writers[at].write(entries, months=month != f"{today:%Y-%m}").files
        progress(done / len(months))
    return Filled(count, files)
