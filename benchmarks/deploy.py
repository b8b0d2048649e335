"""Measures what `cutlass deploy` takes beside Terraform typed by hand, and what its regions side by side save.

The same layers of dev are deployed from nothing, in both regions, three times, each to an emulator of its own:
by `terraform init`, `workspace`, `plan` and `apply` typed for one layer after the other, by the command one step
after the other, and by the command with its steps side by side. Answers of the emulator are held back, since it is
AWS one mostly waits for. Bootstrap comes before, and is not part of the figures.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe, in_words
from cutlass.deploy.source import load_project
from tests.deploy.harness import Checkout, Operator, emulator
from tests.support.terraform import missing

BY_HAND = "terraform, one layer after the other"
ONE_BY_ONE = "cutlass deploy --parallel 1"
SIDE_BY_SIDE = "cutlass deploy"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.deploy", description=__doc__)
    parser.add_argument("--layers", nargs="+", default=["000", "100"], metavar="NUMBER", help="default 000 100")
    parser.add_argument(
        "--answer-ms", type=int, default=100, metavar="MS", help="what each answer takes (default 100)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    options = parser.parse_args(arguments)
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    machine = describe("python -m benchmarks.deploy")
    os.environ["CUTLASS_EMULATOR_ANSWER_MS"] = str(options.answer_ms)
    layers = tuple(options.layers)
    named = [part for layer in layers for part in ("--layer", layer)]
    ways: dict[str, Callable[[Checkout, Path], None]] = {
        BY_HAND: lambda checkout, folder: by_hand(checkout, folder, layers),
        ONE_BY_ONE: lambda checkout, _: by_command(checkout, *named, "--parallel", "1"),
        SIDE_BY_SIDE: lambda checkout, _: by_command(checkout, *named),
    }
    with tempfile.TemporaryDirectory(prefix="cutlass-deploy-") as folder:
        seconds = {}
        for name, way in ways.items():
            print(name, file=sys.stderr, flush=True)
            seconds[name] = measured(Path(folder) / str(len(seconds)), way)
    steps = sum(step.layer.startswith(layers) for step in load_project(Path.cwd()).steps("dev"))
    show(seconds, steps, machine, options.answer_ms)
    if options.json:
        figures = {name: round(taken, 1) for name, taken in seconds.items()}
        document = {"machine": machine, "steps": steps, "answer_ms": options.answer_ms, "seconds": figures}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return 0


def measured(folder: Path, way: Callable[[Checkout, Path], None]) -> float:
    """Return the seconds one way takes, from after bootstrap to the end."""
    with emulator(folder / "emulator") as endpoint:
        checkout = Checkout.make(folder / "checkout", endpoint)
        done = checkout.run("bootstrap", "dev", "--yes")
        assert done.returncode == 0, done.stderr
        work = folder / "terraform"
        work.mkdir()
        started = time.perf_counter()
        way(checkout, work)
        taken = time.perf_counter() - started
    shutil.rmtree(folder)
    return taken


def by_command(checkout: Checkout, *options: str) -> None:
    done = checkout.run("deploy", "dev", "--yes", *options)
    assert done.returncode == 0, done.stderr


def by_hand(checkout: Checkout, folder: Path, layers: tuple[str, ...]) -> None:
    operator = Operator.in_(checkout, folder)
    waiting = {step: set(known) for step, known in load_project(checkout.root).dependencies("dev").items()}
    while waiting:
        ready = next(step for step, known in waiting.items() if not known & waiting.keys())
        del waiting[ready]
        if ready.layer.startswith(layers):
            layer, workspace = ready.layer, ready.workspace
            operator.open(layer, workspace)
            planned = folder / f"{workspace}-{layer}.tfplan"
            operator.with_variables(layer, workspace, "plan", f"-out={planned}", "-parallelism=40")
            operator.run(layer, workspace, "apply", "-no-color", "-parallelism=40", str(planned))


def show(seconds: dict[str, float], steps: int, machine: dict[str, str | int], answer_ms: int) -> None:
    console = Console()
    console.print(in_words(machine))
    table = Table(title=f"{steps} layers and regions from nothing, each answer {answer_ms} ms")
    for column in ("way", "seconds", "per step", "to Terraform by hand"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for name, taken in seconds.items():
        table.add_row(name, f"{taken:.0f}", f"{taken / steps:.1f}", f"{taken / seconds[BY_HAND]:.2f}")
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
