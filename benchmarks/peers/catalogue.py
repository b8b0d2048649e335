"""Who is measured, how each is started, and what has to be installed for it."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import ROOT
from benchmarks.peers.crew import Program
from tests.support.engines import DYNOXIDE, dynoxide_binary

FOLDER = ROOT / "build" / "peers"
"""Where the tools of the peers are installed."""

FAR_MS = 270
"""The round trip between London and Sydney, in milliseconds."""

_ZAE_PYTHON = FOLDER / "zae" / "bin" / "python"
_ZAE_LOCK = ROOT / "requirements" / "zae.txt"
_NODE_PACKAGES = {"rate-limiter-flexible": "11.4.0", "@aws-sdk/client-dynamodb": "3.1162.0"}


@dataclass(frozen=True, slots=True)
class Peer:
    """One row.

    Attributes
    ----------
    name, about : str
        What it is called in tables, and what it does for a decision.
    far : bool
        Whether clients of the other region decide at home, over `FAR_MS`; otherwise in their own.
    steady : bool
        Whether its cost depends on a user's rate, and so is counted at a steady one in simulated time.
    metered : bool
        Whether the consumer of the stream runs beside it.
    warm : int
        Decisions of every user before anything is measured: its first are another matter.
    missing : callable, optional
        Says what has to be installed, None if all is there.
    """

    key: str
    name: str
    about: str
    program: Program
    far: bool = False
    steady: bool = False
    metered: bool = False
    warm: int = 1
    missing: Callable[[], str | None] = lambda: None


def _ours(subject: str) -> Program:
    return Program((sys.executable, "-m", "benchmarks.peers.worker", subject))


def _zae_missing() -> str | None:
    if _ZAE_PYTHON.exists():
        return None
    return "zae-limiter is not installed: make bench does, or python -m benchmarks.peers --install"


def _node_missing() -> str | None:
    if shutil.which("node") is None:
        return "rate-limiter-flexible needs Node.js 18.3 or newer on the PATH"
    if all((FOLDER / "node_modules" / name).exists() for name in _NODE_PACKAGES):
        return None
    return "rate-limiter-flexible is not installed: make bench does, or python -m benchmarks.peers --install"


_WARM = 12
"""Of a user of whom nothing is known Cutlass draws ten units, then enough for half a minute."""

PEERS = (
    Peer(
        key="cutlass",
        name="Cutlass",
        about="the handler of POST /usage-check, with ledger and usage metered beside it",
        program=_ours("cutlass"),
        steady=True,
        metered=True,
        warm=_WARM,
    ),
    Peer(
        key="cutlass-decisions",
        name="Cutlass, decisions only",
        about="the same without the consumer, which is another function on AWS; the others have none",
        program=_ours("cutlass"),
        steady=True,
        warm=_WARM,
    ),
    Peer(
        key="zae",
        name="zae-limiter, cascade",
        about="a user's token bucket, then the organisation's",
        program=Program((str(_ZAE_PYTHON), "-m", "benchmarks.peers.zae", "zae")),
        missing=_zae_missing,
    ),
    Peer(
        key="rate-limiter-flexible",
        name="rate-limiter-flexible, two counters",
        about="a user's window and the organisation's, side by side",
        program=Program(
            ("node", str(Path(__file__).parent / "limiter.cjs"), "rate-limiter-flexible"),
            {"CUTLASS_PEER_MODULES": str(FOLDER), "NODE_NO_WARNINGS": "1"},
        ),
        missing=_node_missing,
    ),
    Peer(
        key="transactions",
        name="one transaction (TransactWriteItems)",
        about="the user's counter, the organisation's and an item that remembers the request, in one transaction",
        program=_ours("transactions"),
    ),
    Peer(
        key="home-region",
        name=f"home region, {FAR_MS} ms away",
        about="the same transaction, made in one region for callers of both",
        program=_ours("transactions"),
        far=True,
        warm=0,  # its counters are there already, and each decision takes a long way
    ),
    Peer(
        key="shared-counter",
        name="shared counter",
        about="one conditional counter for everybody: no user limits, no request ids",
        program=_ours("shared-counter"),
    ),
)
"""Everyone, in the order of the table; the first is what the others are compared with."""


def install() -> None:
    """Install what peers need under build/, at pinned versions; what is there already stays.

    Raises
    ------
    subprocess.CalledProcessError
        npm or pip failed.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    if not _ZAE_PYTHON.exists():
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER / "zae")], check=True)
        pip = [str(_ZAE_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(_ZAE_LOCK)], check=True, stdin=subprocess.DEVNULL)
    if shutil.which("npm") and _node_missing():
        wanted = [f"{name}@{version}" for name, version in _NODE_PACKAGES.items()]
        npm = ["npm", "install", "--prefix", str(FOLDER), "--no-audit", "--no-fund", "--silent"]
        subprocess.run([*npm, *wanted], check=True, stdin=subprocess.DEVNULL)
    if shutil.which("npm") and dynoxide_binary() is None:
        npm = [
            "npm",
            "install",
            "--prefix",
            str(ROOT / "build" / "engines"),
            "--no-audit",
            "--no-fund",
            "--silent",
        ]
        subprocess.run([*npm, DYNOXIDE], check=True, stdin=subprocess.DEVNULL)


def versions() -> dict[str, str]:
    """Return the versions of the peers' own packages that are installed."""
    found = {}
    if _zae_missing() is None:
        code = "from importlib.metadata import version; print(version('zae-limiter'))"
        done = subprocess.run([str(_ZAE_PYTHON), "-c", code], stdout=subprocess.PIPE, text=True, check=True)
        found["zae-limiter"] = done.stdout.strip()
    if _node_missing() is None:
        found |= _NODE_PACKAGES
        done = subprocess.run(
            [str(shutil.which("node")), "--version"], stdout=subprocess.PIPE, text=True, check=True
        )
        found["node"] = done.stdout.strip().removeprefix("v")
    return found
