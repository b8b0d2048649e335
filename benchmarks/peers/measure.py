"""The runs that make a row: how fast, at what cost, and how exact at a cap, in one region and in two."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import consumer
from benchmarks.load import Round, percentile
from benchmarks.peers.catalogue import FAR_MS, Peer
from benchmarks.peers.crew import Crew, Place, one_round, prepare
from benchmarks.peers.protocol import USERS
from benchmarks.peers.proxy import Counts, proxy
from benchmarks.peers.replica import replicated
from benchmarks.stage import REGION, running_engine
from cutlass.contracts import load_topology
from cutlass.contracts.folder import FOLDER_VARIABLE, contracts_folder
from cutlass.platform.local import function_environment
from tests.support.engines import Engine

ENGINE = "dynoxide"
FAR_REGION = next(name for name in load_topology().regions if name != REGION)
PROCESSES = 2
"""Worker processes, one for each core: Python threads share an interpreter."""

CLIENTS = 16
"""Clients of all workers together where throughput is measured."""

CAP_CLIENTS = 64
_COUNTED = 5
"""Decisions of each user that are counted."""


Met = tuple[Round, float | None]
"""What clients met in one round, and the engine's CPU seconds, where the system tells them."""


@dataclass(frozen=True, slots=True)
class Speed:
    """What clients met; CPU of the clients and of the engine per decision, in microseconds (None: not known)."""

    clients: int
    decisions: int
    p50_ms: float
    p99_ms: float
    decisions_per_s: float
    client_cpu_us: float
    engine_cpu_us: float | None
    failures: int
    failure: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Capped:
    """What clients got of an organisation that has `cap` units, asking for more; latencies in milliseconds."""

    cap: int
    clients: int
    asked: int
    allowed: int
    failures: int
    failure: str | None
    p50_ms: float
    p99_ms: float

    @property
    def oversold(self) -> int:
        """Units that were given beyond the cap."""
        return max(0, self.allowed - self.cap)

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self) | {"oversold": self.oversold}


