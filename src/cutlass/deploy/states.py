"""Terraform's states and locks, as they lie in the bucket."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class State:
    """A state: its place in its history, its outputs, and how many resources it manages."""

    serial: int
    lineage: str
    outputs: Mapping[str, Any]
    sensitive: frozenset[str]
    resources: int

    @classmethod
    def parse(cls, body: bytes) -> "State":
        """Return the state a state file holds (version 4)."""
        value = json.loads(body)
        outputs = value.get("outputs", {})
        managed = [one for one in value.get("resources", []) if one.get("mode") == "managed"]
        return cls(
            serial=int(value.get("serial", 0)),
            lineage=str(value.get("lineage", "")),
            outputs={name: output.get("value") for name, output in outputs.items()},
            sensitive=frozenset(name for name, output in outputs.items() if output.get("sensitive")),
            resources=sum(len(one.get("instances", [])) for one in managed),
        )

    @property
    def applied(self) -> bool:
        """Whether other layers may read it: the output `workspace` is written at the end of a first apply."""
        return self.outputs.get("workspace") is not None

    @property
    def empty(self) -> bool:
        """Whether there is nothing to destroy."""
        return self.resources == 0

    @property
    def outputs_digest(self) -> str:
        """What other layers read of it, as a SHA-256."""
        return hashlib.sha256(json.dumps(self.outputs, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Lock:
    """Who holds a state."""

    id: str
    who: str
    operation: str
    created: datetime | None

    @classmethod
    def parse(cls, body: bytes | str) -> "Lock":
        """Return the lock of a lock file, or of the `Info` of a lock item; both are the same JSON."""
        try:
            value = json.loads(body)
        except ValueError:
            value = {}
        return cls(
            id=str(value.get("ID", "")),
            who=str(value.get("Who") or "someone unknown"),
            operation=str(value.get("Operation", "")).removeprefix("OperationType"),
            created=_moment(str(value.get("Created", ""))),
        )

    def words(self, now: datetime) -> str:
        """Say who holds it and for how long."""
        age = f" for {duration((now - self.created).total_seconds())}" if self.created else ""
        doing = f" ({self.operation.lower()})" if self.operation else ""
        return f"held by {self.who}{age}{doing}, lock {self.id or 'without an id'}"


def duration(seconds: float) -> str:
    """Return a time as people say it: 40 s, 3 min, 2 h, 5 days."""
    for unit, length in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * length or (seconds >= length and unit != "days"):
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"


def _moment(text: str) -> datetime | None:
    try:
        # Terraform writes nanoseconds; Python reads microseconds.
        head, dot, tail = text.partition(".")
        digits = "".join(letter for letter in tail if letter.isdigit())[:6]
        found = datetime.fromisoformat(f"{head.rstrip('Z')}{dot}{digits}")
    except ValueError:
        return None
    return found.replace(tzinfo=UTC)
