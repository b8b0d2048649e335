"""`contracts/tables.yaml`: the DynamoDB global tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cutlass.contracts.folder import read_once
from cutlass.contracts.nodes import Node, read_named


class StreamView(StrEnum):
    """What a table's stream shows of a change."""

    NEW_AND_OLD_IMAGES = "NEW_AND_OLD_IMAGES"
    NEW_IMAGE = "NEW_IMAGE"
    OLD_IMAGE = "OLD_IMAGE"
    KEYS_ONLY = "KEYS_ONLY"


@dataclass(frozen=True, slots=True)
class Table:
    """A table with string keys `pk` and `sk`, and a time to live in `ttl`; `stream` is None without one."""

    name: str
    title: str
    stream: StreamView | None

    def resource(self, environment: str) -> str:
        """Return the table's name in AWS, the same in every region."""
        return f"cutlass-tech-{self.name}-{environment}"


@read_once
def load_tables(folder: Path) -> Mapping[str, Table]:
    """Return the tables by name."""
    return read_named(folder, "tables.yaml", _table)


def _table(name: str, node: Node) -> Table:
    fields = node.fields(["title"], ["stream"])
    stream = fields.get("stream")
    return Table(
        name=name,
        title=fields["title"].text(),
        stream=None if stream is None else stream.choice(StreamView),
    )
