"""What a plan would change."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

DATA_TYPES = frozenset(
    {
        "aws_cognito_user_pool",
        "aws_dynamodb_table",
        "aws_dynamodb_table_replica",
        "aws_kms_key",
        "aws_s3_bucket",
    }
)
"""Resources whose loss loses data; without its key encrypted data is lost too."""


class Action(StrEnum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    MOVE = "move"
    """Only its address changes."""
    IMPORT = "import"
    FORGET = "remove"
    """It leaves the state and stays in AWS."""


@dataclass(frozen=True, slots=True)
class Change:
    """One resource of a plan; `previous` is the address it moves from."""

    address: str
    type: str
    action: Action
    previous: str | None = None

    @property
    def loses_data(self) -> bool:
        """Whether what the resource holds would be gone."""
        return self.type in DATA_TYPES and self.action in (Action.DELETE, Action.REPLACE)

    def as_dict(self) -> dict[str, Any]:
        """Return the change as JSON has it."""
        found = {"address": self.address, "type": self.type, "action": str(self.action)}
        return found | ({"previous": self.previous} if self.previous else {})

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> "Change":
        """Return the change that `as_dict` gave."""
        return cls(value["address"], value["type"], Action(value["action"]), value.get("previous"))


def counts(changes: Iterable[Change]) -> dict[str, int]:
    """Return how many resources are to add, change, replace, destroy and move; a moved one may change too."""
    found: Counter[str] = Counter()
    names = {
        Action.CREATE: "add",
        Action.IMPORT: "change",
        Action.UPDATE: "change",
        Action.REPLACE: "replace",
        Action.DELETE: "destroy",
        Action.FORGET: "destroy",
    }
    for change in changes:
        if change.action in names:
            found[names[change.action]] += 1
        found["move"] += change.previous is not None
    return {name: found[name] for name in ("add", "change", "replace", "destroy", "move")}


def words(changes: Iterable[Change]) -> str:
    """Return the counts in words: 2 to add, 1 to replace."""
    found = [f"{number} to {name}" for name, number in counts(changes).items() if number]
    return ", ".join(found) or "no changes"
