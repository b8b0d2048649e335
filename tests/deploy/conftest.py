"""One deployment for all tests of this folder: they build on each other, in the order of their files."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.harness import Checkout, emulator
from tests.support.terraform import missing


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator's address."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with emulator(tmp_path_factory.mktemp("emulator") / "state") as address:
        yield address


@pytest.fixture(scope="session")
def checkout(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The checkout all commands are typed in."""
    root: Path = tmp_path_factory.mktemp("checkout")
    return Checkout.make(root, endpoint)
