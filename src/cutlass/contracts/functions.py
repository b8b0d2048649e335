"""`contracts/functions.yaml`: every Lambda function, what starts it, what it may touch, and the queues."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from cutlass.contracts.buckets import load_buckets
from cutlass.contracts.folder import contracts_folder
from cutlass.contracts.nodes import Document, Node
from cutlass.contracts.tables import Table, load_tables

# Limits of AWS: a function runs 15 minutes (one behind API Gateway 29 s, which openapi.py checks), an account runs
# 1,000 at once, of which 100 stay unreserved, a batch has 10,000 records and waits 5 minutes for them, a queue
# keeps a message 14 days, hides one that was received for 12 hours and hands it out 1,000 times.
_MAX_TIMEOUT, _MAX_BATCH, _MAX_WINDOW, _MAX_RETRIES, _MAX_RETENTION = 900, 10_000, 300, 10_000, 14
_MAX_VISIBILITY, _MAX_RECEIVES, _MIN_CONCURRENCY, _MAX_CONCURRENCY = 43_200, 1_000, 2, 1_000
_DEFAULT_VISIBILITY, _DEFAULT_ALARM_AGE = 30, 900
_UNGATHERED = 10  # messages SQS hands out at once; a larger batch must be given time
_MAX_FACTOR, _RESERVABLE = 4, 900
_MIN_DISK, _MAX_DISK = 512, 10_240
_MINUTE, _DAY = 60, 86_400


class Access(StrEnum):
    """What a function may do with a table or bucket; `write` includes `read`."""

    READ = "read"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class StreamSource:
    """A table's stream that starts a function, in batches.

    A batch that fails is tried `retries` times more (cut in halves each time if `bisect`), then its position
    goes to the queue `on_failure`. With `has_attribute` only changes whose new image has that attribute start
    it, as an event source mapping's filter
    `{"dynamodb": {"NewImage": {"…": {"N": [{"exists": true}]}}}}` does; the others are passed over.
    """

    table: str
    batch_size: int
    window_seconds: int
    retries: int
    bisect: bool
    on_failure: str
    has_attribute: str | None = None

    def takes(self, record: Mapping[str, Any]) -> bool:
        """Whether a record of the stream starts the function: filters look at numbers, as the pattern above."""
        if self.has_attribute is None:
            return True
        value = record["dynamodb"].get("NewImage", {}).get(self.has_attribute, {})
        return "N" in value


@dataclass(frozen=True, slots=True)
class QueueSource:
    """A queue that starts a function, in batches.

    What fails comes again when the queue's visibility timeout has passed. `max_concurrency` is how many
    batches may be worked on at once, None for no limit.
    """

    queue: str
    batch_size: int
    window_seconds: int
    max_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """A clock that starts a function; a run that fails twice leaves a message in the queue `on_failure`."""

    every_seconds: int
    on_failure: str


@dataclass(frozen=True, slots=True)
class Function:
    """One Lambda function.

    `reentrant` says that one process may run the handler in several threads. `tables` is what it may do in
    its own region, `peer_tables` in the others. `reads_streams` are tables whose streams it reads by itself,
    besides those that start it. It has `memory_factor` times the environment's memory, and runs at most
    `reserved_concurrency` times at once, None for as often as the account lets it. `scans` are tables of its own
    region that it reads from end to end. `buckets` is what it may do in its own region, `ephemeral_mb` its disk.
    `sends` are queues it puts messages into by itself; with `delays` it decides when a message that failed comes
    again; with `mails` it sends mail, with `athena` it asks the archive by Athena.
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
    queues: tuple[QueueSource, ...] = ()
    reads_streams: tuple[str, ...] = ()
    memory_factor: int = 1
    reserved_concurrency: int | None = None
    scans: tuple[str, ...] = ()
    buckets: Mapping[str, Access] = field(default_factory=lambda: MappingProxyType({}))
    sends: tuple[str, ...] = ()
    delays: bool = False
    mails: bool = False
    athena: bool = False
    ephemeral_mb: int = _MIN_DISK

    def resource(self, environment: str, region: str) -> str:
        """Return the function's name in AWS."""
        return f"cutlass-tech-{self.name}-{environment}-{region}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where messages go that were received `max_receives` times and never deleted."""

    queue: str
    max_receives: int


@dataclass(frozen=True, slots=True)
class Queue:
    """One SQS queue.

    A message that was received and not deleted is handed out again after `visibility_timeout_seconds`. Operators
    are told of one that is older than `alarm_age_seconds`.
    """

    name: str
    title: str
    retention_days: int
    visibility_timeout_seconds: int = _DEFAULT_VISIBILITY
    dead_letter: DeadLetter | None = None
    alarm_age_seconds: int = _DEFAULT_ALARM_AGE

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
    return _load(contracts_folder()).functions


