"""`contracts/functions.yaml`: every Lambda function, what starts it, what it may touch, and the queues."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType

from cutlass.contracts.folder import contracts_folder
from cutlass.contracts.nodes import Document, Node
from cutlass.contracts.tables import Table, load_tables

# Limits of AWS: a function runs 15 minutes (one behind API Gateway 29 s, which openapi.py checks),
# a stream batch has 10,000 records and waits 5 minutes for them, a queue keeps a message 14 days.
_MAX_TIMEOUT, _MAX_BATCH, _MAX_WINDOW, _MAX_RETRIES, _MAX_RETENTION = 900, 10_000, 300, 10_000, 14
_DAY = 86_400


class Access(StrEnum):
    """What a function may do with a table; `write` includes `read`."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class StreamSource:
    """A table's stream that starts a function, in batches.

    A batch that fails is tried `retries` times more (cut in halves each time if `bisect`), then its position
    goes to the queue `on_failure`.
    """

    table: str
    batch_size: int
    window_seconds: int
    retries: int
    bisect: bool
    on_failure: str


@dataclass(frozen=True, slots=True)
class Schedule:
    """A clock that starts a function."""

    every_seconds: int


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function.

    `reentrant` says that one process may run the handler in several threads. `tables` is what it may do in
    its own region, `peer_tables` in the others.
    """

    name: str
    title: str
    handler: str
    timeout_seconds: int
    reentrant: bool
    tables: Mapping[str, Access]
    peer_tables: Mapping[str, Access]
    streams: tuple[StreamSource, ...]
    schedules: tuple[Schedule, ...]

    def resource(self, environment: str, region: str) -> str:
        """Return the function's name in AWS."""
        return f"cutlass-tech-{self.name}-{environment}-{region}"


@dataclass(frozen=True, slots=True)
class Queue:
    """One SQS queue."""

    name: str
    title: str
    retention_days: int

    def resource(self, environment: str, region: str) -> str:
        """Return the queue's name in AWS."""
        return f"cutlass-tech-{self.name}-{environment}-{region}"


def load_functions() -> Mapping[str, Function]:
    """Return the functions by name.

    Raises
    ------
    ContractError
        A file is missing or wrong; the message begins with file, line and key.
    """
    return _load(contracts_folder())[0]


def load_queues() -> Mapping[str, Queue]:
    """Return the queues by name; raises what `load_functions` raises."""
    return _load(contracts_folder())[1]


@cache
def _load(folder: Path) -> tuple[Mapping[str, Function], Mapping[str, Queue]]:
    document = Document(folder, "functions.yaml")
    fields = document.root.fields(["functions", "queues"])
    tables = load_tables()
    queues = {name: _queue(name, node) for name, node in fields["queues"].entries().items()}
    functions = {
        name: _function(name, node, tables, queues) for name, node in fields["functions"].entries().items()
    }
    document.finish()
    return MappingProxyType(functions), MappingProxyType(queues)


def _queue(name: str, node: Node) -> Queue:
    fields = node.fields(["title", "retention_days"])
    return Queue(
        name=name,
        title=fields["title"].text(),
        retention_days=fields["retention_days"].integer(1, _MAX_RETENTION),
    )


def _function(name: str, node: Node, tables: Mapping[str, Table], queues: Mapping[str, Queue]) -> Function:
    fields = node.fields(
        ["title", "handler", "timeout_seconds"],
        ["reentrant", "tables", "peer_tables", "streams", "schedules"],
    )
    reentrant, streams, schedules = fields.get("reentrant"), fields.get("streams"), fields.get("schedules")
    return Function(
        name=name,
        title=fields["title"].text(),
        handler=fields["handler"].text(r"cutlass\.functions\.[a-z_]+\.handler"),
        timeout_seconds=fields["timeout_seconds"].integer(1, _MAX_TIMEOUT),
        reentrant=reentrant is not None and reentrant.flag(),
        tables=_access(fields.get("tables"), tables),
        peer_tables=_access(fields.get("peer_tables"), tables),
        streams=tuple(_stream(item, tables, queues) for item in streams.items()) if streams else (),
        schedules=tuple(_schedule(item) for item in schedules.items()) if schedules else (),
    )


def _access(node: Node | None, tables: Mapping[str, Table]) -> Mapping[str, Access]:
    entries = node.entries() if node else {}
    for name, value in entries.items():
        if name not in tables:
            value.problem(f"there is no table {name!r}; there are: {', '.join(sorted(tables))}")
    return MappingProxyType({name: value.choice(Access) for name, value in entries.items()})


def _stream(node: Node, tables: Mapping[str, Table], queues: Mapping[str, Queue]) -> StreamSource:
    fields = node.fields(["table", "batch_size", "window_seconds", "retries", "bisect", "on_failure"])
    table = fields["table"].reference(tables, "table")
    if table in tables and tables[table].stream is None:
        fields["table"].problem(f"the table {table!r} has no stream")
    return StreamSource(
        table=table,
        batch_size=fields["batch_size"].integer(1, _MAX_BATCH),
        window_seconds=fields["window_seconds"].integer(0, _MAX_WINDOW),
        retries=fields["retries"].integer(0, _MAX_RETRIES),
        bisect=fields["bisect"].flag(),
        on_failure=fields["on_failure"].reference(queues, "queue"),
    )


def _schedule(node: Node) -> Schedule:
    return Schedule(every_seconds=node.fields(["every_seconds"])["every_seconds"].integer(60, _DAY))
