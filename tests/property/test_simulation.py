"""Fuzzed runs of the simulator: whatever fails, nothing is oversold and every unit is accounted for.

A failure prints its seed and the command that repeats it. `CUTLASS_FUZZ_RUNS=2000` makes the long search.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cutlass.domain import allotments, pools, refills, transfers
from cutlass.domain.allotments import Verdict
from cutlass.simulation.copies import Item
from cutlass.simulation.report import run_escrow, simulate
from cutlass.simulation.scenarios import fuzzed, scenario
from cutlass.simulation.store import Store

RUNS = int(os.environ.get("CUTLASS_FUZZ_RUNS", "300"))
PARTS = 10


@pytest.mark.parametrize("part", range(PARTS))
def test_nothing_is_oversold_and_nothing_is_lost(part: int) -> None:
    wrong = {}
    for seed in range(part, RUNS, PARTS):
        result = run_escrow(fuzzed(seed), seed)
        if result["oversold"] or result["ledger_gap"] or result["problems"]:
            wrong[seed] = result["problems"] or [result]
    told = [
        f"seed {seed}: {lines[0]}; repeat with: cutlass simulate --scenario fuzz --seed {seed}"
        for seed, lines in wrong.items()
    ]
    assert not wrong, "\n".join(told)


@pytest.mark.parametrize("name", ["balanced", "skew", "flip", "partition", "region-loss", "ten-regions"])
def test_escrow_is_exact_where_a_shared_counter_is_not(name: str) -> None:
    result = simulate(scenario(name, users=50, limit=2500), 7)
    shared = result["baselines"]["shared_counter"]
    assert result["escrow"]["problems"] == []
    assert result["escrow"]["oversold"] == result["escrow"]["ledger_gap"] == 0
    assert shared["oversold"] > 0, f"{name}: the shared counter kept the limit, so this scenario tests nothing"
    assert shared["ledger_gap"] > 0, f"{name}: the shared counter lost no update"
    assert result["baselines"]["home_region"]["oversold"] == 0
    assert result["baselines"]["static_split"]["oversold"] == 0


# --- rules broken on purpose --------------------------------------------------------------------------

Rule = Callable[..., Any]
Mutant = tuple[Any, str, Callable[[Rule], Rule]]


def _delta(_: Rule) -> Rule:
    """The number that arrives is taken for what was sent since."""
    return lambda pool, origin, cumulative: replace(
        pool,
        available=pool.available + cumulative,
        accepted={**pool.accepted, origin: pool.accepted.get(origin, 0) + cumulative},
    )


def _delta_of_rights(_: Rule) -> Rule:
    return lambda met, origin, cumulative: replace(
        met,
        unbacked=met.unbacked + cumulative,
        accepted={**met.accepted, origin: met.accepted.get(origin, 0) + cumulative},
    )


def _unrecorded(right: Rule) -> Rule:
    """What was accepted is not remembered, so the same number is accepted twice."""
    return lambda pool, origin, cumulative: replace(right(pool, origin, cumulative), accepted=pool.accepted)


def _pool_anew(_: Rule) -> Rule:
    """A pool is put whether there is one or not."""

    def bear(store: Store, grant: Any, number: int, now: float) -> Any:
        store.pools[grant.grant_id] = Item(-1 - number, store.number, pools.mint(grant, store.name), now)
        return store.pools[grant.grant_id].value

    return bear


def _allotment_anew(_: Rule) -> Rule:
    """An allotment is put whether there is one or not."""

    def bear(store: Store, user: int, allotment: Any, now: float) -> bool:
        store.allotments[user] = Item(user, store.number, allotment, now)
        return True

    return bear


def _asked(change: Callable[..., tuple[Any, ...]]) -> Callable[[Rule], Rule]:
    """A rule that is asked something else."""
    return lambda right: lambda *args, **options: right(*change(*args), **options)


def _told(change: Callable[..., Any]) -> Callable[[Rule], Rule]:
    """A rule whose answer is spoilt: `change` takes the right answer and what was asked."""
    return lambda right: lambda *args, **options: change(right(*args, **options), *args)


MUTANTS: dict[str, Mutant] = {
    "accept takes a difference": (transfers, "accept", _delta),
    "accept_rights takes a difference": (transfers, "accept_rights", _delta_of_rights),
    "accept forgets what it accepted": (transfers, "accept", _unrecorded),
    "accept_rights forgets what it accepted": (transfers, "accept_rights", _unrecorded),
    "a pool is born twice": (Store, "bear_pool", _pool_anew),
    "an allotment is born twice": (Store, "bear_allotment", _allotment_anew),
    "mint gives every region the whole grant": (
        pools,
        "mint",
        _told(lambda pool, grant, *_: replace(pool, minted=grant.amount, available=grant.amount)),
    ),
    "the ring is forgotten": (allotments, "judge", _asked(lambda a, s: (replace(a, ring=frozenset()), s))),
    "the watermark is forgotten": (
        allotments,
        "judge",
        _told(lambda verdict, *_: Verdict.TAKEN if verdict is Verdict.LATE else verdict),
    ),
    "marks are dropped without a watermark": (
        allotments,
        "trim",
        _told(lambda chosen, _ring, mark, _now: chosen and replace(chosen, mark_ms=mark)),
    ),
    "send keeps what it sends": (
        transfers,
        "send",
        _told(lambda sent, pool, *_: replace(sent, available=pool.available)),
    ),
    "a sweep forgets what comes back": (
        allotments,
        "release",
        _told(lambda freed, *_: replace(freed, returns={})),
    ),
    "a refill is not guarded": (
        refills,
        "refill",
        _told(lambda filled, met, *_: replace(filled, refills=met.refills)),
    ),
    "expiry is forgotten": (allotments, "judge", _asked(lambda a, s: (replace(a, until_ms=10**15), s))),
    "expired units are kept": (allotments, "settle", _asked(lambda a, _now, **__: (a, 0))),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    owner, rule, spoil = MUTANTS[name]
    monkeypatch.setattr(owner, rule, spoil(getattr(owner, rule)))
    assert any(_noticed(seed) for seed in range(150)), f"in no run it mattered that {name}"


def test_differences_instead_of_cumulative_counters_oversell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "accept", _delta(transfers.accept))
    oversold = any(run_escrow(fuzzed(seed), seed)["oversold"] for seed in range(40))
    assert oversold, "differences that come twice were never sold twice"


def _noticed(seed: int) -> bool:
    result = run_escrow(fuzzed(seed), seed)
    return bool(result["oversold"] or result["ledger_gap"] or result["problems"])
