"""`contracts/archive.yaml`: the columns of the archive, and when Athena is asked about it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cutlass.contracts.folder import read_once
from cutlass.contracts.nodes import Document, Node

# A workgroup's cutoff is 10 MB at least, and files of a petabyte are none of ours.
_MAX_MEGABYTES, _MAX_GIGABYTES = 1_000_000, 1_000_000
_MEGA, _GIGA = 1024**2, 1024**3


class ColumnType(StrEnum):
    """The type of a column in SQL, alike in DuckDB and Athena."""

    TEXT = "VARCHAR"
    LONG = "BIGINT"
    WHOLE = "INTEGER"
    FLAG = "BOOLEAN"


@dataclass(frozen=True, slots=True)
class ArchiveColumn:
    """A column: its name, its type in SQL, and what its values are and in what unit."""

    name: str
    type: ColumnType
    about: str


@dataclass(frozen=True, slots=True)
class ArchiveContract:
    """The archive.

    Attributes
    ----------
    columns : tuple of ArchiveColumn
        In the order of a row's values.
    athena_from_bytes : int
        Athena is asked where a report would read more than so many bytes.
    athena_most_bytes : int
        What one query of Athena's may read.
    """

    columns: tuple[ArchiveColumn, ...]
    athena_from_bytes: int
    athena_most_bytes: int


@read_once
def load_archive(folder: Path) -> ArchiveContract:
    """Return what is said of the archive."""
    document = Document(folder, "archive.yaml")
    fields = document.root.fields(["athena", "columns"])
    sizes = fields["athena"].fields(["from_megabytes", "most_gigabytes"])
    columns = [_column(node) for node in fields["columns"].items()]
    names = [column.name for column in columns]
    for name in sorted({name for name in names if names.count(name) > 1}):
        fields["columns"].problem(f"the column {name!r} is given twice")
    found = ArchiveContract(
        tuple(columns),
        sizes["from_megabytes"].integer(0, _MAX_MEGABYTES) * _MEGA,
        sizes["most_gigabytes"].integer(1, _MAX_GIGABYTES) * _GIGA,
    )
    if found.athena_most_bytes < found.athena_from_bytes:
        sizes["most_gigabytes"].problem("is less than from_megabytes: no query would be answered")
    document.finish()
    return found


def _column(node: Node) -> ArchiveColumn:
    fields = node.fields(["name", "type", "about"])
    return ArchiveColumn(
        fields["name"].text(r"[a-z][a-z_]*"), fields["type"].choice(ColumnType), fields["about"].text(r".{1,255}")
    )
