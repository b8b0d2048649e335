"""One platform for all end-to-end tests, started when the first of them needs it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.running import Platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A running platform; see `tests.e2e.running.Platform`."""
    running = Platform(tmp_path_factory.mktemp("home"))
    try:
        running.up()
        yield running
    finally:
        running.client.close()
        running.down()


@pytest.fixture
def own_platform(tmp_path: Path) -> Iterator[Platform]:
    """A platform for one test that stops it or kills parts of it; it is not started yet."""
    running = Platform(tmp_path / "home")
    try:
        yield running
    finally:
        running.client.close()
        running.down()


@pytest.fixture
def free_base() -> int:
    """The first of ten ports that are free."""
    for base in range(20_000, 30_000, 10):
        with ExitStack() as held:
            try:
                for port in range(base, base + 10):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return base
    raise AssertionError("no ten free ports in a row")
