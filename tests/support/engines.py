"""DynamoDB engines that are atomic, started by the tests on free ports of 127.0.0.1 (docs/testing.md)."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import urllib3

from cutlass.contracts import load_tables, load_topology
from cutlass.platform.provision import ensure_table
from cutlass.platform.streams import StreamReader
from cutlass.platform.wire import Wire

DYNOXIDE = "@dynoxide/linux-x64@1.2.1"
DYNOXIDE_HINT = f"dynoxide is not installed: npm install --prefix build/engines {DYNOXIDE}"
DYNAMODB_LOCAL_HINT = "DynamoDB Local is not installed: it needs Java 17, and docs/testing.md says how to get it"

_ENGINES = Path(__file__).parents[2] / "build/engines"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dynoxide_binary() -> Path | None:
    """Where dynoxide is: on the PATH, or where .ci/run installs it."""
    found = shutil.which("dynoxide")
    if found:
        return Path(found)
    local = _ENGINES / "node_modules/@dynoxide/linux-x64/dynoxide"
    return local if local.exists() else None


def dynamodb_local() -> tuple[Path, Path] | None:
    """Where Java and the folder of DynamoDB Local are: where .ci/run unpacks it."""
    java, folder = shutil.which("java"), _ENGINES / "dynamodb-local"
    return (Path(java), folder) if java and (folder / "DynamoDBLocal.jar").exists() else None


@dataclass
class Engine:
    """A running engine: an endpoint per region, and the processes to stop."""

    name: str
    endpoints: Mapping[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    readers: dict[tuple[str, str, str], StreamReader] = field(default_factory=dict)
    wires: dict[str, Wire] = field(default_factory=dict)

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=20)

    def wire(self, region: str) -> Wire:
        """Return a client of a region, the same one each time: its connections are kept."""
        if region not in self.wires:
            self.wires[region] = Wire(self.endpoints[region], load_topology().regions[region].aws_region)
        return self.wires[region]

    def make_tables(self) -> None:
        for region in self.endpoints:
            for table in load_tables().values():
                ensure_table(self.wire(region), table)


def start(name: str, folder: Path) -> Engine:
    """Start an engine: `dynoxide` has a process for each region, the others one for all."""
    engine = _STARTERS[name](folder)
    try:
        for endpoint in set(engine.endpoints.values()):
            _await(endpoint)
        engine.make_tables()
    except BaseException:
        engine.stop()
        raise
    return engine


def _ministack(folder: Path) -> Engine:
    port = free_port()
    environment = os.environ | {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "STATE_DIR": str(folder),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{folder}/no-docker",
        "LOG_LEVEL": "ERROR",
    }
    process = _spawn([sys.executable, "-m", "ministack"], environment, folder / "ministack.log")
    return Engine("ministack", _everywhere(port), [process])


def _dynoxide(folder: Path) -> Engine:
    binary = dynoxide_binary()
    if binary is None:
        raise FileNotFoundError(DYNOXIDE_HINT)
    endpoints, processes = {}, []
    for region in load_topology().regions:
        port = free_port()
        command = [str(binary), "--host", "127.0.0.1", "--port", str(port)]
        processes.append(_spawn(command, dict(os.environ), folder / f"dynoxide-{region}.log"))
        endpoints[region] = f"http://127.0.0.1:{port}"
    return Engine("dynoxide", endpoints, processes)


def _dynamodb_local(folder: Path) -> Engine:
    """It keeps the tables of each region apart by itself; which addresses it listens on cannot be chosen."""
    found = dynamodb_local()
    if found is None:
        raise FileNotFoundError(DYNAMODB_LOCAL_HINT)
    java, home = found
    port = free_port()
    command = [str(java), "-Xmx384m", f"-Djava.library.path={home / 'DynamoDBLocal_lib'}"]
    command += ["-jar", str(home / "DynamoDBLocal.jar"), "-inMemory", "-disableTelemetry", "-port", str(port)]
    process = _spawn(command, dict(os.environ), folder / "dynamodb-local.log")
    return Engine("dynamodb-local", _everywhere(port), [process])


_PATIENCE_SECONDS = 120
"""How long an engine may take to start: other tests keep the machine busy meanwhile."""

_STARTERS = {"ministack": _ministack, "dynoxide": _dynoxide, "dynamodb-local": _dynamodb_local}


def _everywhere(port: int) -> dict[str, str]:
    return dict.fromkeys(load_topology().regions, f"http://127.0.0.1:{port}")


def _spawn(command: list[str], environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=output, cwd=log.parent)


def _await(endpoint: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            urllib3.request("GET", endpoint, timeout=5, retries=False)
        except urllib3.exceptions.HTTPError:
            time.sleep(0.02)  # nothing tells when another process listens
        else:
            return
    raise TimeoutError(f"{endpoint} did not answer within {_PATIENCE_SECONDS} s")
