"""What a source tells by name, asked when needed and kept.

An unknown name may be new, or nonsense: the source is asked again for it, but only so often, whatever the number
of callers. What cannot be had anew stays in use.
"""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from cutlass.domain.errors import UnavailableError

Value = TypeVar("Value")

RETRY_SECONDS = 1.0
"""The shortest time between two questions while there is no answer yet."""


class Remembered(Generic[Value]):
    """The values of a source, by name; threads may share it.

    Parameters
    ----------
    what : str
        What the source is, for the message when it cannot be had.
    load : callable
        Asks the source for all values; raises `UnavailableError` where it does not answer. No values at all are no
        answer either: rather a broken source than a decision to have none.
    keep_seconds : float
        After how long it is asked again without a cause, so that a withdrawn value goes away.
    again_seconds : float
        The shortest time between two questions while there are values.
    clock : callable, optional
        Seconds that pass.
    """

    def __init__(
        self,
        what: str,
        load: Callable[[], Mapping[str, Value]],
        *,
        keep_seconds: float,
        again_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._what = what
        self._load = load
        self._keep_seconds = keep_seconds
        self._again_seconds = again_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._values: Mapping[str, Value] = {}
        self._asked_at: float | None = None
        self._told_at: float | None = None

    def find(self, name: str) -> Value | None:
        """Return the value of that name; None where the source has none.

        Raises
        ------
        UnavailableError
            The source has never answered and does not now.
        """
        if name not in self._values or self._old():
            # One caller asks; the others wait for it, then find that it was done.
            with self._lock:
                if (name not in self._values or self._old()) and self._may_ask():
                    self._ask()
        if self._told_at is None:
            raise UnavailableError(f"{self._what} cannot be had")
        return self._values.get(name)

    def _old(self) -> bool:
        return self._told_at is not None and self._clock() - self._told_at >= self._keep_seconds

    def _may_ask(self) -> bool:
        pause = self._again_seconds if self._values else RETRY_SECONDS
        return self._asked_at is None or self._clock() - self._asked_at >= pause

    def _ask(self) -> None:
        self._asked_at = self._clock()
        try:
            values = self._load()
        except UnavailableError:
            return
        if values:
            self._values = values
            self._told_at = self._clock()