def speed(peer: Peer, *, clients: int, seconds: float) -> Met:
    """Let clients decide on a new engine for so long."""
    workers = min(clients, PROCESSES)
    with _engine(peer) as engine:
        prepare(peer.program, _here(engine), cap=None)
        if not peer.metered:
            _without_streams(engine)
        places = [_place(peer, engine, number + clients) for number in range(workers)]
        crew = Crew(peer.program, places, clients=clients // workers, warm=peer.warm, seconds=seconds)
        before = _cpu_seconds(engine)
        measured = one_round(crew)
        after = _cpu_seconds(engine)
    return measured, None if before is None or after is None else after - before


def count(peer: Peer) -> tuple[Counts, int]:
    """Count what one client's decisions ask of the engine, all users having made their first ones.

    Returns the counts and the number of decisions.
    """
    counts = Counts()
    with _engine(peer) as engine, proxy(engine.endpoints[REGION], counts=counts) as address:
        prepare(peer.program, _here(engine), cap=None)
        crew = Crew(
            peer.program,
            [Place(REGION, address, engine.endpoints)],
            clients=1,
            warm=peer.warm,
            times=_COUNTED * len(USERS),
        )
        counts.clear()
        measured = one_round(crew)
    if measured.failures:
        raise RuntimeError(f"{peer.name}: {measured.failures[0]}")
    return counts, len(measured.latencies)


def capped(peer: Peer, cap: int) -> Capped:
    """Let all clients ask in one region for more than there is."""
    with _contracts(cap), _engine(peer) as engine:
        prepare(peer.program, _here(engine), cap=cap)
        return _ask(peer, [_place(peer, engine, number) for number in range(PROCESSES)], cap)


def capped_in_two_regions(peer: Peer, cap: int) -> Capped:
    """The same with half of the clients in each of two regions, each with an engine, replicated with a delay."""
    with _contracts(cap), ExitStack() as stack:
        engine = stack.enter_context(_engine(peer, REGION, FAR_REGION))
        prepare(peer.program, _here(engine), cap=cap)
        if peer.far:
            places = [_place(peer, engine, number) for number in range(PROCESSES)]
        else:
            stack.enter_context(replicated({name: engine.wire(name) for name in (REGION, FAR_REGION)}, REGION))
            away = {
                name: stack.enter_context(proxy(engine.endpoints[name], delay_ms=FAR_MS))
                for name in (REGION, FAR_REGION)
            }
            places = [
                Place(name, engine.endpoints[name], away | {name: engine.endpoints[name]})
                for name in (REGION, FAR_REGION)
            ]
        return _ask(peer, places, cap)


def summary(clients: int, measured: Sequence[Met]) -> Speed:
    """Take the rounds of one peer at one number of clients together."""
    rounds = [one for one, _ in measured]
    latencies = sorted(latency for one in rounds for latency in one.latencies)
    failures = [failure for one in rounds for failure in one.failures]
    engine = [seconds for _, seconds in measured if seconds is not None]
    decisions = max(1, len(latencies))
    return Speed(
        clients=clients,
        decisions=len(latencies),
        p50_ms=_ms(latencies, 50),
        p99_ms=_ms(latencies, 99),
        decisions_per_s=round(len(latencies) / sum(one.elapsed for one in rounds), 1),
        client_cpu_us=round(1e6 * sum(one.cpu for one in rounds) / decisions),
        engine_cpu_us=round(1e6 * sum(engine) / decisions) if len(engine) == len(rounds) else None,
        failures=len(failures),
        failure=failures[0] if failures else None,
    )


def _ask(peer: Peer, places: Sequence[Place], cap: int) -> Capped:
    each = 2 * cap // CAP_CLIENTS
    measured = one_round(Crew(peer.program, places, clients=CAP_CLIENTS // len(places), cap=cap, times=each))
    latencies = sorted(measured.latencies)
    return Capped(
        cap=cap,
        clients=CAP_CLIENTS,
        asked=each * CAP_CLIENTS,
        allowed=len(latencies) - measured.refused,
        failures=len(measured.failures),
        failure=measured.failures[0] if measured.failures else None,
        p50_ms=_ms(latencies, 50),
        p99_ms=_ms(latencies, 99),
    )


def _ms(ordered: Sequence[float], percent: float) -> float:
    return round(1000 * percentile(ordered, percent), 2)


@contextmanager
def _engine(peer: Peer, *metered: str) -> Iterator[Engine]:
    """Run a new engine, which gets slower with every record of its streams, and the consumers a peer has."""
    with running_engine(ENGINE) as engine, ExitStack() as stack:
        for name in (metered or (REGION,)) if peer.metered else ():
            endpoint = engine.endpoints[name]
            stack.enter_context(consumer.beside(endpoint, _settings(name, endpoint, engine.endpoints)))
        yield engine


def _without_streams(engine: Engine) -> None:
    """Switch off streams that nobody reads: they cost nothing on AWS, and here each write more than the last."""
    wire = engine.wire(REGION)
    for table in wire.call("dynamodb", "ListTables", {})["TableNames"]:
        described = wire.call("dynamodb", "DescribeTable", {"TableName": table})["Table"]
        if described.get("StreamSpecification", {}).get("StreamEnabled"):
            off = {"TableName": table, "StreamSpecification": {"StreamEnabled": False}}
            wire.call("dynamodb", "UpdateTable", off)


def _settings(region: str, endpoint: str, peers: Mapping[str, str]) -> dict[str, str]:
    aws_region = load_topology().regions[region].aws_region
    return function_environment(region=region, aws_region=aws_region, endpoint=endpoint, peers=peers)


def _here(engine: Engine) -> Place:
    return Place(REGION, engine.endpoints[REGION], engine.endpoints)


def _place(peer: Peer, engine: Engine, number: int) -> Place:
    """Every other worker of a peer that decides at home is far from it."""
    return Place(
        REGION, engine.endpoints[REGION], engine.endpoints, delay_ms=FAR_MS if peer.far and number % 2 else 0
    )


@contextmanager
def _contracts(cap: int) -> Iterator[None]:
    """Let the processes of this block find contracts whose smallest plan includes so many units."""
    with tempfile.TemporaryDirectory(prefix="cutlass-benchmark-") as folder:
        for source in contracts_folder().glob("*.yaml"):
            (Path(folder) / source.name).write_bytes(source.read_bytes())
        plans = yaml.safe_load((Path(folder) / "plans.yaml").read_text(encoding="utf-8"))
        plans["plans"]["basic"]["meters"]["requests"] |= {"included": cap, "user_limit": cap}
        (Path(folder) / "plans.yaml").write_text(yaml.safe_dump(plans, sort_keys=False), encoding="utf-8")
        os.environ[FOLDER_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER_VARIABLE]


def _cpu_seconds(engine: Engine) -> float | None:
    """CPU time all processes of an engine took so far; None where the system does not tell."""
    ticks = 0
    for process in engine.processes:
        try:
            fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            return None
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
