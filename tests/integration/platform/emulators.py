"""The emulator as the platform starts it, for tests of what runs on it."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cutlass.contracts import load_topology
from cutlass.platform.errors import PlatformError
from cutlass.platform.home import Home
from cutlass.platform.layout import EMULATOR, emulator_program
from cutlass.platform.local import base_environment
from cutlass.platform.processes import Child, Program, spawn
from cutlass.platform.running import address
from cutlass.platform.streams import Record, StreamReader
from cutlass.platform.wire import Wire

LONDON, SYDNEY = "eu-west-2", "ap-southeast-2"


def listening() -> socket.socket:
    made = socket.socket()
    made.bind(("127.0.0.1", 0))
    made.listen(64)
    return made


@dataclass
class Emulator:
    """An emulator with a home folder; may be stopped and started again."""

    home: Home
    sockets: dict[str, socket.socket] = field(default_factory=dict)
    children: list[Child] = field(default_factory=list)
    lifeline: tuple[int, int] = field(default_factory=os.pipe)

    @property
    def endpoint(self) -> str:
        return address(self.sockets[EMULATOR].getsockname()[1])

    def start(self) -> None:
        self.home.ensure()
        if EMULATOR not in self.sockets:
            self.sockets[EMULATOR] = listening()
        self.spawn(emulator_program(self.home))
        eventually(self._answers, "the emulator answers")

    def _answers(self) -> bool:
        try:
            self.wire().own("/_cutlass/changes", timeout=1)
        except PlatformError:
            return False
        return True

    def spawn(self, program: Program) -> Child:
        """Start a process of the platform that ends with the test."""
        child = spawn(
            program,
            base=base_environment() | {"CUTLASS_HOME": str(self.home.root)},
            descriptors={name: one.fileno() for name, one in self.sockets.items()},
            lifeline=self.lifeline[0],
            log=self.home.logs / f"{program.name}.log",
        )
        self.children.append(child)
        return child

    def stop(self) -> None:
        """End all processes, the emulator last."""
        for child in reversed(self.children):
            child.end(30)
        self.children.clear()

    def close(self) -> None:
        self.stop()
        for descriptor in self.lifeline:
            os.close(descriptor)
        for one in self.sockets.values():
            one.close()

    def wire(self, aws_region: str = LONDON) -> Wire:
        return Wire(self.endpoint, aws_region)

    def wires(self) -> dict[str, Wire]:
        return {name: self.wire(region.aws_region) for name, region in load_topology().regions.items()}


def make_emulator(folder: Path) -> Emulator:
    made = Emulator(Home(folder))
    made.start()
    return made


def make_table(wire: Wire, name: str) -> None:
    keys = {"pk": "HASH", "sk": "RANGE"}
    wire.call(
        "dynamodb",
        "CreateTable",
        {
            "TableName": name,
            "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"} for key in keys],
            "KeySchema": [{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        },
    )


def put(wire: Wire, table: str, key: str, value: int) -> None:
    item = {"pk": {"S": key}, "sk": {"S": "-"}, "v": {"N": str(value)}}
    wire.call("dynamodb", "PutItem", {"TableName": table, "Item": item})


def update(wire: Wire, table: str, key: str, value: int) -> None:
    wire.call(
        "dynamodb",
        "UpdateItem",
        {
            "TableName": table,
            "Key": {"pk": {"S": key}, "sk": {"S": "-"}},
            "UpdateExpression": "SET v = :v",
            "ExpressionAttributeValues": {":v": {"N": str(value)}},
        },
    )


def delete(wire: Wire, table: str, key: str) -> None:
    wire.call("dynamodb", "DeleteItem", {"TableName": table, "Key": {"pk": {"S": key}, "sk": {"S": "-"}}})


def values(wire: Wire, table: str) -> dict[str, int]:
    """Return `v` of every item by key."""
    items: list[dict[str, Any]] = wire.call("dynamodb", "Scan", {"TableName": table})["Items"]
    return {item["pk"]["S"]: int(item["v"]["N"]) for item in items}


def stream(wire: Wire, table: str) -> list[Record]:
    """Return every record of the table's stream."""
    reader = StreamReader(wire, table, None)
    found: list[Record] = []
    while more := reader.read(1000):
        found += more
    return found


def eventually(condition: Callable[[], Any], what: str, *, seconds: float = 15) -> Any:
    """Return the condition's first true value; fail with `what` if there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)
