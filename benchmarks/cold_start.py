"""Measures how long a fresh interpreter takes to import each function's handler, as a cold start does.

The interpreter's own start is not part of the figures; it is the first row. Modules are imported from byte
code, as in a deployed package.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe, in_words
from cutlass.contracts import load_functions
from cutlass.platform.local import base_environment, function_environment

BARE = "(bare interpreter)"
PEERS = {"(boto3 client)": "import boto3; boto3.client('dynamodb')"}
"""What is measured beside the handlers, as a measure for them."""

_TIMED = """
import time
started = time.perf_counter()
{code}
print(1000 * (time.perf_counter() - started))
"""
_WALL = "import time; print(1000 * (time.time() - {started}))"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    parser.add_argument("--runs", type=int, default=7, metavar="N", help="fresh interpreters each (default 7)")
    options = parser.parse_args(arguments)
    runs = max(1, options.runs)
    machine = describe("python -m benchmarks.cold_start")
    subjects = PEERS | {
        name: f"import {function.handler.rpartition('.')[0]}" for name, function in load_functions().items()
    }
    taken: dict[str, list[float]] = defaultdict(list)
    for number in range(runs + 1):
        print(f"run {number} of {runs}" if number else "compiling", file=sys.stderr, flush=True)
        times = {name: _run(_TIMED.format(code=code)) for name, code in subjects.items()}
        times[BARE] = _run(_WALL.format(started=time.time()))
        for name, milliseconds in times.items():
            taken[name] += [milliseconds] if number else []  # the first run leaves byte code behind
    figures = {name: statistics.median(runs_of_one) for name, runs_of_one in taken.items()}
    _show(figures, machine, runs)
    if options.json:
        document = {"machine": machine, "import_ms": {name: round(ms, 1) for name, ms in figures.items()}}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _run(code: str) -> float:
    settings = function_environment(
        region="london", aws_region="eu-west-2", endpoint="http://127.0.0.1:9", peers={}
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=base_environment() | settings,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout)


def _show(figures: dict[str, float], machine: dict[str, str | int], runs: int) -> None:
    table = Table(title=f"import of a handler in a fresh interpreter, median of {runs}")
    table.add_column("what")
    table.add_column("ms", justify="right")
    for name, milliseconds in sorted(figures.items(), key=lambda figure: figure[1]):
        table.add_row(name, f"{milliseconds:.0f}")
    console = Console()
    console.print(in_words(machine))
    console.print(table)


if __name__ == "__main__":
    main()
