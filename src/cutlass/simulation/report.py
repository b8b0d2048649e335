"""One scenario, run by Cutlass and by its peers, as one JSON object."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cutlass.simulation.audit import ledger_gap, problems
from cutlass.simulation.baselines import BASELINES
from cutlass.simulation.calls import TIMEOUT_MS
from cutlass.simulation.escrow import HEALTH_MS, RETRY_MS, Escrow
from cutlass.simulation.geography import round_trip_ms
from cutlass.simulation.scenarios import Scenario
from cutlass.simulation.world import READ_FACTOR, SPREAD, TRANSACTION_FACTOR, WRITE_MS

Progress = Callable[[str, int], None]
"""Told who is running and how many requests were made."""


def simulate(scenario: Scenario, seed: int, progress: Progress | None = None) -> dict[str, Any]:
    """Run a scenario by the production rules and by every baseline; the same seed gives the same figures."""
    tell = progress or (lambda _name, _requests: None)
    with _without_collector():
        escrow = run_escrow(scenario, seed, lambda made: tell("escrow", made))
        baselines = {}
        for kind in BASELINES:
            baseline = kind(scenario, seed)
            baseline.run(lambda made, name=kind.name: tell(name, made))  # type: ignore[misc]
            baselines[kind.name] = baseline.books.summary(abs(baseline.books.units - baseline.counted()))
    return {
        "scenario": scenario.name,
        "seed": seed,
        "escrow": escrow,
        "baselines": baselines,
        "setting": setting_of(scenario),
        "assumptions": assumptions(scenario),
    }


def run_escrow(scenario: Scenario, seed: int, progress: Callable[[int], None] | None = None) -> dict[str, Any]:
    """Run a scenario by the production rules, audited at the end and at the scenario's moments."""
    found: list[str] = []
    run = Escrow(scenario, seed)
    run.run(audit=lambda moment: found.extend(problems(moment)), progress=progress)
    far, last_tenth = run.phases()
    return {
        **run.books.summary(ledger_gap(run)),
        "write_units_per_decision_far": None if far is None else round(far, 3),
        "write_units_per_decision_last_tenth": None if last_tenth is None else round(last_tenth, 3),
        "unanswered": run.unanswered,
        "charged_in_two_regions": run.journal.elsewhere,
        "problems": list(dict.fromkeys(found)),
    }


def setting_of(scenario: Scenario) -> dict[str, Any]:
    """What the scenario is made of, for the reader of the figures."""
    return {
        "regions": list(scenario.regions),
        "home_percent": scenario.home_percent,
        "load": [{"from_s": since / 1000, "shares": list(shares)} for since, shares in scenario.weights],
        "users": scenario.users,
        "limit": scenario.limit,
        "user_limit": scenario.user_limit,
        "requests_per_second": scenario.requests_per_second,
        "partitions": [
            {"between": [cut.one, cut.other], "from_s": cut.start_ms / 1000, "to_s": cut.end_ms / 1000}
            for cut in scenario.cuts
        ],
        "outages": [
            {"region": out.region, "from_s": out.start_ms / 1000, "to_s": out.end_ms / 1000}
            for out in scenario.outages
        ],
        "lost": scenario.lost,
        "duplicated": scenario.duplicated,
    }


def assumptions(scenario: Scenario) -> dict[str, Any]:
    """What the times and costs rest on (`docs/simulation.md`)."""
    home = scenario.regions[0]
    return {
        "write_ms": {"median": WRITE_MS, "log_normal_sigma": SPREAD},
        "read_per_write": READ_FACTOR,
        "transaction_per_write": TRANSACTION_FACTOR,
        "round_trip_ms_from_home": {name: round(round_trip_ms(home, name), 1) for name in scenario.regions[1:]},
        "replication_lag_ms": list(scenario.lag_ms),
        "store_timeout_ms": TIMEOUT_MS,
        "caller_retry_ms": RETRY_MS,
        "failover_after_ms": HEALTH_MS,
        "write_units": "in the region that writes; replicas of a global table cost as much again, each",
    }


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the garbage collector from walking over millions of items that all stay."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
