"""Measures a decision on every engine there is: its parts, through the gateway, and what it costs.

Prints tables; with --json also writes every figure to a file. Progress goes to stderr. Nothing here passes
or fails by a time.
"""

import argparse
import json
import os
import shlex
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import cost, gateway
from benchmarks.load import Round, Sample, run, summarise
from benchmarks.machine import describe
from benchmarks.report import Results, show
from benchmarks.stage import Stage, staged
from benchmarks.subjects import SUBJECTS, stock
from cutlass.platform.local import base_environment
from tests.support.engines import DYNOXIDE_HINT, dynoxide_binary

ENGINES = ("ministack", "dynoxide")
CLIENTS = (1, 16)
ROUNDS = 5
RATES = (1, 10, 100)
"""Decisions per second of one user whose cost is counted."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    options = _parser().parse_args(arguments)
    os.environ.update(base_environment())
    command = shlex.join(
        ["python", "-m", "benchmarks.decision", *(sys.argv[1:] if arguments is None else arguments)]
    )
    results = Results(describe(command))
    for engine in options.engine or ENGINES:
        if engine == "dynoxide" and dynoxide_binary() is None:
            results.skipped.append(DYNOXIDE_HINT)
            continue
        _speed(results, engine, options.seconds)
        if not options.no_cost:
            _costs(results, engine)
    show(results, Console(width=None if sys.stdout.isatty() else 150))
    if options.json:
        options.json.write_text(json.dumps(results.as_dict(), indent=2) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decision", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    parser.add_argument(
        "--seconds", type=_seconds, default=5.0, metavar="N", help="how long each subject is measured (default 5)"
    )
    parser.add_argument(
        "--engine", action="append", choices=ENGINES, help="measure on this engine only; may be repeated"
    )
    parser.add_argument("--no-cost", action="store_true", help="leave out what is counted in simulated time")
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0, up to 3600")
    return value


def _speed(results: Results, engine: str, seconds: float) -> None:
    for clients in CLIENTS:
        with staged(engine) as stage:  # a new one: dynoxide gets slower with every record of its streams
            _tell(f"{engine}: stocking allotments")
            stock(stage)
            results.samples += _beside_each_other(stage, clients, seconds / ROUNDS)
    if engine == "ministack":  # what the local platform runs on
        results.samples += _through_gateway(engine, seconds)
    results.samples.sort(key=lambda sample: (ENGINES.index(sample.engine), sample.clients))


def _beside_each_other(stage: Stage, clients: int, seconds: float) -> list[Sample]:
    """Measure all subjects in turn, several times: what else the machine does meets all of them alike."""
    calls = {subject: make(stage, clients) for subject, make in SUBJECTS.items()}
    rounds: dict[str, list[Round]] = defaultdict(list)
    for number in range(1, ROUNDS + 1):
        _tell(f"{stage.engine}: clients: {clients}, round {number} of {ROUNDS}")
        for subject, clients_calls in calls.items():
            rounds[subject].append(run(clients_calls, seconds))
    return [summarise(subject, stage.engine, measured) for subject, measured in rounds.items()]


def _through_gateway(engine: str, seconds: float) -> list[Sample]:
    _tell(f"{engine}: starting a platform")
    samples = []
    with gateway.platform() as running:
        for clients in CLIENTS:
            _tell(f"{engine}: {gateway.SUBJECT}, clients: {clients}")
            measured = run(gateway.http_calls(running, clients), seconds)
            samples.append(summarise(gateway.SUBJECT, engine, [measured]))
    return samples


def _costs(results: Results, engine: str) -> None:
    for rate in RATES:
        _tell(f"{engine}: counting requests at {rate} decisions/s, {cost.SECONDS} s of simulated time")
        results.costs.append(cost.count(engine, rate))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
