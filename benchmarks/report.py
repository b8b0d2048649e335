"""The results as tables for people and as JSON for programs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.cost import SECONDS, Cost
from benchmarks.load import Sample
from benchmarks.machine import in_words


@dataclass(slots=True)
class Results:
    """All that one run measured; `skipped` says what it could not, and why."""

    machine: dict[str, str | int]
    samples: list[Sample] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the results as JSON; ratios are to the first subject at the same engine and clients."""
        return {
            "machine": self.machine,
            "samples": [sample.as_dict() | ratios(sample, self.samples) for sample in self.samples],
            "costs": [cost.as_dict() for cost in self.costs],
            "skipped": self.skipped,
        }


def ratios(sample: Sample, samples: Sequence[Sample]) -> dict[str, float | None]:
    """Compare a sample with the first one of the same engine and clients: its median, and its throughput."""
    base = next(s for s in samples if (s.engine, s.clients) == (sample.engine, sample.clients))
    if not base.calls or not sample.calls:
        return {"p50_ratio": None, "throughput_ratio": None}
    return {
        "p50_ratio": round(sample.p50_ms / base.p50_ms, 2),
        "throughput_ratio": round(sample.per_second / base.per_second, 2),
    }


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    console.print(in_words(results.machine))
    if results.samples:
        console.print(_speed(results.samples))
    if results.costs:
        console.print(_costs(results.costs))
    for reason in results.skipped:
        console.print(f"skipped: {reason}")


def _speed(samples: Sequence[Sample]) -> Table:
    table = Table(title="latency and throughput; ratios to the handler")
    for name in ("engine", "clients", "subject"):
        table.add_column(name, justify="right" if name == "clients" else "left", overflow="fold")
    for name in ("p50 ms", "p99 ms", "ratio of p50", "per s", "ratio of per s", "client CPU µs", "failed"):
        table.add_column(name, justify="right")
    before = None
    for sample in samples:
        if before not in {None, (sample.engine, sample.clients)}:
            table.add_section()
        before = sample.engine, sample.clients
        ratio = ratios(sample, samples)
        table.add_row(
            sample.engine,
            str(sample.clients),
            sample.subject,
            f"{sample.p50_ms:.2f}",
            f"{sample.p99_ms:.2f}",
            _ratio(ratio["p50_ratio"]),
            f"{sample.per_second:,.0f}",
            _ratio(ratio["throughput_ratio"]),
            f"{sample.cpu_us:,.0f}",
            f"{sample.failures}" + (f" ({sample.failure})" if sample.failure else ""),
        )
    return table


def _costs(costs: Sequence[Cost]) -> Table:
    table = Table(title=f"per decision of one user, {SECONDS} s of simulated time")
    for name in ("engine", "rate /s"):
        table.add_column(name)
    columns: dict[str, Callable[[Cost], str]] = {
        "steady": lambda c: f"{c.steady_share:.2%}",
        "refills": lambda c: f"{c.refill_share:.2%}",
        "requests": lambda c: f"{sum(c.requests.values()):.3f}",
        "write units": lambda c: f"{c.write_units:.3f}",
        "read units": lambda c: f"{c.read_units:.3f}",
        "ledger segments": lambda c: f"{c.segment_writes:.3f}",
        "rollups": lambda c: f"{c.rollup_writes:.3f}",
        "ring trims": lambda c: f"{c.trim_writes:.3f}",
        "write units of metering": lambda c: f"{c.metering_write_units:.3f}",
    }
    for name in columns:
        table.add_column(name, justify="right")
    for cost in costs:
        table.add_row(cost.engine, str(cost.rate), *(shown(cost) for shown in columns.values()))
    return table


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
