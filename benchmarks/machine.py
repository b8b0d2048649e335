"""Where and when a measurement was made: numbers mean little without it."""

import os
import platform
import re
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The checkout, from which every process of a benchmark is started."""


def describe(command: str) -> dict[str, str | int]:
    """Return what a reader needs to judge the numbers of a run of `command`."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "command": command,
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "load": f"{os.getloadavg()[0]:.1f}",  # of the minute before: other work on the machine
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "boto3": version("boto3"),
        "ministack": version("ministack"),
    }


def in_words(machine: dict[str, str | int]) -> str:
    """Return the description as one line."""
    return ", ".join(f"{name} {value}" for name, value in machine.items() if name != "command")


def _cpu() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()
