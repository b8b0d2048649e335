"""Faults between any two steps: calls to DynamoDB that fail before or after they did their work, and crashes.

A crash ends the whole operation where it is, as when a container is taken away: nothing of ours may catch it.
"""

import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from cutlass.domain.errors import UnavailableError
from cutlass.storage import Store
from cutlass.storage.codec import Wire
from cutlass.storage.dynamo import Dynamo

_FATES = ("lost on the way there", "lost on the way back", "crash before", "crash after")


class CrashError(BaseException):
    """The process that made the call is no more; what it did to the store stays."""


@contextmanager
def crash_at(client: Dynamo, call: int, when: str) -> Iterator[None]:
    """End what runs inside at one of its calls, by number from 1, `before` or after that is done.

    What never comes to that call must have come to its end with fewer.
    """
    calls = 0

    def dying(operation: str, request: Wire) -> Wire:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            raise CrashError
        answer = Dynamo.call(client, operation, request)
        if calls == call:
            raise CrashError
        return answer

    client.call = dying  # type: ignore[method-assign]
    try:
        yield
    except CrashError:
        return
    finally:
        del client.call  # type: ignore[method-assign]
    assert calls < call, "no call was the one to crash at"


class Faults:
    """Injects faults into every call of some stores, at home and across regions, by chance from a seed.

    Attributes
    ----------
    injected : Counter
        How often each fate came: a test that had none has shown nothing.
    """

    def __init__(self, seed: int, share: float) -> None:
        self._rng = random.Random(seed)
        self._lock = threading.Lock()
        self._share = share
        self.injected: Counter[str] = Counter()

    @contextmanager
    def inside(self, stores: Iterable[Store]) -> Iterator[None]:
        """Make the calls of these stores fail by chance inside the block."""
        clients = [store.directory.at_home(name) for store in stores for name in store.topology.regions]
        for client in clients:
            self._make_unreliable(client)
        try:
            yield
        finally:
            for client in clients:
                del client.call  # type: ignore[method-assign]

    def _make_unreliable(self, client: Dynamo) -> None:
        def call(operation: str, request: Wire) -> Wire:
            fate = self._fate()
            if fate == "lost on the way there":
                raise UnavailableError(fate)
            if fate == "crash before":
                raise CrashError
            answer = Dynamo.call(client, operation, request)
            if fate == "lost on the way back":
                raise UnavailableError(fate)
            if fate == "crash after":
                raise CrashError
            return answer

        client.call = call  # type: ignore[method-assign]

    def _fate(self) -> str | None:
        with self._lock:
            if self._rng.random() >= self._share:
                return None
            fate = self._rng.choice(_FATES)
            self.injected[fate] += 1
            return fate
