"""The archive as its readers see it: which files to read, and the files on this machine."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cutlass.contracts import load_topology
from cutlass.domain.errors import ContractError, NotFoundError, UnavailableError
from cutlass.domain.reports import EVERYONE
from cutlass.reporting.layout import ROOT, Choice, File, choose, months_of
from cutlass.storage.objects import Folder, Listed, Objects, open_objects

ARCHIVES = "CUTLASS_ARCHIVES"
"""The variable that names the archives: a JSON list of `s3://bucket` or of folders.

The first is this region's own and is written; the others are read beside it: the copies here of other regions'.
"""

BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
"""Before anything that was ever archived."""

_READERS = 16
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Opened:
    """Files of the archive on this machine, chosen as the `choice` says."""

    choice: Choice
    clean: tuple[Path, ...]
    dirty: tuple[Path, ...]
    beside: tuple[Path, ...]


class Archive:
    """The archive of all ledger entries, of all regions as far as they have come here.

    Parameters
    ----------
    sources : sequence of Objects
        Where the regions' parts lie. A file that two of them have is read from the first.
    """

    def __init__(self, sources: Sequence[Objects]) -> None:
        self.sources = tuple(sources)

    @classmethod
    def of_folder(cls, folder: Path) -> "Archive":
        """Open a folder that has the archive's layout."""
        return cls([Folder(folder)])

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Archive":
        """Open the archives of this process's region; raises `ContractError` where none is named."""
        try:
            named = json.loads(environ[ARCHIVES])
        except KeyError:
            raise ContractError(f"environment variable {ARCHIVES} is not set") from None
        except ValueError:
            raise ContractError(f"{ARCHIVES} is not a JSON list") from None
        region, endpoint = surroundings(environ)
        return cls([open_objects(address, region, endpoint) for address in named])

    @property
    def own(self) -> Objects:
        """The part that this region writes."""
        return self.sources[0]

    def choose(self, org_id: str, start: datetime, end: datetime) -> Choice:
        """Choose the files that hold what happened in `[start, end)`, of one organisation or `EVERYONE`."""
        return choose(self.files(org_id, start, end))

    def files(self, org_id: str, start: datetime, end: datetime) -> Iterator[File]:
        """Give every file that may hold entries of a span."""
        if org_id == EVERYONE:
            prefixes = [ROOT]
        elif start <= BEGINNING:  # one listing, not one for each month
            prefixes = [f"{ROOT}org={org_id}/"]
        else:
            prefixes = [f"{ROOT}org={org_id}/month={month}/" for month in months_of(start, end)]
        wanted = [(source, prefix) for source in self.sources for prefix in prefixes]
        seen: set[str] = set()
        with ThreadPoolExecutor(_READERS) as pool:
            for (source, _), found in zip(wanted, pool.map(_listing, wanted), strict=True):
                for listed in found:
                    file = None if listed.key in seen else File.parse(source, listed.key, listed.size)
                    seen.add(listed.key)
                    if file is not None and _overlap(file, start, end):
                        yield file

    @contextmanager
    def opened(self, org_id: str, start: datetime, end: datetime) -> Iterator[Opened]:
        """Have the files of a span on this machine as long as the context lasts.

        Raises
        ------
        UnavailableError
            The archive cannot be read, or changes faster than it is read.
        """
        with tempfile.TemporaryDirectory(prefix="cutlass-archive-") as folder:
            yield self._fetched(org_id, start, end, Path(folder))

    def _fetched(self, org_id: str, start: datetime, end: datetime, folder: Path) -> Opened:
        for _ in range(_ATTEMPTS):
            choice = self.choose(org_id, start, end)
            try:
                paths = fetch(choice.files, folder)
            except NotFoundError:
                continue  # compacted between the listing and the reading: what it held is in a newer file
            chosen = (
                tuple(paths[file.key] for file in part) for part in (choice.clean, choice.dirty, choice.beside)
            )
            return Opened(choice, *chosen)
        raise UnavailableError("the archive changes while it is read", retry_after=5)


def surroundings(environ: Mapping[str, str]) -> tuple[str, str | None]:
    """Return the AWS region of a process, and where AWS is when not at its own addresses."""
    name = environ.get("CUTLASS_REGION")
    if name is None:
        raise ContractError("environment variable CUTLASS_REGION is not set")
    regions = load_topology().regions
    if name not in regions:
        raise ContractError(f"CUTLASS_REGION is {name!r}; contracts/regions.yaml has: {', '.join(regions)}")
    return regions[name].aws_region, environ.get("AWS_ENDPOINT_URL")


def fetch(files: Sequence[File], folder: Path) -> dict[str, Path]:
    """Bring files to this machine, those that are not here yet; returns them by their keys.

    Raises `NotFoundError` where one is gone.
    """

    def one(file: File) -> Path:
        here = file.objects.path(file.key)
        if here is not None:
            if not here.is_file():
                raise NotFoundError(f"there is no object {file.key}")
            return here
        target = folder / file.key
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.objects.get(file.key))
        return target

    with ThreadPoolExecutor(_READERS) as pool:
        return dict(zip((file.key for file in files), pool.map(one, files), strict=True))


def _listing(wanted: tuple[Objects, str]) -> list[Listed]:
    source, prefix = wanted
    return list(source.list(prefix))


def _overlap(file: File, start: datetime, end: datetime) -> bool:
    first, last = file.place.span
    return first < end and start < last
