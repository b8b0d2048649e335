"""Engines for the tests of the store, one of each per test process."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support import engines, permissions
from tests.support.engines import Engine
from tests.support.world import World

if TYPE_CHECKING:
    from pathlib import Path


_LONG = ("-large limits", "-one organisation's limit", "test_a_bug_put_in_on_purpose_is_noticed")
_CROWDS = ("test_depots.py::test_an_org", "test_depots.py::test_what", "test_depots.py::test_a_walk")
_LEFT_OUT = {
    "ministack": (*_LONG, "sold_to_the_last_unit_and_no_further[ministack-regions0")
    if engines.dynoxide_binary()
    else (),
    "dynamodb-local": (
        *_LONG,
        "test_cost.py",
        "test_the_item_that_is_wrong",
        "4-regions",
        "local-1]",
        "local-2]",
        *_CROWDS,
    ),
}
"""Parts of the names of tests that an engine leaves out: on the quickest engine they all run.

ministack leaves out long runs, DynamoDB Local also counted costs and repetitions: it is there for what it checks
more strictly than the others, requests and conditions.
"""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what another engine shows as well, in less time."""
    left_out = [
        item
        for item in items
        for engine, parts in _LEFT_OUT.items()
        if f"[{engine}" in item.nodeid and any(part in item.nodeid for part in parts)
    ]
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


@pytest.fixture(scope="session", params=["ministack", DYNOXIDE, DYNAMODB_LOCAL])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A running engine with the tables of every region."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    running = engines.start(request.param, folder)
    yield running
    running.stop()


@pytest.fixture
def world(engine: Engine) -> World:
    """A Cutlass with an organisation of its own."""
    return World(engine)
