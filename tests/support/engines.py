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

DYNOXIDE_HINT = "dynoxide is not installed: npm install --prefix build/engines @dynoxide/linux-x64@1.2.1"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def dynoxide_binary() -> Path | None:
    """Where dynoxide is: on the PATH, or where .ci/run installs it."""
    found = shutil.which("dynoxide")
    if found:
        return Path(found)
    local = Path(__file__).parents[2] / "build/engines/node_modules/@dynoxide/linux-x64/dynoxide"
    return local if local.exists() else None


@dataclass
class Engine:
    """A running engine: an endpoint per region, and the processes to stop."""

    name: str
    endpoints: Mapping[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    readers: dict[tuple[str, str, str], StreamReader] = field(default_factory=dict)

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=20)

    def wire(self, region: str) -> Wire:
        return Wire(self.endpoints[region], load_topology().regions[region].aws_region)

    def make_tables(self) -> None:
        for region in self.endpoints:
            for table in load_tables().values():
                ensure_table(self.wire(region), table)


def start(name: str, folder: Path) -> Engine:
    """Start `ministack` (one process for all regions) or `dynoxide` (one for each)."""
    regions = load_topology().regions
    if name == "ministack":
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
        engine = Engine(name, dict.fromkeys(regions, f"http://127.0.0.1:{port}"), [process])
    else:
        binary = dynoxide_binary()
        if binary is None:
            raise FileNotFoundError(DYNOXIDE_HINT)
        engine = Engine(name, {})
        for region in regions:
            port = free_port()
            command = [str(binary), "--host", "127.0.0.1", "--port", str(port)]
            engine.processes.append(_spawn(command, dict(os.environ), folder / f"dynoxide-{region}.log"))
            engine.endpoints = {**engine.endpoints, region: f"http://127.0.0.1:{port}"}
    for endpoint in set(engine.endpoints.values()):
        _await(endpoint)
    engine.make_tables()
    return engine


def _spawn(command: list[str], environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(command, env=environment, stdout=output, stderr=output)


def _await(endpoint: str) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            urllib3.request("GET", endpoint, timeout=1, retries=False)
        except urllib3.exceptions.HTTPError:
            time.sleep(0.02)  # nothing tells when another process listens
        else:
            return
    raise TimeoutError(f"{endpoint} did not answer within 30 s")
