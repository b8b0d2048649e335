"""Copies are behind by the network's lag, and what is older never replaces what is newer."""

from dataclasses import replace

import pytest

from cutlass.simulation.copies import Item
from cutlass.simulation.network import SLOT_MS, Network
from cutlass.simulation.scenarios import Cut, Outage, Scenario

PLAIN = Scenario("test", ("london", "sydney"), ((0.0, (0.5, 0.5)),), lag_ms=(500.0, 2000.0))
LONDON, SYDNEY = 0, 1


def written(network: Network, *moments: float) -> Item[float]:
    """An item of London whose state is the moment of its last write."""
    item = Item(1, LONDON, moments[0], moments[0])
    for moment in moments[1:]:
        item.write(moment, moment, network)
    return item


def test_a_copy_arrives_within_the_lag_and_not_before() -> None:
    network = Network(PLAIN, 1)
    item = written(network, 0.0)
    assert item.copy(SYDNEY, 499.0, network) is None
    assert item.copy(SYDNEY, 2000.0 + SLOT_MS, network) == 0.0
    assert item.value == 0.0


def test_a_copy_never_goes_back() -> None:
    network = Network(replace(PLAIN, lag_ms=(0.0, 5000.0)), 3)
    item, seen = written(network, 0.0), []
    for moment in range(100, 20_000, 100):
        item.write(float(moment), float(moment), network)
        seen.append(item.copy(SYDNEY, float(moment), network) or 0.0)
    assert seen == sorted(seen), "an older state replaced a newer one"
    assert len(set(seen)) < len(seen), "nothing ever arrived late"


def test_some_changes_overtake_others() -> None:
    network = Network(replace(PLAIN, lag_ms=(0.0, 5000.0)), 3)
    arrivals = [network.arrival(1, slot, LONDON, SYDNEY) for slot in range(50)]
    assert arrivals != sorted(arrivals)


@pytest.mark.parametrize(
    "broken",
    [
        replace(PLAIN, cuts=(Cut("sydney", "london", 1000.0, 9000.0),)),
        replace(PLAIN, outages=(Outage("london", 1000.0, 9000.0),)),
    ],
    ids=["partition", "outage"],
)
def test_what_was_not_copied_before_an_interruption_comes_after_it(broken: Scenario) -> None:
    network = Network(broken, 1)
    item = written(network, 0.0, *range(900, 8000, 50))
    assert (item.copy(SYDNEY, 8999.0, network) or 0.0) < 900.0
    assert item.copy(SYDNEY, 9000.0 + 2000.0, network) == 7950.0


def test_states_that_nobody_can_see_any_more_are_forgotten() -> None:
    network = Network(PLAIN, 1)
    item = written(network, *(float(moment) for moment in range(0, 600_000, 100)))
    depth, node = 0, item._head
    while isinstance(node, tuple):
        depth, node = depth + 1, node[2]
    assert depth < 100
