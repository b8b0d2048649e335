"""How far a reader has come in a stream, on disk."""

from pathlib import Path

from cutlass.platform.home import read_json, write_json


class Checkpoint:
    """The sequence number of the last record a reader is done with.

    It is written after the work, by one rename: a kill at any moment makes records come again, and loses none.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.json"
        kept = read_json(self._path)
        self._after: str | None = kept["after"] if kept else None

    @property
    def after(self) -> str | None:
        """The last record that is done with; None before the first."""
        return self._after

    def move(self, after: str) -> None:
        """Note that everything up to `after` is done."""
        if after != self._after:
            write_json(self._path, {"after": after})
            self._after = after


def stream_checkpoint_name(reader: str, table: str, region: str) -> str:
    """Return the name of the checkpoint of `reader` in a table's stream of a region."""
    return f"{reader}--{table}--{region}"
