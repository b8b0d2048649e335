"""How a run of the deployment is shown: live on a terminal, plain lines elsewhere, JSON lines for machines."""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cutlass.cli.output import print_json, print_line, print_table
from cutlass.deploy.changes import Change, counts
from cutlass.deploy.model import Step
from cutlass.deploy.plans import KeptPlan
from cutlass.deploy.running import Outcome, Result

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

_LINE_SECONDS = 10.0
"""How often a long step says how far it is where lines are plain."""

_RED = {"failed", "blocked", "stopped"}
_GREEN = {"applied", "unchanged", "planned"}


@dataclass(slots=True)
class _Row:
    state: str
    began: float = field(default_factory=time.monotonic)
    elapsed: float | None = None
    done: int = 0
    of: int = 0
    detail: str = ""
    told_at: float = field(default_factory=time.monotonic)

    def seconds(self) -> float:
        return time.monotonic() - self.began if self.elapsed is None else self.elapsed


class Watcher:
    """Takes the events of a run and shows them, on stderr for people and on stdout for machines."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._rows: dict[str, _Row] = {}
        self._live: Live | None = None
        self.result: dict[str, Any] | None = None
        """What is printed last of all, for machines."""

    def __enter__(self) -> "Watcher":
        if not self._json and sys.stderr.isatty():
            from rich.console import Console  # noqa: PLC0415
            from rich.live import Live  # noqa: PLC0415

            self._live = Live(console=Console(stderr=True), get_renderable=self._view, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.pause()
        if self._json and self.result is not None:
            print_json(self.result)

    def pause(self) -> None:
        """End the live view, so that something else can be printed."""
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._rows.clear()

    def __call__(self, event: dict[str, Any]) -> None:
        """Take an event."""
        if self._json:
            print_json(event)
            sys.stdout.flush()
            return
        kind, step = event["event"], event.get("step")
        if kind == "interrupting":
            self._say(f"interrupted: {event['detail']}")
        elif step is not None:
            self._step(kind, step, event)

    def _step(self, kind: str, step: str, event: dict[str, Any]) -> None:
        row = self._rows.setdefault(step, _Row("begins"))
        if kind == "step_ended":
            row.state, row.detail, row.elapsed = event["outcome"], event["detail"], row.seconds()
            tail = f": {event['detail']}" if event["detail"] else ""
            self._say(f"{step}: {event['outcome']}{tail} ({row.elapsed:.0f} s)")
        elif kind == "step_planning":
            row.state = "planning"
            self._say(f"{step}: planning")
        elif kind == "step_applying":
            row.state = "applying"
            self._say(f"{step}: applying, {event['changes']}")
        elif kind == "step_retried":
            self._say(f"{step}: tried again, since {event['reason']}")
        elif kind == "step_progress":
            row.done, row.of, row.detail = event["done"], event["of"], ", ".join(event["doing"])
            if time.monotonic() - row.told_at > _LINE_SECONDS:
                row.told_at = time.monotonic()
                self._say(f"{step}: {row.done} of {row.of} resources")

    def _say(self, text: str) -> None:
        if self._live is None:
            sys.stderr.write(text + "\n")  # at once: steps run side by side
            sys.stderr.flush()

    def _view(self) -> "Group":
        from rich.console import Group  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        table = Table("step", "state", "elapsed", "resources", "", box=None, pad_edge=False)
        for step, row in list(self._rows.items()):
            style = "red" if row.state in _RED else "green" if row.state in _GREEN else ""
            resources = f"{row.done} of {row.of}" if row.of else ""
            state = Text(row.state, style=style)
            table.add_row(step, state, f"{row.seconds():.0f} s", resources, Text(row.detail, overflow="ellipsis"))
        return Group(table)


def show_plans(planned: Mapping[Step, Result]) -> None:
    """Print what would change, by region and layer; what loses data in red, moved addresses apart."""
    rows, lost, moved, waiting = [], [], [], []
    for step, result in planned.items():
        plan = result.value if isinstance(result.value, KeptPlan) else None
        changes = plan.changes if plan is not None else ()
        numbers = counts(changes)
        rows.append([str(step), *(number or None for number in numbers.values()), str(result.outcome)])
        if result.outcome is Outcome.WAITING:
            waiting.append(f"{step} {result.detail}")
        lost += [f"{step}: {change.action} {change.address}" for change in changes if change.loses_data]
        moved += [f"{step}: {change.previous} → {change.address}" for change in changes if change.previous]
    print_table("", ["step", "add", "change", "replace", "destroy", "move", "state"], rows, lines=False)
    for line in waiting:
        print_line(line)
    for line in moved:
        print_line(f"moves: {line}")
    for line in lost:
        print_red(f"loses data: {line}")


def plans_as_dict(planned: Mapping[Step, Result]) -> dict[str, Any]:
    """Return what would change as JSON has it."""
    steps = [
        {
            "workspace": step.workspace,
            "layer": step.layer,
            "outcome": str(result.outcome),
            "detail": result.detail,
            **_plan(result.value),
        }
        for step, result in planned.items()
    ]
    changes = [change for result in planned.values() for change in _changes(result)]
    return {"event": "result", "steps": steps, "totals": counts(changes)}


def print_red(text: str) -> None:
    """Print a line in red where there are colours."""
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    Console(soft_wrap=True).print(Text(text, style="bold red"))


def _changes(result: Result) -> tuple[Change, ...]:
    return result.value.changes if isinstance(result.value, KeptPlan) else ()


def _plan(value: object) -> dict[str, Any]:
    if not isinstance(value, KeptPlan):
        return {}
    return {
        "plan_sha256": value.sha256,
        "commit": value.commit,
        "changes": [change.as_dict() for change in value.changes],
        "loses_data": [change.address for change in value.changes if change.loses_data],
    }
