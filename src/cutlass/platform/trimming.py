"""Forgets the stream records that every reader has passed and nobody may read again."""

import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from cutlass.contracts import load_functions, load_queues, load_tables, load_topology
from cutlass.platform.checkpoints import Checkpoint, stream_checkpoint_name
from cutlass.platform.errors import PlatformError
from cutlass.platform.layout import REPLICATOR
from cutlass.platform.local import ENVIRONMENT
from cutlass.platform.queues import messages_in
from cutlass.platform.wire import Wire

_log = logging.getLogger(__name__)


def readers(table: str) -> list[str]:
    """Return who reads a table's stream, in every region."""
    functions = load_functions().values()
    return [REPLICATOR, *(f.name for f in functions if any(source.table == table for source in f.streams))]


def passed(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield table, region and the sequence number that every reader of the stream has come to."""
    for table in load_tables().values():
        if table.stream is None:
            continue
        for region in load_topology().regions:
            places = [
                Checkpoint(folder, stream_checkpoint_name(reader, table.name, region)).after
                for reader in readers(table.name)
            ]
            known = [place for place in places if place is not None]
            if len(known) == len(places):
                yield table.name, region, min(known, key=int)


def failure_queues(table: str) -> set[str]:
    """Return the queues that tell where batches of the table's stream failed."""
    sources = (source for function in load_functions().values() for source in function.streams)
    return {source.on_failure for source in sources if source.table == table}


class Trimmer:
    """Trims the streams of all tables; what was trimmed before costs nothing.

    Parameters
    ----------
    endpoint : str
        Address of the emulator.
    folder : Path
        Where the checkpoints are.
    """

    def __init__(self, endpoint: str, folder: Path) -> None:
        self._folder = folder
        self._wires = {
            name: Wire(endpoint, region.aws_region, timeout=5) for name, region in load_topology().regions.items()
        }
        self._trimmed: dict[tuple[str, str], str] = {}

    def trim(self) -> None:
        """Forget what can be forgotten; a failure is only logged, for the next time does it."""
        for table, region, place in passed(self._folder):
            if self._trimmed.get((table, region)) == place:
                continue
            wire = self._wires[region]
            stream = {
                "aws_region": wire.aws_region,
                "table": load_tables()[table].resource(ENVIRONMENT),
                "before": place,
            }
            try:
                if self._wanted(table, region, wire):
                    continue
                wire.own(f"/_cutlass/trim?{urlencode(stream)}", method="POST")
            except PlatformError as error:
                _log.warning("the stream of %s could not be trimmed: %s", table, error.message)
                return
            self._trimmed[table, region] = place

    def _wanted(self, table: str, region: str, wire: Wire) -> bool:
        """Tell whether a failed batch waits to be read again.

        Its message is sent before the consumer's position passes it, and the positions were read before this.
        """
        queues = load_queues()
        return any(messages_in(wire, queues[name].resource(ENVIRONMENT, region)) for name in failure_queues(table))
