"""The benchmark against peers measures what it says, on a real engine and with tiny loads."""

import pytest

from benchmarks.peers import measure
from benchmarks.peers.catalogue import PEERS
from cutlass.platform.local import base_environment
from tests.support import engines

pytestmark = pytest.mark.skipif(engines.dynoxide_binary() is None, reason=engines.DYNOXIDE_HINT)

BY_KEY = {peer.key: peer for peer in PEERS}
CAP = 64


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in base_environment().items():
        monkeypatch.setenv(name, value)


def test_requests_and_units_are_those_of_the_peer() -> None:
    counts, decisions = measure.count(BY_KEY["transactions"])
    assert counts.requests == {"TransactWriteItems": decisions}
    assert counts.write_units == 6 * decisions, "three items, each two units in a transaction"


def test_clients_of_a_speed_run_are_answered() -> None:
    measured, _ = measure.speed(BY_KEY["shared-counter"], clients=2, seconds=0.2)
    assert measured.latencies
    assert not measured.failures
    assert not measured.refused


def test_a_shared_item_oversells_in_two_regions_and_cutlass_does_not() -> None:
    shared = measure.capped_in_two_regions(BY_KEY["shared-counter"], CAP)
    assert shared.allowed > CAP, "regions that both write one item must not look exact here"
    cutlass = measure.capped_in_two_regions(BY_KEY["cutlass"], CAP)
    assert not cutlass.failures, cutlass.failure
    assert 0 < cutlass.allowed <= CAP
