"""One emulator for the tests of the platform's parts; each test has tables of its own."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.platform.emulators import Emulator, make_emulator, make_table

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    made = make_emulator(tmp_path_factory.mktemp("platform"))
    yield made
    made.close()


@pytest.fixture
def own_emulator(tmp_path: Path) -> Iterator[Emulator]:
    """An emulator of the test's own, which it may stop and start."""
    made = make_emulator(tmp_path / "home")
    yield made
    made.close()


@pytest.fixture
def table(emulator: Emulator) -> str:
    """A table in both regions."""
    name = f"table-{next(_numbers)}"
    for wire in emulator.wires().values():
        make_table(wire, name)
    return name


@pytest.fixture
def unique() -> Callable[[], int]:
    return lambda: next(_numbers)
