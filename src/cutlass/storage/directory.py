"""Organisations, users and grants as this region knows them, and as their home region does.

Everything here is written in the organisation's home region only, at that region's own DynamoDB, wherever
the request arrived; the global table carries it to the others. A region that does not see an organisation
yet asks the others once, off the usual path of a decision.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime

from cutlass.domain.errors import NotFoundError, UnavailableError
from cutlass.domain.grants import Category, Grant
from cutlass.domain.organisations import Organisation, Status, Terms, User
from cutlass.domain.periods import PeriodRule, from_millis, to_millis
from cutlass.domain.plans import Topology
from cutlass.storage import keys
from cutlass.storage.codec import Item
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.peers import Peers

_UNKNOWN_SECONDS = 1.0
"""How long an id that no region knows is not asked for again."""

_REMEMBERED = 10_000
"""Unknown ids remembered at most."""


class Directory:
    """One region's view of the organisations table, with a way to ask the other regions.

    Parameters
    ----------
    table : str
        The full name of the organisations table.
    """

    def __init__(
        self,
        peers: Peers,
        table: str,
        topology: Topology,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._peers = peers
        self._table = table
        self.region = peers.region
        self.topology = topology
        self._monotonic = monotonic
        self._unknown: dict[tuple[str, str | None], float] = {}

    def at_home(self, home: str) -> Dynamo:
        """The client that writes what `home` owns."""
        return self._peers.at(home)

    def find(self, org_id: str, user_id: str | None = None) -> tuple[Organisation | None, User | None]:
        """Find an organisation and one of its users, here or, failing that, where they may have been made.

        Another region that does not answer counts as not knowing them.
        """
        found = self._read(self.region, org_id, user_id)
        if self._complete(found, user_id) or self._is_unknown(org_id, user_id):
            return found
        for region in self._peers.others:
            with suppress(UnavailableError), self._peers.reach(region):
                there = self._read(region, org_id, user_id)
                found = there if self._complete(there, user_id) or found[0] is None else found
                if self._complete(found, user_id):
                    return found
        self._remember_unknown(org_id, user_id)
        return found

    def get(self, org_id: str) -> Organisation:
        """Find an organisation; raises `NotFoundError` when no region knows it."""
        organisation, _ = self.find(org_id)
        if organisation is None:
            raise NotFoundError(f"there is no organisation {org_id!r}")
        return organisation

    def get_user(self, org_id: str, user_id: str) -> tuple[Organisation, User]:
        """Find a user and the organisation; raises `NotFoundError` when no region knows them."""
        organisation, user = self.find(org_id, user_id)
        if organisation is None:
            raise NotFoundError(f"there is no organisation {org_id!r}")
        if user is None:
            raise NotFoundError(f"organisation {org_id!r} has no user {user_id!r}")
        return organisation, user

    def users(self, wanted: Iterable[tuple[Organisation, str]]) -> dict[tuple[str, str], User]:
        """Read many users as this region knows them, by organisation and user; those there are."""
        found = {keys.user(org.home_region, org.org_id, user_id): (org.org_id, user_id) for org, user_id in wanted}
        items = self._peers.here.batch_get({self._table: list(found)})
        return {found[pk, sk]: user_from_item(item) for (_, pk, sk), item in items.items()}

    def look(self, region: str, org_id: str) -> Organisation | None:
        """Look for an organisation in one region's own DynamoDB; raises `UnavailableError`."""
        return self._read(region, org_id, None)[0]

    def _read(self, region: str, org_id: str, user_id: str | None) -> tuple[Organisation | None, User | None]:
        wanted = []
        for home in self.topology.regions:
            wanted.append(keys.organisation(home, org_id))
            if user_id is not None:
                wanted.append(keys.user(home, org_id, user_id))
        items = self._peers.at(region).batch_get({self._table: wanted})
        for home in self.topology.regions:  # the first in order, should two regions ever have founded one
            item = items.get((self._table, *keys.organisation(home, org_id)))
            if item:
                user = items.get((self._table, *keys.user(home, org_id, user_id))) if user_id is not None else None
                return organisation_from_item(item), user_from_item(user) if user else None
        return None, None

    @staticmethod
    def _complete(found: tuple[Organisation | None, User | None], user_id: str | None) -> bool:
        return found[0] is not None and (user_id is None or found[1] is not None)

    def _is_unknown(self, org_id: str, user_id: str | None) -> bool:
        until = self._unknown.get((org_id, user_id))
        return until is not None and self._monotonic() < until

    def learn(self, org_id: str, user_id: str) -> None:
        """Forget that a user was unknown a moment ago: it was made here."""
        self._unknown.pop((org_id, user_id), None)

    def _remember_unknown(self, org_id: str, user_id: str | None) -> None:
        if len(self._unknown) >= _REMEMBERED:
            self._unknown.clear()
        self._unknown[org_id, user_id] = self._monotonic() + _UNKNOWN_SECONDS

    def every(
        self, *, home: str | None = None, at: str | None = None, consistent: bool = False
    ) -> Iterator[Organisation]:
        """Every organisation a region (this one, unless `at`) knows, or those at home in one, page by page."""
        there = self._peers.at(at or self.region)
        for item in there.scan(self._table, sort_key="org", consistent=consistent):
            if home is None or item["home"] == home:
                yield organisation_from_item(item)

    def grants(
        self, organisation: Organisation, meter: str, *, at: str | None = None
    ) -> Iterator[tuple[Grant, bool]]:
        """Every grant of one meter that a region (here, unless `at`) sees, and whether it was voided."""
        low, high = f"{meter}:", f"{meter};"  # ';' follows ':'
        voided: set[str] = set()
        seen: list[Grant] = []
        dynamo = self._peers.at(at or self.region)
        pk = keys.grants(organisation.home_region, organisation.org_id)
        for item in dynamo.query(self._table, pk, between=(low, high)):
            if item["sk"].endswith("#void"):
                voided.add(item["sk"].removesuffix("#void"))
            else:
                seen.append(grant_from_item(item))
        return ((grant, grant.grant_id in voided) for grant in seen)


