"""The handlers, called as the gateway calls them, over a store made of dictionaries."""

import importlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.functions.fakes import MODULES, SERVICE, Answer, FakeStore, event, seeded


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    fake = seeded()
    monkeypatch.setenv("CUTLASS_REGION", "london")
    for name in MODULES:
        monkeypatch.setattr(importlib.import_module(f"cutlass.functions.{name}"), "open_store", lambda: fake)
    return fake


@pytest.fixture
def call(store: FakeStore) -> Callable[..., Answer]:
    """Call a function by the name of its module, as a service with every scope unless `caller` is given."""

    def send(module: str, *request: Any, caller: dict[str, str] | None = SERVICE, **more: Any) -> Answer:
        handler = importlib.import_module(f"cutlass.functions.{module}").handler
        answer = handler(event(*request, caller=caller, **more), None)
        assert answer["headers"]["X-Request-Id"] == "r-1"
        return Answer(answer["statusCode"], answer["headers"], json.loads(answer["body"]))

    return send
