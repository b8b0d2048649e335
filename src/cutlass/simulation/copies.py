"""Items and their copies in other regions, which are behind by what the network makes of it."""

from typing import Generic, TypeVar

from cutlass.simulation.network import SLOT_MS, Network

T = TypeVar("T")

_TRIM_AT = 12
"""States remembered before those that no region can see any more are dropped."""


class Item(Generic[T]):
    """One item of one region: its state now, and its latest states for those who see it late.

    Copying nothing until somebody looks keeps a million items cheap. The last writer is always the owner,
    so a copy is the newest state that has arrived, whatever arrived before or after it.
    """

    __slots__ = ("_count", "_head", "_limit", "number", "owner", "value")

    def __init__(self, number: int, owner: int, value: T, now: float) -> None:
        self.number = number
        self.owner = owner
        self.value = value
        self._head: tuple[int, T, object] = (int(now / SLOT_MS), value, None)
        self._count = 1
        self._limit = _TRIM_AT

    def write(self, value: T, now: float, network: Network) -> None:
        """Replace the state."""
        self.value = value
        slot, head = int(now / SLOT_MS), self._head
        if head[0] == slot:
            self._head = (slot, value, head[2])
            return
        self._head = (slot, value, head)
        self._count += 1
        if self._count > self._limit:
            self._forget(int(network.horizon(now) / SLOT_MS))

    def copy(self, to: int, now: float, network: Network) -> T | None:
        """The state another region sees; None if it does not know the item yet."""
        node: object = self._head
        while isinstance(node, tuple):
            slot, value, node = node
            written = (slot + 1) * SLOT_MS
            if written + network.least_ms > now:
                continue
            settled = network.calm and written + network.most_ms <= now
            if settled or network.arrival(self.number, slot, self.owner, to) <= now:
                seen: T = value
                return seen
        return None

    def _forget(self, horizon: int) -> None:
        """Drop what is older than the newest state before the horizon."""
        kept: list[tuple[int, T]] = []
        node: object = self._head
        while isinstance(node, tuple):
            slot, value, node = node
            kept.append((slot, value))
            if slot < horizon:
                break
        head: tuple[int, T, object] | None = None
        for slot, value in reversed(kept):
            head = (slot, value, head)
        if head is not None:
            self._head = head
        self._count = len(kept)
        self._limit = max(_TRIM_AT, 2 * self._count)
