"""Looks that are due: what may have crossed a threshold although nothing was used.

A changed limit, plan or setting, credits granted, voided or expired, figures of another region that came late:
each leaves an item, in the order of time, in the region that watches the organisation. A schedule looks at those
whose time has come and deletes them. To leave one twice costs a look more.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cutlass.domain.grants import Grant
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import from_millis, to_millis
from cutlass.storage import keys
from cutlass.storage.alert_table import AlertTable
from cutlass.storage.codec import Item, Wire
from cutlass.storage.directory import grant_from_item
from cutlass.storage.dynamo import put_of

_BUCKET_MS = 60_000
_PAGE = 100
_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Due:
    """One look that is due, at a user, the organisation (a `user_id` of nothing), or it and all its users (None).

    `after` says up to where its users were looked at: a roster and a name on it. `before` asks for the period
    before, too.
    """

    key: keys.Key
    org_id: str
    user_id: str | None
    after: tuple[str, str] | None = None
    before: bool = False


class AlertDues:
    """The looks that are due in one region."""

    def __init__(self, table: AlertTable) -> None:
        self._dynamo, self._directory, self._homes = table.dynamo, table.directory, table.homes
        self._table, self._clock = table.name, table.clock
        self._later: dict[str, int] = {}
        self.region = table.homes.region

    def changed(self, item: Item) -> None:
        """Note what an item of the organisations table, as it was changed, may have crossed.

        A new organisation, or a new user, has used nothing yet.
        """
        partition, sort_key = item["pk"], item["sk"]
        now = self._clock()
        if partition.endswith("#grants"):
            self._granted(item, now)
        elif sort_key == "org" and item["rev"] > 1:
            self._note(item["org_id"], None, now, f"org{item['rev']}")
        elif sort_key.startswith("user#") and item["rev"] > 1:
            self._note(item["org_id"], item["user_id"], now, f"user{item['rev']}")

    def _granted(self, item: Item, now: datetime) -> None:
        if item["sk"].endswith("#void"):
            self._note(item["org_id"], None, now, item["sk"])
            return
        grant = grant_from_item(item)
        if grant.category.prepaid:
            for moment in _moments(grant, now):
                self._note(grant.org_id, "", moment, grant.grant_id)
                if grant.user_id is not None:
                    self._note(grant.org_id, grant.user_id, moment, grant.grant_id)

    def _note(self, org_id: str, user_id: str | None, at: datetime, cause: str) -> None:
        organisation, _ = self._directory.find(org_id)
        if organisation is not None and self._homes.watched(organisation):
            self._dynamo.put(self._table, due_item(self.region, org_id, user_id, at, cause))

    def everyone(self, organisation: Organisation, cause: str) -> None:
        """Note that an organisation and all its users are to be looked at now, for two periods."""
        item = due_item(self.region, organisation.org_id, None, self._clock(), cause)
        self._dynamo.put(self._table, item | {"before": True})

    def later(self, org_id: str, at: datetime) -> None:
        """Note that an organisation is to be looked at again, in the whole minute behind a time; once a minute."""
        at_ms = (to_millis(at) // _BUCKET_MS + 1) * _BUCKET_MS
        if self._later.get(org_id) == at_ms:
            return
        if len(self._later) >= _REMEMBERED:
            self._later.clear()
        self._later[org_id] = at_ms
        self._dynamo.put(self._table, due_item(self.region, org_id, "", from_millis(at_ms), "later"))

    def pending(self) -> Iterator[Due]:
        """Read the looks whose time has come, the oldest first."""
        until = f"{to_millis(self._clock()):013d}~"
        for item in self._dynamo.query(self._table, keys.due(self.region), between=("0", until), limit=_PAGE):
            after = item.get("after")
            place = (after[0], after[1]) if after else None
            yield Due((item["pk"], item["sk"]), item["org"], item.get("user"), place, item.get("before", False))

    def done(self, due: Due) -> None:
        """Forget a look that was taken."""
        self._dynamo.delete(self._table, *due.key)

    def reached(self, due: Due, after: tuple[str, str]) -> None:
        """Note how far a look at all users has come."""
        pk, sk = due.key
        item: Item = {"pk": pk, "sk": sk, "org": due.org_id, "user": due.user_id}
        self._dynamo.put(self._table, item | {"after": list(after), "before": due.before})


def due_item(region: str, org_id: str, user_id: str | None, at: datetime, cause: str) -> dict[str, Any]:
    """A due look as an item."""
    pk, sk = keys.due_look(region, to_millis(at), org_id, user_id, cause)
    return {"pk": pk, "sk": sk, "org": org_id, "user": user_id}


def due_write(table: str, region: str, org_id: str, at: datetime, cause: str) -> Wire:
    """Make the write of a due look at an organisation and its users, for a transaction of its own."""
    return put_of(table, due_item(region, org_id, None, at, cause))


def _moments(grant: Grant, now: datetime) -> list[datetime]:
    """When a grant of credits changes what there is: when it begins, and when it ends."""
    begins = max(now, grant.effective_at)
    return [begins] if grant.expires_at is None else [begins, max(now, grant.expires_at)]
