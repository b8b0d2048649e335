"""The benchmarks still run, and add up what they measure rightly. How fast anything is, no test says."""

import math
import subprocess
import sys

import pytest

from benchmarks.load import Round, percentile, run, summarise, together
from benchmarks.report import ratios
from tests.unit.project.repository import ROOT


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (1, 1), (50, 50), (99, 99), (100, 100)])
def test_a_percentile_is_the_value_at_the_nearest_rank(percent: float, value: float) -> None:
    assert percentile([float(n) for n in range(1, 101)], percent) == value


def test_there_is_no_percentile_of_nothing() -> None:
    assert math.isnan(percentile([], 50))


def test_rounds_are_taken_together() -> None:
    rounds = [
        Round(clients=2, latencies=[0.003, 0.001], failures=[], elapsed=1.0, cpu=0.004),
        Round(clients=2, latencies=[0.002, 0.004], failures=["ValueError: no"], elapsed=1.0, cpu=0.004),
    ]
    sample = summarise("a call", "an engine", rounds)
    assert (sample.calls, sample.p50_ms, sample.p99_ms) == (4, 2.0, 4.0)
    assert (sample.per_second, sample.cpu_us) == (2.0, 2000.0)
    assert (sample.failures, sample.failure) == (1, "ValueError: no")


def test_ratios_are_to_the_first_subject_of_the_same_engine_and_clients() -> None:
    def sample(subject: str, engine: str, latency: float) -> object:
        one = Round(clients=1, latencies=[latency] * 10, failures=[], elapsed=10 * latency, cpu=0.0)
        return summarise(subject, engine, [one])

    samples = [sample("ours", "a", 0.002), sample("ours", "b", 0.001), sample("peer", "b", 0.004)]
    assert ratios(samples[2], samples) == {"p50_ratio": 4.0, "throughput_ratio": 0.25}  # type: ignore[arg-type]


def test_a_failed_call_is_counted_and_ends_nothing() -> None:
    answers = iter([None, None])

    def call() -> None:
        next(answers)

    measured = run([call], 0.01)
    assert measured.failures, "calls that raised are told"
    assert not measured.latencies, "and are not taken for answers"


def test_so_many_calls_are_made_by_each_client_and_refusals_are_counted() -> None:
    turns = iter([True, False, True, True, False, True])
    measured = run([lambda: next(turns)] * 2, 60, times=3)
    assert (len(measured.latencies), measured.refused, measured.failures) == (6, 2, [])


def test_clients_begin_when_all_are_ready() -> None:
    seen: list[str] = []
    run([lambda: seen.append("call")] * 2, 60, times=1, ready=lambda: seen.append("ready"))  # type: ignore[func-returns-value]
    assert seen == ["ready", "call", "call"]


def test_rounds_made_side_by_side_take_as_long_as_the_longest() -> None:
    one = Round(clients=2, latencies=[0.1], failures=[], elapsed=1.0, cpu=0.5, refused=1)
    two = Round(clients=3, latencies=[0.2], failures=["no"], elapsed=2.0, cpu=0.5)
    assert together([one, two]) == Round(5, [0.1, 0.2], ["no"], elapsed=2.0, cpu=1.0, refused=1)


@pytest.mark.parametrize("name", ["decision", "client_cpu", "cold_start", "peers", "alerts"])
def test_a_benchmark_starts(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"python -m benchmarks.{name}" in done.stdout
