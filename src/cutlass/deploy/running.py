"""Runs a schedule: independent steps side by side, in threads, each of which waits for Terraform."""

from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cutlass.deploy.errors import InterruptedRunError
from cutlass.deploy.graph import Graph, Progress, Schedule, reaches
from cutlass.deploy.model import Step
from cutlass.domain.errors import CutlassError

_LOOK_SECONDS = 0.2
"""How often the main thread comes round to take a signal."""


class Outcome(StrEnum):
    """How a step ended."""

    PLANNED = "planned"
    UNCHANGED = "unchanged"
    APPLIED = "applied"
    WAITING = "waiting"
    """What it reads does not exist yet, so it was not planned."""
    FAILED = "failed"
    BLOCKED = "blocked"
    """Something it depends on failed."""
    STOPPED = "stopped"
    """Ctrl-C came first."""


GOOD = frozenset({Outcome.PLANNED, Outcome.UNCHANGED, Outcome.APPLIED})


@dataclass(frozen=True, slots=True)
class Result:
    """How a step ended, with what there is to say about it."""

    outcome: Outcome
    detail: str = ""
    value: Any = None


Work = Callable[[Step], Result]


def run_graph(
    graph: Graph,
    work: Work,
    *,
    parallel: int,
    stopping: Callable[[], bool],
    ended: Callable[[Step, Result], None] = lambda _step, _result: None,
) -> dict[Step, Result]:
    """Do the work of every step, each after those it depends on, at most `parallel` side by side.

    A failure blocks what depends on it and lets the rest be finished. Once `stopping` is true nothing more is
    begun, and what runs is waited for.

    Parameters
    ----------
    graph : mapping
        For every step those that come before it.
    work : callable
        Does a step and returns how it ended; a CutlassError it raises is a failure.
    parallel : int
        How many at once.
    stopping : callable
        Tells whether to begin no more.
    ended : callable, optional
        Is told of each end, in the calling thread.
    """
    schedule = Schedule.of(graph)
    results: dict[Step, Result] = {}
    running: dict[Future[Result], Step] = {}
    with ThreadPoolExecutor(max_workers=parallel) as pool:
        while True:
            for step in [] if stopping() else schedule.ready()[: parallel - len(running)]:
                schedule = schedule.started(step)
                running[pool.submit(_guarded, work, step)] = step
            if not running:
                break
            done, _ = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in done:
                step = running.pop(future)
                results[step] = future.result()
                schedule = schedule.ended(step, done=results[step].outcome in GOOD)
                ended(step, results[step])
    for step, result in _never_begun(schedule, results).items():
        results[step] = result
        ended(step, result)
    return {step: results[step] for step in graph}


def _guarded(work: Work, step: Step) -> Result:
    try:
        return work(step)
    except InterruptedRunError as error:
        return Result(Outcome.STOPPED, error.message)
    except CutlassError as error:
        return Result(Outcome.FAILED, error.message + (f"; {error.hint}" if error.hint else ""))


def _never_begun(schedule: Schedule, results: Mapping[Step, Result]) -> dict[Step, Result]:
    found = {}
    for step, progress in schedule.progress.items():
        if progress is Progress.BLOCKED:
            before = reaches(schedule.graph, step)
            causes = [one for one, result in results.items() if one in before and result.outcome not in GOOD]
            kinds = {results[one].outcome for one in causes}
            # What waits for something that waits, or was stopped, does the same; it is not to blame.
            alike = len(kinds) == 1 and kinds <= {Outcome.STOPPED, Outcome.WAITING}
            outcome = kinds.pop() if alike else Outcome.BLOCKED
            found[step] = Result(outcome, f"needs {', '.join(map(str, causes))}")
        elif progress is Progress.PENDING:
            found[step] = Result(Outcome.STOPPED, "not begun")
    return found