def load_python() -> str:
    """Return the version of Python the functions run on in AWS; raises what `load_functions` raises."""
    return _load(contracts_folder()).python


def load_queues() -> Mapping[str, Queue]:
    """Return the queues by name; raises what `load_functions` raises."""
    return _load(contracts_folder()).queues


class _Contract(NamedTuple):
    python: str
    functions: Mapping[str, Function]
    queues: Mapping[str, Queue]


@cache
def _load(folder: Path) -> _Contract:
    document = Document(folder, "functions.yaml")
    fields = document.root.fields(["python", "functions", "queues"])
    python = fields["python"].text(r"3\.[0-9]+")
    tables = load_tables()
    queues = _queues(fields["queues"].entries())
    functions = {
        name: _function(name, node, tables, queues) for name, node in fields["functions"].entries().items()
    }
    reserved = sum(function.reserved_concurrency or 0 for function in functions.values())
    if reserved > _RESERVABLE:
        fields["functions"].problem(
            f"{reserved} runs at once are reserved; an account has {_RESERVABLE} to reserve"
        )
    document.finish()
    return _Contract(python, MappingProxyType(functions), MappingProxyType(queues))


def _queues(nodes: Mapping[str, Node]) -> dict[str, Queue]:
    queues = {name: _queue(name, node, nodes) for name, node in nodes.items()}
    for name, queue in queues.items():
        if queue.dead_letter is not None and queue.dead_letter.queue in queues:
            _check_dead_letter(nodes[name], queue, queues[queue.dead_letter.queue])
    return queues


def _queue(name: str, node: Node, names: Mapping[str, Node]) -> Queue:
    optional = ["visibility_timeout_seconds", "dead_letter", "alarm_age_seconds"]
    fields = node.fields(["title", "retention_days"], optional)
    visibility, dead = fields.get("visibility_timeout_seconds"), fields.get("dead_letter")
    days, age = fields["retention_days"].integer(1, _MAX_RETENTION), fields.get("alarm_age_seconds")
    return Queue(
        name=name,
        title=fields["title"].text(),
        retention_days=days,
        visibility_timeout_seconds=visibility.integer(0, _MAX_VISIBILITY) if visibility else _DEFAULT_VISIBILITY,
        dead_letter=_dead_letter(dead, names) if dead else None,
        # A message older than this is gone: an alarm on it would never ring.
        alarm_age_seconds=age.integer(60, days * _DAY - 1) if age else _DEFAULT_ALARM_AGE,
    )


def _dead_letter(node: Node, names: Mapping[str, Node]) -> DeadLetter:
    fields = node.fields(["queue", "max_receives"])
    return DeadLetter(
        queue=fields["queue"].reference(names, "queue"),
        max_receives=fields["max_receives"].integer(1, _MAX_RECEIVES),
    )


def _check_dead_letter(node: Node, queue: Queue, dead: Queue) -> None:
    named = node.entries(".*")["dead_letter"].entries(".*")["queue"]
    if dead.dead_letter is not None:
        named.problem(f"the queue {dead.name!r} has a dead-letter queue itself")
    elif dead.retention_days < queue.retention_days:
        # A message's age is counted from when it was first sent: it would be gone on arrival.
        keeps = f"keeps messages {dead.retention_days} days, less than the {queue.retention_days} here"
        named.problem(f"the queue {dead.name!r} {keeps}")


