"""The command that runs the simulator."""

from typing import Annotated, Any

import typer

from cutlass.cli.options import Json
from cutlass.cli.output import print_json, print_line, print_table
from cutlass.cli.progress import Progress

_FIGURES = (
    "requests",
    "allowed",
    "oversold",
    "false_refusals_percent",
    "p50_ms",
    "p99_ms",
    "write_units_per_request",
    "rebalancing_messages",
    "ledger_gap",
    "utilisation_percent",
)


def simulate(
    *,
    scenario: Annotated[
        str,
        typer.Option(
            "--scenario",
            help="balanced, skew, flip, partition, region-loss, three-regions, ten-regions, "
            "or fuzz: one drawn by the seed.",
        ),
    ] = "balanced",
    seed: Annotated[int, typer.Option("--seed", help="What happens by chance: the same seed, the same run.")] = 1,
    users: Annotated[int | None, typer.Option("--users", min=1, help="How many users; 200 if left out.")] = None,
    requests_per_second: Annotated[
        float | None,
        typer.Option("--requests-per-second", min=0.001, help="Over all regions; follows the limit if left out."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", min=1, help="Units granted; 80,000 or one per user, if left out. 1.4 times are asked."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the limit rules over simulated regions, beside other ways of keeping a limit."""
    from cutlass.simulation import report, scenarios  # noqa: PLC0415

    chosen = scenarios.scenario(
        scenario, seed=seed, users=users, requests_per_second=requests_per_second, limit=limit
    )
    result = report.simulate(chosen, seed, Progress("requests", chosen.requests))
    if as_json:
        print_json(result)
    else:
        _show(result)
    if result["escrow"]["problems"]:
        raise typer.Exit(1)


def _show(result: dict[str, Any]) -> None:
    systems = {"escrow": result["escrow"], **result["baselines"]}
    columns = ["", *(name.replace("_", " ") for name in systems)]
    rows = [[figure.replace("_", " "), *(figures[figure] for figures in systems.values())] for figure in _FIGURES]
    print_table(f"{result['scenario']}, seed {result['seed']}", columns, rows)
    for line in result["escrow"]["problems"]:
        print_line(line)
