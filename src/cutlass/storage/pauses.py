"""What was tried in vain is not tried again at once, but after longer and longer pauses."""

from collections.abc import Callable, Hashable

from cutlass.domain.rebalancing import next_pause

_REMEMBERED = 10_000


class Pauses:
    """Remembers, by key, until when something need not be tried again; in this process only."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until: dict[Hashable, tuple[float, int]] = {}

    def on(self, key: Hashable) -> bool:
        """Whether it need not be tried now."""
        return self._monotonic() < self._until.get(key, (0.0, 0))[0]

    def note(self, key: Hashable, *, fruitless: bool) -> None:
        """Remember how it went."""
        _, pause_ms = self._until.pop(key, (0.0, 0))
        if fruitless:
            if len(self._until) >= _REMEMBERED:
                self._until.clear()
            pause_ms = next_pause(pause_ms)
            self._until[key] = self._monotonic() + pause_ms / 1000, pause_ms
