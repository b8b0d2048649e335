"""Copies the changes of one table from one region to the others."""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from cutlass.platform.checkpoints import Checkpoint
from cutlass.platform.errors import AwsError, PlatformError
from cutlass.platform.replicator.rules import (
    STAMP,
    Change,
    Echo,
    Image,
    LatestWrites,
    Write,
    last_of_each,
    read,
    stamp,
)
from cutlass.platform.replicator.wan import Wan
from cutlass.platform.streams import Growth, StreamReader, sequence_number
from cutlass.platform.wire import Wire

_READ_AHEAD = 5000
_LONGEST_SILENCE = 20.0
_log = logging.getLogger(__name__)

_OLDER = (
    "attribute_not_exists(pk) OR attribute_not_exists(#stamp)"
    " OR (#stamp.#region = :region AND #stamp.#seq < :seq)"
    " OR (#stamp.#region <> :region AND #stamp.#at <= :at)"
)
_NAMES = {"#stamp": STAMP, "#region": "region", "#seq": "seq", "#at": "at"}


class Pump:
    """Reads a table's stream in `region` and writes its changes to `others`, late by the WAN's delay.

    Changes of one source arrive in order: a copy is written only over an older copy of the same source. The
    position is kept after the copies are written, so after a kill some are written again, which changes
    nothing.
    """

    def __init__(
        self,
        *,
        table: str,
        region: str,
        own: Wire,
        others: Mapping[str, Wire],
        wan: Wan,
        growth: Growth,
        latest: LatestWrites,
        checkpoint: Checkpoint,
    ) -> None:
        self.table = table
        self.region = region
        self._own = own
        self._others = others
        self._wan = wan
        self._growth = growth.of(own.aws_region, table)
        self._latest = latest
        self._checkpoint = checkpoint
        self._reader = StreamReader(own, table, checkpoint.after)
        self._waiting: deque[tuple[str, Change | Echo | None]] = deque()
        self.applied = 0
        self.applied_at: float | None = None

    def run(self, stop: threading.Event, drain: threading.Event) -> None:
        """Copy until `stop`; after `drain`, without delay and only until nothing is left."""
        while not stop.is_set():
            seen = self._growth.version
            try:
                came = self._read()
                copied = self._copy(hurry=drain.is_set())
            except PlatformError as error:
                if drain.is_set():
                    return
                _log.warning("%s of %s: %s", self.table, self.region, error.message)
                stop.wait(0.3)
                continue
            if drain.is_set() and not came and (not self._waiting or self._wan.partitioned):
                return
            if not came and not copied:
                self._growth.wait(seen, self._patience())

    def status(self) -> dict[str, Any]:
        """Return how far the copies are behind."""
        changes = [item for _, item in list(self._waiting) if isinstance(item, Change)]
        lag = time.time() - changes[0].write.at / 1000 if changes else 0.0
        return {
            "table": self.table,
            "region": self.region,
            "pending": len(changes),
            "lag_seconds": round(max(0.0, lag), 3),
            "applied": self.applied,
            "applied_at": self.applied_at,
        }

    def _read(self) -> bool:
        if len(self._waiting) >= _READ_AHEAD:
            return False
        records = self._reader.read(1000)
        for record in records:
            item = read(record, self.region)
            if isinstance(item, Change):
                self._latest.note(item)
            self._waiting.append((sequence_number(record), item))
        return bool(records)

    def _patience(self) -> float:
        if not self._waiting:
            return _LONGEST_SILENCE
        if self._wan.partitioned:
            return 0.5
        item = self._waiting[0][1]
        due = item.write.at / 1000 + self._wan.delay if isinstance(item, Change) else 0.0
        return min(_LONGEST_SILENCE, max(0.001, due - time.time()))

    def _copy(self, *, hurry: bool) -> bool:
        """Copy what is due and return whether anything was."""
        due = self._due(hurry=hurry)
        if not due:
            return False
        for _, item in due:
            if isinstance(item, Echo):
                self._repair(item)
        for change in last_of_each(item for _, item in due if isinstance(item, Change)):
            if self._wan.partitioned:
                return False  # nothing was taken off the queue yet: all of it is copied again after healing
            if self._latest.wins(change):
                for wire in self._others.values():
                    self._apply(wire, change)
                self.applied += 1
                self.applied_at = time.time()
        for _ in due:
            self._waiting.popleft()
        self._checkpoint.move(due[-1][0])
        return True

    def _due(self, *, hurry: bool) -> list[tuple[str, Change | Echo | None]]:
        limit = (time.time() - self._wan.delay) * 1000
        due: list[tuple[str, Change | Echo | None]] = []
        for entry in self._waiting:
            is_change = isinstance(entry[1], Change)
            if is_change and (self._wan.partitioned or (not hurry and entry[1].write.at > limit)):  # type: ignore[union-attr]
                break
            due.append(entry)
        return due

    def _apply(self, wire: Wire, change: Change) -> None:
        values: dict[str, Any] = {
            ":region": {"S": change.write.region},
            ":seq": {"S": change.write.sequence},
            ":at": {"N": str(change.write.at)},
        }
        if change.image is None:
            _delete(wire, self.table, change, condition=_OLDER, names=_NAMES, values=values)
        else:
            _put(wire, self.table, change.image, change.write, condition=_OLDER, names=_NAMES, values=values)

    def _repair(self, echo: Echo) -> None:
        """Put back a write of this region that a copy of an earlier write of another has overwritten."""
        write = self._latest.overruled(echo, self.region)
        if write is None:
            return
        condition, names, values = "#stamp = :stamp", {"#stamp": STAMP}, {":stamp": stamp(echo.write)}
        _log.info("%s of %s: %s was overwritten by an older copy; put back", self.table, self.region, echo.key)
        if echo.replaced is None:
            change = Change(echo.key, None, write)
            _delete(self._own, self.table, change, condition=condition, names=names, values=values)
        else:
            _put(self._own, self.table, echo.replaced, write, condition=condition, names=names, values=values)


def _put(
    wire: Wire,
    table: str,
    image: Image,
    write: Write,
    *,
    condition: str,
    names: dict[str, str],
    values: dict[str, Any],
) -> None:
    _conditionally(
        wire,
        "PutItem",
        {
            "TableName": table,
            "Item": {**image, STAMP: stamp(write)},
            "ConditionExpression": condition,
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        },
    )


def _delete(
    wire: Wire, table: str, change: Change, *, condition: str, names: dict[str, str], values: dict[str, Any]
) -> None:
    """Delete in two steps: what the stream shows as removed must be known as a copy, even after a kill."""
    key = {"pk": {"S": change.key[0]}, "sk": {"S": change.key[1]}}
    marked = _conditionally(
        wire,
        "UpdateItem",
        {
            "TableName": table,
            "Key": key,
            "UpdateExpression": "SET #stamp = :mark",
            "ConditionExpression": f"attribute_exists(pk) AND ({condition})",
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": {**values, ":mark": stamp(change.write, deleted=True)},
        },
    )
    if marked:
        wire.call("dynamodb", "DeleteItem", {"TableName": table, "Key": key})


def _conditionally(wire: Wire, operation: str, parameters: dict[str, Any]) -> bool:
    try:
        wire.call("dynamodb", operation, parameters)
    except AwsError as error:
        if error.aws_code != "ConditionalCheckFailedException":
            raise
        return False
    return True