def _function(name: str, node: Node, tables: Mapping[str, Table], queues: Mapping[str, Queue]) -> Function:
    fields = node.fields(
        ["title", "handler", "timeout_seconds"],
        [
            *("reentrant", "memory_factor", "reserved_concurrency", "tables", "peer_tables", "scans"),
            *("reads_streams", "streams", "queues", "schedules", "sends", "delays", "mails"),
            *("buckets", "ephemeral_mb", "athena"),
        ],
    )
    reentrant, streams, schedules = fields.get("reentrant"), fields.get("streams"), fields.get("schedules")
    sources, reads = fields.get("queues"), fields.get("reads_streams")
    factor, reserved, scans = (fields.get(name) for name in ("memory_factor", "reserved_concurrency", "scans"))
    sends, delays, mails = (fields.get(name) for name in ("sends", "delays", "mails"))
    disk, athena = fields.get("ephemeral_mb"), fields.get("athena")
    timeout = fields["timeout_seconds"].integer(1, _MAX_TIMEOUT)
    buckets = _access(fields.get("buckets"), load_buckets(), "bucket")
    asks = athena is not None and athena.flag()
    if athena is not None and asks and "archive" not in buckets:
        athena.problem("asks the archive, which is not among its buckets")
    return Function(
        name=name,
        title=fields["title"].text(),
        handler=fields["handler"].text(r"cutlass\.functions\.[a-z_]+\.handler"),
        timeout_seconds=timeout,
        reentrant=reentrant is not None and reentrant.flag(),
        tables=_access(fields.get("tables"), tables),
        peer_tables=_access(fields.get("peer_tables"), tables),
        streams=tuple(_stream(item, tables, queues) for item in streams.items()) if streams else (),
        schedules=tuple(_schedule(item, queues) for item in schedules.items()) if schedules else (),
        queues=tuple(_queue_source(item, queues, timeout) for item in sources.items()) if sources else (),
        reads_streams=tuple(_streamed(item, tables) for item in reads.items()) if reads else (),
        memory_factor=factor.integer(1, _MAX_FACTOR) if factor else 1,
        reserved_concurrency=reserved.integer(1, _RESERVABLE) if reserved else None,
        scans=tuple(item.reference(tables, "table") for item in scans.items()) if scans else (),
        sends=tuple(item.reference(queues, "queue") for item in sends.items()) if sends else (),
        delays=delays is not None and delays.flag(),
        mails=mails is not None and mails.flag(),
        athena=asks,
        buckets=buckets,
        ephemeral_mb=disk.integer(_MIN_DISK, _MAX_DISK) if disk else _MIN_DISK,
    )


def _access(node: Node | None, known: Mapping[str, object], what: str = "table") -> Mapping[str, Access]:
    entries = node.entries() if node else {}
    for name, value in entries.items():
        if name not in known:
            value.problem(f"there is no {what} {name!r}; there are: {', '.join(sorted(known))}")
    return MappingProxyType({name: value.choice(Access) for name, value in entries.items()})


def _stream(node: Node, tables: Mapping[str, Table], queues: Mapping[str, Queue]) -> StreamSource:
    fields = node.fields(["table", "batch_size", "window_seconds", "retries", "bisect", "on_failure"], ["filter"])
    chosen = fields.get("filter")
    return StreamSource(
        table=_streamed(fields["table"], tables),
        batch_size=fields["batch_size"].integer(1, _MAX_BATCH),
        window_seconds=fields["window_seconds"].integer(0, _MAX_WINDOW),
        retries=fields["retries"].integer(0, _MAX_RETRIES),
        bisect=fields["bisect"].flag(),
        on_failure=fields["on_failure"].reference(queues, "queue"),
        has_attribute=chosen.fields(["has_attribute"])["has_attribute"].text(r"[a-z_]+") if chosen else None,
    )


def _streamed(node: Node, tables: Mapping[str, Table]) -> str:
    table = node.reference(tables, "table")
    if table in tables and tables[table].stream is None:
        node.problem(f"the table {table!r} has no stream")
    return table


def _queue_source(node: Node, queues: Mapping[str, Queue], timeout_seconds: int) -> QueueSource:
    fields = node.fields(["queue", "batch_size", "window_seconds"], ["max_concurrency"])
    limit = fields.get("max_concurrency")
    source = QueueSource(
        queue=fields["queue"].reference(queues, "queue"),
        batch_size=fields["batch_size"].integer(1, _MAX_BATCH),
        window_seconds=fields["window_seconds"].integer(0, _MAX_WINDOW),
        max_concurrency=limit.integer(_MIN_CONCURRENCY, _MAX_CONCURRENCY) if limit else None,
    )
    if source.batch_size > _UNGATHERED and source.window_seconds == 0:
        fields["window_seconds"].problem(f"must be at least 1 for a batch of more than {_UNGATHERED}")
    hidden = queues[source.queue].visibility_timeout_seconds if source.queue in queues else timeout_seconds
    if hidden < timeout_seconds:
        # Lambda refuses such a mapping: a message would come again while it is still worked on.
        fields["queue"].problem(
            f"messages of {source.queue!r} come again after {hidden} s, the function may run {timeout_seconds} s"
        )
    return source


def _schedule(node: Node, queues: Mapping[str, Queue]) -> Schedule:
    fields = node.fields(["every_seconds", "on_failure"])
    every = fields["every_seconds"].integer(_MINUTE, _DAY)
    if every % _MINUTE:
        fields["every_seconds"].problem(f"must be whole minutes, not {every} s")
    return Schedule(every_seconds=every, on_failure=fields["on_failure"].reference(queues, "queue"))
