"""What `cutlass up` and `cutlass status` show."""

import sys
import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cutlass.cli.output import print_json, print_line, shown
from cutlass.platform.running import DEMO
from cutlass.platform.status import gather
from cutlass.platform.supervisor import Supervisor

_REFRESH_SECONDS = 1.0


def quick_start(state: dict[str, Any]) -> str:
    """Return the lines that make a first decision."""
    first = next(iter(state["regions"]))
    urls = "\n".join(f"  {name:<8} {region['url']}" for name, region in state["regions"].items())
    body = f'{{"user_id":"{DEMO["user_id"]}","org_id":"{DEMO["org_id"]}"}}'
    return (
        f"Cutlass is ready.\n{urls}\n  AWS      {state['aws_endpoint']}\n\n"
        f"  API_URL={state['regions'][first]['url']}\n"
        f"  JWT_TOKEN=$({sys.argv[0]} token --region {first} --service)\n"
        '  curl -X POST $API_URL/usage-check -H "Authorization: Bearer $JWT_TOKEN" \\\n'
        f"    -H \"Content-Type: application/json\" -d '{body}'\n\n"
        f"  {sys.argv[0]} demo  # makes up a year of usage, to ask for reports of\n"
    )


def status_view(state: dict[str, Any]) -> Group:
    """Return the tables of `cutlass status`."""
    regions = Table("region", "url", "requests", "decisions", "failures", title="regions", title_justify="left")
    for name, region in state["regions"].items():
        counts = region.get("counts") or {}
        row = [shown(counts.get(column)) for column in ("requests", "decisions", "failures")]
        regions.add_row(name, region["url"], *row)
    processes = Table("process", "pid", "state", "restarts", title="processes", title_justify="left")
    for process in state["processes"]:
        running = "running" if process["running"] else "ended"
        processes.add_row(process["name"], str(process["pid"]), running, str(process["restarts"]))
    return Group(regions, processes, Text(_replication_line(state.get("replication"))))


def _replication_line(replication: dict[str, Any] | None) -> str:
    if replication is None:
        return "replication: does not answer"
    pending = sum(table["pending"] for table in replication["tables"])
    lag = max((table["lag_seconds"] for table in replication["tables"]), default=0.0)
    cut = "cut off, " if replication["partitioned"] else ""
    delay = f"delay {replication['delay_ms']} ms, round trip {replication['rtt_ms']} ms"
    return f"replication: {cut}{pending:,} changes pending, {lag:.1f} s behind ({delay})"


class Display:
    """The foreground's output: a live view on a terminal, plain lines elsewhere, one object with `--json`."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._console = Console()
        self._live: Live | None = None
        self._announced = False
        self._refresh_at = 0.0

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_live()

    def report(self, doing: str) -> None:
        """Say what is being done."""
        self._end_live()
        if not self._json:
            print_line(f"cutlass: {doing}")
            sys.stdout.flush()

    def tick(self, supervisor: Supervisor) -> None:
        """Announce that it is ready, then keep the view current."""
        if not self._announced:
            self._announce(supervisor.state())
        if self._live is not None and time.monotonic() >= self._refresh_at:
            self._refresh_at = time.monotonic() + _REFRESH_SECONDS
            self._live.update(status_view(gather(supervisor.state())), refresh=True)

    def _announce(self, state: dict[str, Any]) -> None:
        self._announced = True
        if self._json:
            print_json({name: state[name] for name in ("environment", "regions", "aws_endpoint", "demo")})
        else:
            print_line(quick_start(state) + "\nCtrl-C stops it; the state is kept.\n")
            if self._console.is_terminal:
                self._live = Live(console=self._console, auto_refresh=False)
                self._live.start()
        sys.stdout.flush()

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
