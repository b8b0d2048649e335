"""The results of a run: one row for each way to keep a limit, as JSON for programs."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT
from benchmarks.peers.catalogue import Peer
from benchmarks.peers.measure import Capped, Speed

FOLDER = ROOT / "benchmarks" / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """All that was measured of one peer; figures without a unit in their name are per decision.

    Attributes
    ----------
    requests, write_units, read_units
        Of the decision itself.
    metering_write_units : float
        What its ledger and usage cost, written later by the stream's consumer; 0 where there is none.
    """

    peer: Peer
    requests: float
    write_units: float
    read_units: float
    metering_write_units: float
    alone: Speed
    crowded: Speed
    one_region: Capped
    two_regions: Capped

    def as_dict(self) -> dict[str, Any]:
        """Return the row as JSON: latency of one client, throughput of many, oversold units in one region."""
        return {
            "name": self.peer.name,
            "about": self.peer.about,
            "requests_per_decision": self.requests,
            "write_units": self.write_units,
            "read_units": self.read_units,
            "metering_write_units": self.metering_write_units,
            "p50_ms": self.alone.p50_ms,
            "p99_ms": self.alone.p99_ms,
            "decisions_per_s": self.crowded.decisions_per_s,
            "oversold": self.one_region.oversold,
            "oversold_in_two_regions": self.two_regions.oversold,
            "one_client": self.alone.as_dict(),
            "many_clients": self.crowded.as_dict(),
            "cap_in_one_region": self.one_region.as_dict(),
            "cap_in_two_regions": self.two_regions.as_dict(),
        }


@dataclass(slots=True)
class Results:
    """All rows of one run; `skipped` says who is missing, and what to install."""

    machine: dict[str, str | int]
    engine: str
    versions: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the results as JSON."""
        return {
            "machine": self.machine,
            "engine": self.engine,
            "versions": self.versions,
            "rows": [row.as_dict() for row in self.rows],
            "skipped": self.skipped,
        }

    def write(self, folder: Path = FOLDER) -> Path:
        """Write the results under their date; a later run of the same day takes their place."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"peers-{self.machine['date']}.json"
        path.write_text(json.dumps(self.as_dict(), indent=2) + "\n", encoding="utf-8")
        return path


def newest(folder: Path = FOLDER) -> dict[str, Any]:
    """Read the newest results there are.

    Raises
    ------
    FileNotFoundError
        There are none.
    """
    found = sorted(folder.glob("peers-*.json"))
    if not found:
        raise FileNotFoundError(f"no results in {folder}: make bench writes them")
    document: dict[str, Any] = json.loads(found[-1].read_text(encoding="utf-8"))
    return document


def ratios(rows: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    """Compare every row's median and throughput with the first one's: how many times ours each is."""
    first = rows[0]
    return [(row["p50_ms"] / first["p50_ms"], row["decisions_per_s"] / first["decisions_per_s"]) for row in rows]
