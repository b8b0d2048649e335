"""Runs: the figures follow from the seed, the books are right, the stores are as strict as DynamoDB."""

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from cutlass.cli.main import main
from cutlass.domain.allotments import Chunk, consume, settle
from cutlass.domain.pools import NEVER_MS, Pool
from cutlass.domain.refills import Draw, refill
from cutlass.simulation import charts, report
from cutlass.simulation.escrow import Escrow
from cutlass.simulation.network import Network
from cutlass.simulation.outcome import Books, Latencies
from cutlass.simulation.report import run_escrow, simulate
from cutlass.simulation.scenarios import SCENARIOS, Credit, Scenario, fuzzed, scenario
from cutlass.simulation.setting import START_MS, Setting
from cutlass.simulation.store import Store, merged
from tests.unit.domain.samples import allotment, spend

FIGURES = {
    "requests",
    "allowed",
    "oversold",
    "false_refusals_percent",
    "p50_ms",
    "p99_ms",
    "write_units_per_request",
    "rebalancing_messages",
    "ledger_gap",
}
SMALL = scenario("balanced", users=20, limit=500)


def test_the_same_seed_gives_the_same_figures() -> None:
    found = scenario("region-loss", users=30, limit=800)
    assert simulate(found, 3) == simulate(found, 3)
    assert run_escrow(fuzzed(11), 11) == run_escrow(fuzzed(11), 11)
    assert simulate(found, 3)["escrow"] != simulate(found, 4)["escrow"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_result_has_every_figure_of_every_system(name: str) -> None:
    result = simulate(scenario(name, users=20, limit=300), 2)
    assert result["scenario"] == name
    assert result["seed"] == 2
    assert set(result["baselines"]) == {"shared_counter", "per_region_counters", "home_region", "static_split"}
    for figures in (result["escrow"], *result["baselines"].values()):
        assert set(figures) >= FIGURES
        assert figures["requests"] == 420
    assert result["escrow"]["problems"] == []
    json.dumps(result)


def test_what_each_system_is_bad_at_shows() -> None:
    result = simulate(scenario("skew", users=50, limit=2000), 1)
    peers = result["baselines"]
    assert peers["shared_counter"]["oversold"] > 100
    assert peers["home_region"]["p50_ms"] > 250 > 100 > result["escrow"]["p50_ms"]
    assert peers["static_split"]["false_refusals_percent"] > 20
    assert result["escrow"]["false_refusals_percent"] < 5


def test_nothing_is_answered_by_a_region_that_is_gone() -> None:
    run = Escrow(scenario("region-loss", users=30, limit=800), 1)
    run.run()
    assert run.unanswered == 0, "the other region takes the callers over"
    assert run.books.latencies.percentile(99.99) > 1000, "callers notice the loss by waiting"


def test_books_compare_with_a_limiter_that_knows_everything() -> None:
    books = Books(Setting(replace(SMALL, limit=3, user_limit=2)))
    due = [books.ask(user, 1) for user in (0, 0, 0, 1, 2)]
    assert due == [True, True, False, True, False], "the user's limit, then the grant"
    books.allow(0, 3)
    assert books.oversold() == 1, "the user's limit counts too"
    books.refuse(due=True)
    books.refuse(due=False)
    assert books.summary(0)["false_refusals_percent"] == pytest.approx(20)


def test_percentiles() -> None:
    latencies = Latencies()
    for millis in range(1, 101):
        latencies.add(float(millis))
    assert latencies.percentile(50) == 50
    assert latencies.percentile(99) == 99


# --- the stores ---------------------------------------------------------------------------------------


def test_a_change_goes_on_beside_decisions_but_not_beside_another_change() -> None:
    met = allotment(("p", 20, NEVER_MS), unbacked=30)
    filled = refill(met, [Draw(plan_pool(), 5)], START_MS)
    spent = consume(met, spend(3))
    beside = merged(met, filled, spent)
    assert beside is not None
    assert (beside.available, beside.used) == (22, 3)
    assert merged(met, filled, replace(spent, refills=met.refills + 1)) is None
    assert merged(met, filled, replace(met, unbacked=4)) is None, "rights went elsewhere meanwhile"


def test_units_leave_only_if_none_were_spent_meanwhile() -> None:
    met = replace(allotment(("p", 20, NEVER_MS)), held=(Chunk("p", 20, START_MS),), until_ms=START_MS)
    settled = settle(met, START_MS).allotment
    assert merged(met, settled, consume(met, spend(1))) is None
    assert merged(met, settled, replace(met, refused=1)) is not None


def plan_pool() -> Pool:
    setting = Setting(SMALL)
    return Store(0, "london", Network(SMALL, 1)).bear_pool(next(iter(setting.grants.values())), 0, 0.0)


def test_a_refill_takes_from_all_pools_or_from_none() -> None:
    setting, store = Setting(SMALL), Store(0, "london", Network(SMALL, 1))
    grant = next(iter(setting.grants.values()))
    pool, born = store.bear_pool(grant, 0, 0.0), setting.newborn(0, "london")
    draws = [Draw(pool, pool.available + 1)]
    assert not store.draw(0, None, refill(born, draws, START_MS), draws, 0.0)
    assert store.allotment(0) is None
    draws = [Draw(pool, 4)]
    assert store.draw(0, None, refill(born, draws, START_MS), draws, 0.0)
    assert not store.draw(0, None, refill(born, draws, START_MS), draws, 0.0), "born twice"
    left = store.pools[grant.grant_id].value
    assert (left.available, left.allotted, left.members) == (pool.available - 4, 4, 1)


def test_credits_end_and_are_their_users_own() -> None:
    setting = Setting(replace(SMALL, credits=(Credit(10, 5000.0), Credit(7, None, user=3))))
    assert len(setting.live(3, START_MS)) == 3
    assert len(setting.live(2, START_MS)) == 2
    assert len(setting.live(2, START_MS + 5000)) == 1
    assert setting.ceiling(3) == SMALL.user_limit + 7


# --- the command and the charts -----------------------------------------------------------------------

COMMAND = ["simulate", "--scenario", "skew", "--seed", "5", "--users", "20", "--limit", "200"]


def test_the_command_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*COMMAND, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["scenario"], printed["seed"]) == ("skew", 5)
    assert printed["setting"]["users"] == 20
    assert printed["assumptions"]["round_trip_ms_from_home"]["sydney"] == pytest.approx(270, abs=5)


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(COMMAND) == 0
    printed = capsys.readouterr().out
    for word in ("skew, seed 5", "escrow", "static", "oversold", "p99 ms"):
        assert word in printed, f"the table does not show {word!r}"


def test_the_command_fails_when_an_invariant_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "problems", lambda _run: ["a unit is missing"])
    assert main(COMMAND) == 1
    assert "a unit is missing" in capsys.readouterr().out


def test_an_unknown_scenario_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--scenario", "no-such"]) == 1
    assert "balanced" in capsys.readouterr().err


def test_charts_show_every_scenario_and_system() -> None:
    results = [simulate(scenario(name, users=10, limit=100), 1) for name in ("skew", "partition")]
    for chart in charts.CHARTS:
        svg = charts.draw(chart, results)
        assert ET.fromstring(svg).tag.endswith("svg")
        assert "partition" in svg
    rows = list(charts.tables(results))
    assert len(rows) == 2 + 2 * len(charts.SYSTEMS)


def test_a_fuzzed_scenario_is_repeated_by_its_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--scenario", "fuzz", "--seed", "17", "--json"]) == 0
    escrow = json.loads(capsys.readouterr().out)["escrow"]
    assert escrow == run_escrow(fuzzed(17), 17)
    assert isinstance(fuzzed(17), Scenario)
