"""What waits for what, and what may run next: pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cutlass.deploy.model import Step

Graph = Mapping[Step, frozenset[Step]]
"""For every step, those that have to be done before it."""


class Progress(StrEnum):
    """Where a step of a run stands."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    BLOCKED = "blocked"
    """Something it depends on failed."""


def reaches(graph: Graph, step: Step) -> frozenset[Step]:
    """Return everything a step depends on, directly or through others."""
    found: set[Step] = set()
    waiting = list(graph.get(step, ()))
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += graph[one]
    return frozenset(found)


def restricted(graph: Graph, chosen: Iterable[Step]) -> dict[Step, frozenset[Step]]:
    """Return the graph of the chosen steps alone: one waits for another also if those between are left out."""
    steps = list(chosen)
    return {step: reaches(graph, step) & frozenset(steps) for step in steps}


def reversed_graph(graph: Graph) -> dict[Step, frozenset[Step]]:
    """Return the graph for destroying: a step waits for whatever reads it."""
    return {step: frozenset(reader for reader, reads in graph.items() if step in reads) for step in graph}


def ordered(graph: Graph) -> list[Step]:
    """Return the steps one after the other, each after what it depends on, else as the graph lists them."""
    schedule, found = Schedule.of(graph), []
    while ready := schedule.ready():
        found.append(ready[0])
        schedule = schedule.started(ready[0]).ended(ready[0], done=True)
    return found


@dataclass(frozen=True, slots=True)
class Schedule:
    """A run over a graph: each change gives a new one."""

    graph: Graph
    progress: Mapping[Step, Progress]

    @classmethod
    def of(cls, graph: Graph) -> "Schedule":
        """Return the run at its beginning."""
        return cls(graph, dict.fromkeys(graph, Progress.PENDING))

    def ready(self) -> list[Step]:
        """Return what may start now, in the order of the graph."""
        return [
            step
            for step, progress in self.progress.items()
            if progress is Progress.PENDING
            and all(self.progress[one] is Progress.DONE for one in self.graph[step])
        ]

    def started(self, step: Step) -> "Schedule":
        """Return the run after `step` has begun."""
        return self._with({step: Progress.RUNNING})

    def ended(self, step: Step, *, done: bool) -> "Schedule":
        """Return the run after `step` has ended; a failure blocks all that depends on it, and nothing else."""
        if done:
            return self._with({step: Progress.DONE})
        readers = [one for one in self.graph if step in reaches(self.graph, one)]
        return self._with({step: Progress.FAILED} | dict.fromkeys(readers, Progress.BLOCKED))

    @property
    def over(self) -> bool:
        """Whether nothing runs and nothing can start any more."""
        return Progress.RUNNING not in self.progress.values() and not self.ready()

    def _with(self, changes: Mapping[Step, Progress]) -> "Schedule":
        return replace(self, progress={**self.progress, **changes})
