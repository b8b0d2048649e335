"""Progress of a long command, on stderr."""

import sys
import time

_QUIET_SECONDS = 2.0
"""How long a run may take before it says how far it is."""


class Progress:
    """Says how far a long run is, at most once a second.

    Parameters
    ----------
    what : str
        What is counted.
    of : int
        How many there are.
    """

    def __init__(self, what: str, of: int) -> None:
        self._what = what
        self._of = of
        self._next = time.monotonic() + _QUIET_SECONDS

    def __call__(self, name: str, made: int) -> None:
        """Say that `made` are made, of the part of the work that `name` names."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + 1.0
            print(f"{name}: {made:,} of {self._of:,} {self._what}", file=sys.stderr)  # noqa: T201
