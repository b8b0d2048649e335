"""One deployment for all tests: every layer of dev applied to an emulator, planned again, destroyed in reverse."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.harness import Deployment, emulator
from tests.support.terraform import missing

ACCOUNT = "111111111111"


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator's address."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    with emulator(tmp_path_factory.mktemp("emulator") / "state") as address:
        yield address


@pytest.fixture(scope="session")
def deployment(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """The layers of dev, ready to be applied; the tests of test_layers.py apply them, in their order."""
    folder: Path = tmp_path_factory.mktemp("infra")
    return Deployment.on(endpoint, folder, environment="dev", account=ACCOUNT)
