"""Charts of the scenarios for the documents: `python -m cutlass.simulation.charts docs/images`.

Runs every scenario, writes one SVG per figure and prints the tables of `docs/simulation.md` as Markdown.
"""

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutlass.simulation.report import simulate
from cutlass.simulation.scenarios import SCENARIOS, scenario

SEED = 1

SYSTEMS = {
    "escrow": ("escrow", "#0b7285"),
    "shared_counter": ("shared counter", "#c92a2a"),
    "per_region_counters": ("counter per region", "#e8590c"),
    "home_region": ("home region", "#868e96"),
    "static_split": ("static split", "#5f3dc4"),
}
"""What each system is called, and its colour."""

COLUMNS = {
    "allowed": "allowed",
    "oversold": "oversold",
    "false_refusals_percent": "falsely refused %",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "write_units_per_request": "write units",
    "rebalancing_messages": "messages",
    "ledger_gap": "ledger gap",
    "utilisation_percent": "utilisation %",
}
"""The figures in the table, and their headings."""

_ROW, _GAP, _LEFT, _WIDTH, _TOP = 13, 14, 150, 520, 62


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure of every scenario and system as bars, on a logarithmic scale from `least` up."""

    name: str
    title: str
    figure: str
    least: float


CHARTS = (
    Chart("simulation-oversold", "Units sold beyond the limit", "oversold", 1),
    Chart(
        "simulation-false-refusals",
        "Requests refused that should be allowed, %",
        "false_refusals_percent",
        0.01,
    ),
    Chart("simulation-p99", "99th percentile of the answer time, ms", "p99_ms", 1),
)


def main(arguments: Sequence[str]) -> int:
    """Run every scenario and write the charts to a folder."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m cutlass.simulation.charts FOLDER\n")
        return 2
    results = []
    for name in SCENARIOS:
        sys.stderr.write(f"{name}\n")
        results.append(simulate(scenario(name), SEED))
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for chart in CHARTS:
        (folder / f"{chart.name}.svg").write_text(draw(chart, results), encoding="utf-8")
    sys.stdout.write("\n".join(tables(results)) + "\n")
    return 0


def systems_of(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The figures of every system in a result, by system."""
    return {"escrow": result["escrow"], **result["baselines"]}


def draw(chart: Chart, results: Sequence[Mapping[str, Any]]) -> str:
    """Draw a chart as SVG."""
    values = [float(figures[chart.figure]) for result in results for figures in systems_of(result).values()]
    most = max(chart.least * 10, *values)
    block = len(SYSTEMS) * _ROW + _GAP
    height = _TOP + len(results) * block + 6
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}" '
            f'font-family="sans-serif" font-size="11" role="img" aria-label="{chart.title}">'
        ),
        f'<rect width="{_LEFT + _WIDTH + 90}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="15" font-weight="bold">{chart.title}</text>',
        *_legend(),
    ]
    for place, result in enumerate(results):
        top = _TOP + place * block
        parts.append(f'<text x="12" y="{top + block // 2}" font-size="12">{result["scenario"]}</text>')
        for row, (system, figures) in enumerate(systems_of(result).items()):
            value = float(figures[chart.figure])
            width = _length(value, chart.least, most)
            y = top + row * _ROW
            parts.append(
                f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_ROW - 3}" fill="{SYSTEMS[system][1]}"/>'
            )
            parts.append(f'<text x="{_LEFT + width + 4:.1f}" y="{y + _ROW - 4}" font-size="10">{value:,g}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _length(value: float, least: float, most: float) -> float:
    """The length of a bar: none up to `least`, then logarithmic, as small and large figures both matter."""
    if value <= 0:
        return 0.0
    return max(2.0, _WIDTH * math.log(max(value / least, 1)) / math.log(most / least))


def _legend() -> Iterator[str]:
    x = 12
    for name, colour in SYSTEMS.values():
        yield f'<rect x="{x}" y="34" width="10" height="10" fill="{colour}"/>'
        yield f'<text x="{x + 14}" y="43">{name}</text>'
        x += 34 + 6 * len(name)


def tables(results: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The figures of every scenario as one Markdown table."""
    yield f"| scenario | system | {' | '.join(COLUMNS.values())} |"
    yield "| --- | --- |" + " ---: |" * len(COLUMNS)
    for result in results:
        for system, figures in systems_of(result).items():
            cells = " | ".join(f"{figures[key]:,}" for key in COLUMNS)
            yield f"| {result['scenario']} | {SYSTEMS[system][0]} | {cells} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
