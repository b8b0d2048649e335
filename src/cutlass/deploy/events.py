"""Terraform's stream of JSON messages (`-json`, version 1 of its machine-readable output)."""

import json
from dataclasses import dataclass, field
from typing import Any

from cutlass.deploy.changes import Action, Change
from cutlass.deploy.states import Lock

_ACTIONS = {str(action): action for action in Action}
_LOCKED = "Error acquiring the state lock"


@dataclass(slots=True)
class Told:
    """What a command of Terraform's has told so far."""

    changes: list[Change] = field(default_factory=list)
    drift: list[Change] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lock: Lock | None = None
    done: list[str] = field(default_factory=list)
    """Addresses of resources that are applied."""
    doing: list[str] = field(default_factory=list)
    """Addresses of resources that are worked on."""

    def take(self, line: str) -> bool:
        """Take in one line; tell whether it changed anything a person would want to see.

        What is not JSON, or of a kind not known here, is passed over: later versions may add messages.
        """
        try:
            message = json.loads(line)
        except ValueError:
            return False
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "planned_change":
            return self._add(self.changes, message["change"])
        if kind == "resource_drift":
            return self._add(self.drift, message["change"])
        if kind == "diagnostic":
            return self._diagnose(message["diagnostic"])
        if kind in ("apply_start", "apply_complete", "apply_errored"):
            return self._progress(kind, message["hook"])
        return False

    def _add(self, to: list[Change], told: dict[str, Any]) -> bool:
        previous = (told.get("previous_resource") or {}).get("addr")
        action = _ACTIONS.get(told["action"])
        resource = told["resource"]
        if action is None and previous is None:
            return False
        to.append(Change(resource["addr"], resource["resource_type"], action or Action.MOVE, previous))
        return True

    def _diagnose(self, diagnostic: dict[str, Any]) -> bool:
        if diagnostic.get("severity") != "error":
            return False
        summary, detail = str(diagnostic.get("summary", "")), str(diagnostic.get("detail", ""))
        if summary.startswith(_LOCKED):
            self.lock = _lock(detail)
        place = diagnostic.get("range") or {}
        where = f" ({place['filename']}:{place['start']['line']})" if place.get("filename") else ""
        address = f"{diagnostic['address']}: " if diagnostic.get("address") else ""
        self.errors.append(f"{address}{summary}{where}" + (f": {detail}" if detail else ""))
        return True

    def _progress(self, kind: str, hook: dict[str, Any]) -> bool:
        address = hook["resource"]["addr"]
        if kind == "apply_start":
            self.doing.append(address)
            return True
        if address in self.doing:
            self.doing.remove(address)
        if kind == "apply_complete":
            self.done.append(address)
        return True


def _lock(detail: str) -> Lock:
    """Return the lock that the text of the error describes, in lines such as `  Who: me@here`."""
    found = {}
    for line in detail.splitlines():
        name, colon, value = line.strip().partition(":")
        if colon and name in ("ID", "Who", "Operation", "Created"):
            found[name] = value.strip()
    if "Created" in found:
        date, _, rest = found["Created"].partition(" ")
        found["Created"] = f"{date}T{rest.split(' ')[0]}Z"
    return Lock.parse(json.dumps(found))
