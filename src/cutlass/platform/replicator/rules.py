"""Which changes are copied, in which order, and who wins. Rules only, no I/O.

Every copy carries a stamp (as the first version of DynamoDB global tables did, in `aws:rep:…` attributes): the
region, time and sequence number of the write it is a copy of. A stream record whose stamp differs between the
old and the new image is the replicator's own; everything else was written by the region itself.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cutlass.platform.streams import Record, sequence_number

STAMP = "aws:rep"
"""The attribute that holds the stamp."""

_SEQUENCE_DIGITS = 40
_EMULATOR_DIGITS = 30  # ministack: 20 digits of Unix milliseconds, then a counter

Image = Mapping[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Write:
    """When and where something was written: `at` in Unix milliseconds. Later wins, then the region's name."""

    at: int
    region: str
    sequence: str = ""

    def beats(self, other: "Write | None") -> bool:
        """Tell whether this write stays when both are known."""
        return other is None or (self.at, self.region, self.sequence) >= (other.at, other.region, other.sequence)


@dataclass(frozen=True, slots=True)
class Change:
    """A write of one region to one item; `image` is None where it deleted the item."""

    key: Key
    image: Image | None
    write: Write


@dataclass(frozen=True, slots=True)
class Echo:
    """A copy made by the replicator, seen in the stream of the region it was made in.

    `replaced` is what it overwrote, None if there was nothing.
    """

    key: Key
    write: Write
    replaced: Image | None


def read(record: Record, region: str) -> Change | Echo | None:
    """Return what a stream record of `region` says; None for the end of the replicator's own deletion."""
    data = record["dynamodb"]
    key = (data["Keys"]["pk"]["S"], data["Keys"]["sk"]["S"])
    old, new = data.get("OldImage"), data.get("NewImage")
    if new is None:
        if old is not None and "deleted" in old.get(STAMP, {}).get("M", {}):
            return None
        return Change(key, None, _written(record, region))
    if STAMP in new and new[STAMP] != (old or {}).get(STAMP):
        return Echo(key, parse_stamp(new[STAMP]), None if old is None else unstamped(old))
    return Change(key, unstamped(new), _written(record, region))


def stamp(write: Write, *, deleted: bool = False) -> dict[str, Any]:
    """Return the stamp of a copy of `write`; `deleted` announces that the copy is deleted next."""
    parts: dict[str, Any] = {
        "region": {"S": write.region},
        "at": {"N": str(write.at)},
        "seq": {"S": write.sequence},
    }
    return {"M": parts | ({"deleted": {"BOOL": True}} if deleted else {})}


def parse_stamp(value: Mapping[str, Any]) -> Write:
    """Return the write that a stamp tells of."""
    parts = value["M"]
    return Write(at=int(parts["at"]["N"]), region=parts["region"]["S"], sequence=parts["seq"]["S"])


def unstamped(image: Image) -> dict[str, Any]:
    """Return the item without the stamp."""
    return {name: value for name, value in image.items() if name != STAMP}


def last_of_each(changes: Iterable[Change]) -> list[Change]:
    """Return the last change of every item, in the order of these.

    Global tables copy items, not histories: what was overwritten before it was copied need not be.
    """
    latest: OrderedDict[Key, Change] = OrderedDict()
    for change in changes:
        latest[change.key] = change
        latest.move_to_end(change.key)
    return list(latest.values())


def _written(record: Record, region: str) -> Write:
    sequence = sequence_number(record)
    if len(sequence) == _EMULATOR_DIGITS:
        at = int(sequence[:20])  # the creation time of a record has whole seconds only
    else:
        at = int(float(record["dynamodb"]["ApproximateCreationDateTime"]) * 1000)
    return Write(at=at, region=region, sequence=sequence.zfill(_SEQUENCE_DIGITS))


class LatestWrites:
    """The latest write of each item of one table, in any region, as far as it has been seen.

    Bounded: the item that was written least recently is forgotten first. What is forgotten, or was seen
    before the process started, is taken for older than anything new.
    """

    def __init__(self, limit: int = 50_000) -> None:
        self._limit = limit
        self._writes: OrderedDict[Key, Write] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, change: Change) -> None:
        """Take note of a region's own write."""
        with self._lock:
            if change.write.beats(self._writes.get(change.key)):
                self._writes[change.key] = change.write
                self._writes.move_to_end(change.key)
                while len(self._writes) > self._limit:
                    self._writes.popitem(last=False)

    def wins(self, change: Change) -> bool:
        """Tell whether no later write of the item is known."""
        with self._lock:
            return change.write.beats(self._writes.get(change.key))

    def overruled(self, echo: Echo, region: str) -> Write | None:
        """Return the later write of `region` itself that the copy wrongly overwrote, None if it was right.

        The copy was under way when the region's own write was made, so nobody could know.
        """
        with self._lock:
            latest = self._writes.get(echo.key)
        if latest is None or latest.region != region or echo.write.region == region:
            return None
        return None if echo.write.beats(latest) else latest
