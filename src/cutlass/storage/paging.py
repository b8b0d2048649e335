"""Pages of a listing."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and the position after which the next ones begin; None behind the last.

    The position holds only what JSON can.
    """

    items: list[Row]
    next: dict[str, Any] | None = None
