"""Tests of infra/ need Terraform and a mirror of its provider; without them they are skipped."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.infra.plans import planner
from tests.support.terraform import missing


@pytest.fixture(scope="session")
def terraform() -> None:
    """Skip where Terraform cannot run."""
    reason = missing()
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _tidy() -> Iterator[None]:
    yield
    if planner.cache_info().currsize:
        shutil.rmtree(Path(planner().terraform.folder))
