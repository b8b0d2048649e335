"""Runs the workers of one subject: each a process, all beginning at once."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.load import Round, together
from benchmarks.machine import ROOT
from cutlass.contracts import load_topology
from cutlass.platform.local import base_environment


@dataclass(frozen=True, slots=True)
class Program:
    """How a subject's worker is started: its command line up to the options, and what its environment has more."""

    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker's clients are: a region, the engines as seen from there, and how far the deciding one is."""

    region: str
    endpoint: str
    peers: Mapping[str, str]
    delay_ms: int = 0


def prepare(program: Program, place: Place, *, cap: int | None) -> None:
    """Make what the subject needs in a new engine.

    Raises
    ------
    subprocess.CalledProcessError
        It could not.
    """
    command = [*program.command, *_options(place, cap), "--prepare"]
    subprocess.run(command, cwd=ROOT, env=_environment(program), stdin=subprocess.DEVNULL, check=True)


class Crew:
    """Workers that are ready to begin.

    Parameters
    ----------
    places : sequence of Place
        One for each worker.
    clients : int
        How many each worker has.
    warm : int
        How many decisions every user makes before.
    seconds, times
        How long to go on, or how many calls each client makes.
    """

    def __init__(
        self,
        program: Program,
        places: Sequence[Place],
        *,
        clients: int,
        cap: int | None = None,
        warm: int = 0,
        seconds: float | None = None,
        times: int | None = None,
    ) -> None:
        amount = ["--seconds", str(seconds)] if seconds is not None else ["--times", str(times)]
        self._workers = [
            subprocess.Popen(
                [
                    *(*program.command, *_options(place, cap), *amount, "--warm", str(warm)),
                    *("--clients", str(clients), "--first", str(number * clients)),
                ],
                cwd=ROOT,
                env=_environment(program),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for number, place in enumerate(places)
        ]
        for worker in self._workers:
            assert worker.stdout is not None
            if worker.stdout.readline().strip() != "ready":
                self._end()
                raise RuntimeError(f"{' '.join(program.command)} ended before it began")

    def go(self) -> list[Round]:
        """Let all begin, and return what each met."""
        try:
            for worker in self._workers:
                assert worker.stdin is not None
                worker.stdin.write("go\n")
                worker.stdin.flush()
            told = [worker.stdout.read() for worker in self._workers if worker.stdout is not None]
            return [Round(**json.loads(text)) for text in told]
        finally:
            self._end()

    def _end(self) -> None:
        for worker in self._workers:
            for stream in (worker.stdin, worker.stdout):
                assert stream is not None
                stream.close()
        for worker in self._workers:
            worker.terminate()
            worker.wait(timeout=20)


def one_round(crew: Crew) -> Round:
    """Let a crew go, and take its rounds for one."""
    return together(crew.go())


def _options(place: Place, cap: int | None) -> list[str]:
    options = ["--endpoint", place.endpoint, "--region", place.region]
    options += ["--aws-region", load_topology().regions[place.region].aws_region]
    options += ["--peers", json.dumps(dict(place.peers))]
    options += ["--delay-ms", str(place.delay_ms)] if place.delay_ms else []
    return options + ([] if cap is None else ["--cap", str(cap)])


def _environment(program: Program) -> dict[str, str]:
    # The contracts of a small cap are in this process's environment, for Cutlass's own workers.
    return base_environment() | {"PYTHONPATH": _python_path()} | dict(program.environment)


def _python_path() -> str:
    return os.pathsep.join([str(ROOT / "src"), str(ROOT)])
