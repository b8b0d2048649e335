"""An engine with an organisation that has enough of everything, and the consumer beside it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import consumer
from benchmarks.peers.protocol import ORG, USERS
from cutlass.contracts import load_topology
from cutlass.domain.organisations import Organisation
from cutlass.platform.local import base_environment, function_environment
from cutlass.storage import Store, open_store
from tests.support import engines

REGION = "london"


@dataclass(frozen=True, slots=True)
class Stage:
    """A running engine, known by `engine`, at `endpoint`, with `ORG` and `USERS` in it."""

    engine: str
    endpoint: str
    aws_region: str
    store: Store
    organisation: Organisation


@contextmanager
def running_engine(name: str) -> Iterator[engines.Engine]:
    """Run an engine with every table of every region, and end it afterwards."""
    with tempfile.TemporaryDirectory(prefix="cutlass-benchmark-") as folder:
        engine = engines.start(name, Path(folder))
        try:
            yield engine
        finally:
            engine.stop()


@contextmanager
def staged(name: str) -> Iterator[Stage]:
    """Run an engine, its consumer, and found the organisation."""
    with running_engine(name) as engine:
        endpoint = engine.endpoints[REGION]
        aws_region = load_topology().regions[REGION].aws_region
        settings = function_environment(
            region=REGION, aws_region=aws_region, endpoint=endpoint, peers=engine.endpoints
        )
        os.environ.update(base_environment() | settings)
        open_store.cache_clear()
        store = open_store()
        organisation, _ = store.organisations.put(ORG, plan="enterprise", home_region=REGION)
        for user in USERS:
            store.organisations.put_user(ORG, user, limits={})
        try:
            with consumer.beside(endpoint, {}):
                yield Stage(name, endpoint, aws_region, store, organisation)
        finally:
            open_store.cache_clear()
