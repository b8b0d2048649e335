"""Engines for the tests of the store, one of each at a time in a test process."""

import os
from collections.abc import Iterator

import pytest

from tests.support import engines, permissions
from tests.support.engines import Engine
from tests.support.world import World

_LONG = ("-large limits", "-one organisation's limit", "test_a_bug_put_in_on_purpose_is_noticed")
_CROWDS = tuple(
    f"test_depots.py::test_{name}"
    for name in ("an_org", "what", "a_walk", "a_fence", "nothing_of", "claims", "small", "nobody", "a_pool")
)
_TURNS = ("-America/New_York-", "-Pacific/Kiritimati-", "-Europe/London-day")
_RATES = ("pays_one_write_unit_per_decision", "costs_far_less_than_a_write_unit_per_decision")
_FOLLOWING = ("test_alerts", "test_deliveries.py", "test_digests.py", "test_webhooks.py", "test_report")
_MOVING = (
    *("test_compensation", "test_rebalancing", "test_region_loss", "test_reservation_races"),
    *("test_statement_year", "test_stripes"),
)
_REPEATED = {
    "ministack": (*_LONG, *_CROWDS, *_TURNS, *_RATES, *_FOLLOWING, *_MOVING),
    "dynamodb-local": (
        *_LONG,
        *_CROWDS,
        *_TURNS,
        *_MOVING,
        "test_a_consumer_that_dies",
        "test_many_small_steps",
        "test_usage_of_both_regions",
        "test_report_faults.py",
        "test_cost.py",
        "test_depots.py",
        "test_housekeeping.py",
        "test_metering.py",
        "test_reconciliation.py",
        "test_the_item_that_is_wrong",
        "test_webhooks.py",
        "4-regions",
        "local-1]",
        "local-2]",
    ),
}
"""Parts of the names of tests that an engine leaves to dynoxide, the quickest, where they all run.

ministack leaves out what is long, and what it runs end to end anyway. DynamoDB Local is there for what it checks
more strictly than the others, requests and conditions; those of every rule are in test_rules_and_expressions.py
and test_rules_of_regions.py. `CUTLASS_EVERY_ENGINE=1` runs everything on every engine.
"""

_QUICKEST = "dynoxide" if engines.dynoxide_binary() else "ministack"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what another engine shows as well, in less time; `make test` runs one engine only."""
    if os.environ.get("CUTLASS_EVERY_ENGINE"):
        return
    left_out = []
    for item in items:
        engine = next((name for name in _REPEATED if f"[{name}" in item.nodeid), None)
        repeated = any(part in item.nodeid for part in _REPEATED.get(engine or "", ()))
        if repeated and engine != _QUICKEST:
            left_out.append(item)
        elif repeated or (engine or _QUICKEST) != _QUICKEST or any(part in item.nodeid for part in _LONG):
            item.add_marker(pytest.mark.long)
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True, scope="session")
def _credentials() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "111111111111")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "local")
        yield


@pytest.fixture(autouse=True, scope="session")
def _permissions() -> Iterator[None]:
    """No engine enforces the functions' roles: whatever runs here is held to them."""
    with pytest.MonkeyPatch.context() as patch:
        permissions.enforce(patch)
        yield


DYNOXIDE = pytest.param(
    "dynoxide", marks=pytest.mark.skipif(engines.dynoxide_binary() is None, reason=engines.DYNOXIDE_HINT)
)

DYNAMODB_LOCAL = pytest.param(
    "dynamodb-local",
    marks=pytest.mark.skipif(engines.dynamodb_local() is None, reason=engines.DYNAMODB_LOCAL_HINT),
)


@pytest.fixture(scope="session")
def kept() -> Iterator[dict[str, Engine]]:
    """Engines that go on from file to file, by name: those that take seconds to start."""
    running: dict[str, Engine] = {}
    yield running
    for engine in running.values():
        engine.stop()


@pytest.fixture(scope="module", params=["ministack", DYNOXIDE, DYNAMODB_LOCAL])
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, kept: dict[str, Engine]
) -> Iterator[Engine]:
    """A running engine with the tables of every region."""
    name: str = request.param
    if name in kept:
        yield kept[name]
        return
    running = engines.start(name, tmp_path_factory.mktemp(name))
    if name == "dynoxide":  # it starts at once, and slows down with all that was ever written to a stream
        yield running
        running.stop()
    else:
        kept[name] = running
        yield running


@pytest.fixture
def world(engine: Engine) -> World:
    """A Cutlass with an organisation of its own."""
    return World(engine)
