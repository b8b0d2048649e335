"""The scheduled reconciliation: what it tells of, and that nothing stops it."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cutlass.domain.errors import UnavailableError
from cutlass.domain.reconciliation import in_turn
from cutlass.functions import reconcile
from cutlass.storage.reconciled import Problem, Reconciled

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Surroundings:
    """A store that reconciles as it is told, and a clock of the function's own time."""

    region = "london"

    def __init__(self) -> None:
        self.results: dict[str, Reconciled | Exception] = {}
        self.asked: list[str] = []
        self.left_ms = 300_000
        self.directory = SimpleNamespace(every=self.every)
        self.reconciliation = SimpleNamespace(organisation=self.organisation)

    def clock(self) -> datetime:
        return NOW

    def every(self, *, home: str) -> list[Any]:
        assert home == self.region
        return [SimpleNamespace(org_id=org_id) for org_id in self.results]

    def organisation(self, org_id: str) -> Reconciled:
        self.asked.append(org_id)
        self.left_ms -= 100_000
        result = self.results[org_id]
        if isinstance(result, Exception):
            raise result
        return result

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms


@pytest.fixture
def around(monkeypatch: pytest.MonkeyPatch) -> Surroundings:
    made = Surroundings()
    monkeypatch.setattr(reconcile.metrics.provider, "namespace", "Cutlass")
    monkeypatch.setattr(reconcile, "open_store", lambda: made)
    return made


def test_a_broken_invariant_is_logged_with_the_items_key(
    around: Surroundings, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    key = "london#acme#ann#allotments", "requests#20261101T0000"
    problem = Problem("acme", "requests", "london", *key, "allotment", "allotment: 5 came in, 6 are accounted for")
    around.results = {"acme": Reconciled("acme", problems=[problem], not_compared=["sydney, reports: busy"])}
    counts = reconcile.handler({}, around)
    assert counts == {"organisations": 1, "problems": 1, "not_compared": 1, "failures": 0}
    error = vars(next(record for record in caplog.records if record.levelname == "ERROR"))
    assert (error["pk"], error["sk"], error["invariant"]) == (*key, "allotment")
    metrics = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (metrics["InvariantsBroken"], metrics["OrganisationsReconciled"]) == ([1.0], [1.0])
    assert metrics["ReconciliationsNotCompared"] == [1.0]


@pytest.mark.parametrize("failure", [UnavailableError("no answer"), KeyError("an item that is not whole")])
def test_an_organisation_that_cannot_be_reconciled_does_not_stop_the_others(
    around: Surroundings, failure: Exception
) -> None:
    around.results = {"a": failure, "b": Reconciled("b")}
    assert reconcile.handler({}, around) == {"organisations": 1, "problems": 0, "not_compared": 0, "failures": 1}


def test_it_ends_in_time_and_the_next_run_begins_elsewhere(around: Surroundings) -> None:
    around.results = {f"o{n}": Reconciled(f"o{n}") for n in range(10)}
    assert reconcile.handler({}, around)["organisations"] == 3
    assert around.asked == in_turn(around.results, NOW)[:3]


def test_every_organisation_gets_its_turn_soon() -> None:
    ids = [f"o{n:03}" for n in range(100)]
    done: set[str] = set()
    for hour in range(25):
        done.update(in_turn(ids, NOW + timedelta(hours=hour))[:10])
    assert done == set(ids)
    assert sorted(in_turn(ids, NOW)) == ids
    assert in_turn([], NOW) == []