def organisation_to_item(organisation: Organisation) -> Item:
    """An organisation as an item."""
    pk, sk = keys.organisation(organisation.home_region, organisation.org_id)
    return {
        "pk": pk,
        "sk": sk,
        "org_id": organisation.org_id,
        "home": organisation.home_region,
        "status": str(organisation.status),
        "rev": organisation.rev,
        "created": to_millis(organisation.created_at),
        "terms": [
            {
                "since": to_millis(t.since),
                "plan": t.plan,
                "anchor_day": t.rule.anchor_day,
                "time_zone": t.rule.time_zone,
            }
            for t in organisation.terms
        ],
    }


def organisation_from_item(item: Item) -> Organisation:
    """Read an organisation off its item."""
    terms = tuple(
        Terms(from_millis(t["since"]), t["plan"], PeriodRule(t["anchor_day"], t["time_zone"]))
        for t in item["terms"]
    )
    return Organisation(
        item["org_id"], item["home"], Status(item["status"]), terms, item["rev"], from_millis(item["created"])
    )


def user_to_item(user: User, home: str) -> Item:
    """A user as an item beside its organisation."""
    pk, sk = keys.user(home, user.org_id, user.user_id)
    return {
        "pk": pk,
        "sk": sk,
        "org_id": user.org_id,
        "user_id": user.user_id,
        "limits": dict(user.limits),
        "usual": user.usual_region,
        "former": user.former_region,
        "moved": None if user.moved_at is None else to_millis(user.moved_at),
        "rev": user.rev,
    }


def user_from_item(item: Item) -> User:
    """Read a user off its item."""
    moved = item.get("moved")
    return User(
        org_id=item["org_id"],
        user_id=item["user_id"],
        limits=item["limits"],
        usual_region=item.get("usual"),
        former_region=item.get("former"),
        moved_at=None if moved is None else from_millis(moved),
        rev=item["rev"],
    )


def grant_to_item(grant: Grant, home: str, fingerprint: str | None = None) -> Item:
    """A grant as an item; `fingerprint` tells a repeated request from another one with the same key."""
    return {
        "pk": keys.grants(home, grant.org_id),
        "sk": grant.grant_id,
        "org_id": grant.org_id,
        "meter": grant.meter,
        "category": str(grant.category),
        "amount": grant.amount,
        "priority": grant.priority,
        "effective": to_millis(grant.effective_at),
        "expires": None if grant.expires_at is None else to_millis(grant.expires_at),
        "user_id": grant.user_id,
        "split": dict(grant.split),
        "created": to_millis(grant.created_at),
        "fingerprint": fingerprint,
    }


def void_to_item(grant: Grant, home: str, voided_at: datetime) -> Item:
    """The record that voids a grant, beside it."""
    return {
        "pk": keys.grants(home, grant.org_id),
        "sk": keys.void(grant.grant_id),
        "org_id": grant.org_id,
        "voided": to_millis(voided_at),
    }


def grant_from_item(item: Item) -> Grant:
    """Read a grant off its item."""
    expires = item.get("expires")
    return Grant(
        grant_id=item["sk"],
        org_id=item["org_id"],
        meter=item["meter"],
        category=Category(item["category"]),
        amount=item["amount"],
        priority=item["priority"],
        effective_at=from_millis(item["effective"]),
        expires_at=None if expires is None else from_millis(expires),
        user_id=item.get("user_id"),
        split=item["split"],
        created_at=from_millis(item["created"]),
    )
