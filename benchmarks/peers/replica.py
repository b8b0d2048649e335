"""Makes two engines one global table: every table is in both, and what one writes arrives in the other, late.

Of two versions of an item the one written later wins, as in DynamoDB's global tables; what was written when is
known as closely as the streams are looked at. It works for anybody's tables.
"""

import json
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from cutlass.platform.streams import StreamReader
from cutlass.platform.wire import Wire

LAG_SECONDS = 0.5
_LOOK_SECONDS = 0.02
_PAGE = 1000

_Key = tuple[str, str, str]
"""Region, table, and the item's key as JSON."""


@contextmanager
def replicated(wires: Mapping[str, Wire], origin: str) -> Iterator[None]:
    """Copy the tables and items of a region to the others, then keep all alike until the block ends."""
    tables = wires[origin].call("dynamodb", "ListTables", {})["TableNames"]
    for table in tables:
        for region, wire in wires.items():
            _ensure_stream(wire, table, wires[origin])
            if region != origin:
                _copy_items(wires[origin], wire, table)
    pump = Pump(wires, tables)
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(pump, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


class Pump:
    """Carries what every region writes from now on to all others; for one thread.

    Parameters
    ----------
    wires : mapping of str to Wire
        The regions.
    lag_seconds : float
        How long a write is on its way.
    """

    def __init__(self, wires: Mapping[str, Wire], tables: list[str], lag_seconds: float = LAG_SECONDS) -> None:
        self._wires = wires
        self._lag = lag_seconds
        self._readers = {
            (region, table): StreamReader(wire, table, None) for region, wire in wires.items() for table in tables
        }
        self._travelling: deque[tuple[float, str, str, dict[str, Any]]] = deque()
        self._written: dict[_Key, float] = {}
        self._echoes: Counter[str] = Counter()
        for region, table in self._readers:
            while self._read(region, table):
                pass  # what is there already was copied

    def look(self, now: float) -> None:
        """Take up what was written since the last look, and let arrive what was long enough on its way."""
        for region, table in self._readers:
            for change in self._read(region, table):
                if self._echoes[_echo(region, table, change)]:
                    self._echoes[_echo(region, table, change)] -= 1
                else:
                    self._written[region, table, _text(change["Keys"])] = now
                    self._travelling.append((now, region, table, change))
        while self._travelling and self._travelling[0][0] <= now - self._lag:
            self._arrive(*self._travelling.popleft())

    def _read(self, region: str, table: str) -> list[dict[str, Any]]:
        return [record["dynamodb"] for record in self._readers[region, table].read(_PAGE)]

    def _arrive(self, written: float, source: str, table: str, change: dict[str, Any]) -> None:
        for region, wire in self._wires.items():
            place = region, table, _text(change["Keys"])
            if region == source or self._written.get(place, 0.0) > written:
                continue
            self._written[place] = written
            request = {"TableName": table, "ReturnValues": "ALL_OLD"}
            if "NewImage" in change:
                answer = wire.call("dynamodb", "PutItem", request | {"Item": change["NewImage"]})
            else:
                answer = wire.call("dynamodb", "DeleteItem", request | {"Key": change["Keys"]})
            if answer.get("Attributes") != change.get("NewImage"):  # a write that changes nothing is not streamed
                self._echoes[_echo(region, table, change)] += 1


def _run(pump: Pump, stop: threading.Event) -> None:
    while not stop.wait(_LOOK_SECONDS):
        pump.look(time.monotonic())


def _echo(region: str, table: str, change: Mapping[str, Any]) -> str:
    return _text([region, table, change["Keys"], change.get("NewImage")])


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _ensure_stream(wire: Wire, table: str, origin: Wire) -> None:
    """Make a table as it is at the origin, unless it is there, and give it a stream, unless it has one."""
    stream = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    if table not in wire.call("dynamodb", "ListTables", {})["TableNames"]:
        described = origin.call("dynamodb", "DescribeTable", {"TableName": table})["Table"]
        indexes = {
            kind: [
                {part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
                for index in described[kind]
            ]
            for kind in ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
            if described.get(kind)
        }
        request = {
            "TableName": table,
            "AttributeDefinitions": described["AttributeDefinitions"],
            "KeySchema": described["KeySchema"],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": stream,
        }
        wire.call("dynamodb", "CreateTable", request | indexes)
        return
    described = wire.call("dynamodb", "DescribeTable", {"TableName": table})["Table"]
    if not described.get("StreamSpecification", {}).get("StreamEnabled"):
        wire.call("dynamodb", "UpdateTable", {"TableName": table, "StreamSpecification": stream})


def _copy_items(origin: Wire, target: Wire, table: str) -> None:
    request: dict[str, Any] = {"TableName": table}
    while True:
        page = origin.call("dynamodb", "Scan", request)
        for item in page["Items"]:
            target.call("dynamodb", "PutItem", {"TableName": table, "Item": item})
        if "LastEvaluatedKey" not in page:
            return
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
