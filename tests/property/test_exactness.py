"""No history of an organisation oversells, charges twice, or loses a unit."""

from collections.abc import Callable

import pytest
from hypothesis import settings

from tests.property.machine import Histories
from tests.property.scenarios import SCENARIOS, Story, play

TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=120, stateful_step_count=50)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_a_scenario(scenario: Callable[[Histories], Story]) -> None:
    play(scenario)
