"""How the archive is laid out: which files there are, what their names say, and which of them a reader takes.

    decisions/org={org}/month=2026-11/day=2026-11-03/region={region}/d-{hash}.parquet    as they came
                                                                    /b-{generation}.parquet  all of a day
    decisions/org={org}/month=2026-11/day=all/region={region}/b-{generation}.parquet         all of a month
                                                             /s-{generation}.parquet         without users

A generation holds all that the one before it held and all files that were compacted into it, so the newest
alone is read. What it was made of is deleted after it is there. A crash between the two leaves rows twice, under
the same key, and readers take one of each.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cutlass.storage.objects import Objects

ROOT = "decisions/"
WHOLE = "all"
"""Where a day would be, of a file that holds a month."""

_KEY = re.compile(
    r"decisions/org=(?P<org>[^/]+)/month=(?P<month>\d{4}-\d{2})/day=(?P<day>[^/]+)/region=(?P<region>[^/]+)/"
    r"(?P<sort>[bds])-(?P<name>[0-9a-f]+)\.parquet"
)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A partition: an organisation's day, or whole month, in one region."""

    org_id: str
    month: str
    day: str
    region: str

    @classmethod
    def of(cls, org_id: str, region: str, at: datetime) -> "Place":
        """Return the place of what happened at a time (UTC)."""
        return cls(org_id, f"{at:%Y-%m}", f"{at:%Y-%m-%d}", region)

    @property
    def prefix(self) -> str:
        """What the keys of its files begin with."""
        return f"{ROOT}org={self.org_id}/month={self.month}/day={self.day}/region={self.region}/"

    @property
    def whole(self) -> "Place":
        """The place of its whole month."""
        return Place(self.org_id, self.month, WHOLE, self.region)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The time `[start, end)` its entries are of."""
        if self.day != WHOLE:
            start = datetime.strptime(self.day, "%Y-%m-%d").replace(tzinfo=UTC)
            return start, start + timedelta(days=1)
        start = datetime.strptime(self.month, "%Y-%m").replace(tzinfo=UTC)
        return start, (start + timedelta(days=32)).replace(day=1)

    def delta(self, name: str) -> str:
        """Return the key of a file of new entries, named by what is in it."""
        return f"{self.prefix}d-{name}.parquet"

    def base(self, generation: int, *, sums: bool = False) -> str:
        """Return the key of a generation of all its entries, or of their sums."""
        return f"{self.prefix}{'s' if sums else 'b'}-{generation:08x}.parquet"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the archive.

    `generation` is None of one that holds what has come, as it came; `sums` says that it has no single entries.
    """

    objects: Objects
    key: str
    size: int
    place: Place
    generation: int | None
    sums: bool = False

    @classmethod
    def parse(cls, objects: Objects, key: str, size: int) -> "File | None":
        """Read a key; None for what is no file of the archive."""
        found = _KEY.fullmatch(key)
        if found is None:
            return None
        place = Place(found["org"], found["month"], found["day"], found["region"])
        generation = None if found["sort"] == "d" else int(found["name"], 16)
        return cls(objects, key, size, place, generation, found["sort"] == "s")


@dataclass(frozen=True, slots=True)
class Choice:
    """The files a reader takes.

    Attributes
    ----------
    clean : tuple of File
        No row of theirs is twice, neither in one of them nor in two.
    dirty : tuple of File
        Rows of theirs may be twice, also in those of `clean` that are `beside` them.
    """

    clean: tuple[File, ...]
    dirty: tuple[File, ...]
    beside: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes altogether."""
        return sum(file.size for file in self.files)

    @property
    def files(self) -> tuple[File, ...]:
        """All of them."""
        return self.clean + self.dirty


def choose(files: Iterable[File]) -> Choice:
    """Choose what to read of a listing: of each place the newest generation, and all that came beside it."""
    months: dict[Place, list[File]] = defaultdict(list)
    for file in files:
        months[file.place.whole].append(file)
    clean: list[File] = []
    dirty: list[File] = []
    beside: list[File] = []
    for whole, found in months.items():
        bases, month = _newest(found), _newest(found).get(whole)
        came: dict[Place, list[File]] = defaultdict(list)
        for file in found:
            if file.generation is None:
                came[file.place].append(file)
        before = len(dirty)
        for place in sorted(bases.keys() | came.keys()):
            base = bases.get(place)
            if month is not None and place != whole:
                dirty += ([base] if base else []) + came[place]
            elif base is not None:
                clean.append(base)
                dirty += came[place]
                beside += [base] if came[place] and base is not month else []
            elif len(came[place]) == 1:
                clean += came[place]
            else:
                dirty += came[place]
        if month is not None and len(dirty) > before:
            beside.append(month)
    return Choice(tuple(clean), tuple(dirty), tuple(beside))


def _newest(files: Iterable[File]) -> dict[Place, File]:
    newest: dict[Place, File] = {}
    for file in files:
        if file.generation is not None:
            known = newest.get(file.place)
            if known is None or (known.generation or 0) < file.generation:
                newest[file.place] = file
    return newest


def months_of(start: datetime, end: datetime) -> Iterator[str]:
    """Name the months (UTC) that `[start, end)` touches."""
    at = start.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    while at < end:
        yield f"{at:%Y-%m}"
        at = (at + timedelta(days=32)).replace(day=1)
