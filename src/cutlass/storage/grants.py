"""Credits: creating, listing and voiding grants, at the organisation's home region."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from cutlass.domain.errors import ConflictError, IdempotencyMismatchError, InvalidRequestError, NotFoundError
from cutlass.domain.grants import DEFAULT_PRIORITY, Category, Grant, grant_id
from cutlass.domain.ids import digest, new_request_id
from cutlass.domain.periods import from_millis, to_millis
from cutlass.domain.plans import Catalogue
from cutlass.storage import keys
from cutlass.storage.directory import Directory, grant_from_item, grant_to_item, void_to_item
from cutlass.storage.paging import Page
from cutlass.storage.terms import TermsKeeper


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant as the API shows it: `voided_at` is None while it stands."""

    grant: Grant
    voided_at: datetime | None = None


class Grants:
    """The grants of all organisations."""

    def __init__(
        self,
        directory: Directory,
        keeper: TermsKeeper,
        catalogue: Catalogue,
        table: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._keeper = keeper
        self._catalogue = catalogue
        self._table = table
        self._clock = clock

    def create(
        self,
        org_id: str,
        *,
        meter: str,
        amount: int,
        priority: int = DEFAULT_PRIORITY,
        category: Category = Category.PAID,
        effective_at: datetime | None = None,
        expires_at: datetime | None = None,
        user_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> tuple[GrantView, bool]:
        """Grant credits; the same idempotency key grants once. Returns the grant and whether it is new.

        Raises
        ------
        NotFoundError
            For an unknown organisation or user.
        InvalidRequestError
            For a meter there is not, a category that is not prepaid, or an expiry that is no later than the
            start or than now.
        IdempotencyMismatchError
            When the key was used for another grant.
        """
        now = self._clock()
        if meter not in self._catalogue.meters:
            names = ", ".join(self._catalogue.meters)
            raise InvalidRequestError(f"there is no meter {meter!r}; the meters are {names}", field="meter")
        if not category.prepaid:
            raise InvalidRequestError("only paid and promotional credits can be granted", field="category")
        if user_id is None:
            organisation = self._directory.get(org_id)
        else:
            organisation, _ = self._directory.get_user(org_id, user_id)
        home = organisation.home_region
        key = idempotency_key or new_request_id(to_millis(now))
        grant = Grant(
            grant_id=grant_id(meter, org_id, key),
            org_id=org_id,
            meter=meter,
            category=category,
            amount=amount,
            priority=priority,
            effective_at=effective_at or now,
            expires_at=expires_at,
            user_id=user_id,
            split=self._directory.topology.split(amount, home),
            created_at=now,
        )
        body = digest(
            meter, str(amount), str(priority), category, str(effective_at), str(expires_at), user_id or ""
        ).hex()
        stored = self._directory.at_home(home)
        item = grant_to_item(grant, home, body[:16])
        if expires_at is None or expires_at > max(now, effective_at or now):
            met = stored.put_if_absent(self._table, item)
        else:  # too late for a new grant, not for the answer to an old request
            met = stored.get(self._table, item["pk"], item["sk"])
            if met is None:
                raise InvalidRequestError(
                    "expires_at must lie in the future, behind effective_at", field="expires_at"
                )
        if met is not None:
            if met.get("fingerprint") != body[:16]:
                raise IdempotencyMismatchError(
                    f"idempotency key {key!r} was used before with another body",
                    hint="use a new key for a new grant",
                )
            return self.get(org_id, met["sk"]), False
        self._keeper.apply_grant(grant)
        return GrantView(grant), True

    def get(self, org_id: str, identity: str) -> GrantView:
        """Find a grant at its organisation's home; raises `NotFoundError`."""
        organisation = self._directory.get(org_id)
        home = self._directory.at_home(organisation.home_region)
        pk = keys.grants(organisation.home_region, org_id)
        items = home.batch_get({self._table: [(pk, identity), (pk, keys.void(identity))]})
        item = items.get((self._table, pk, identity))
        if item is None:
            raise NotFoundError(f"organisation {org_id!r} has no grant {identity!r}")
        return _view(grant_from_item(item), items.get((self._table, pk, keys.void(identity))))

    def page(
        self, org_id: str, *, meter: str | None = None, limit: int = 50, after: dict[str, Any] | None = None
    ) -> Page[GrantView]:
        """List an organisation's grants in the order of their ids, those of one meter or all."""
        organisation = self._directory.get(org_id)
        pk = keys.grants(organisation.home_region, org_id)
        between = (f"{meter}:", f"{meter};") if meter else None
        home = self._directory.at_home(self._directory.region)
        items = home.query(self._table, pk, between=between, after=after["after"] if after else None)
        views: list[GrantView] = []
        for item in islice(items, 2 * limit + 2):
            if item["sk"].endswith("#void"):
                views[-1:] = [_view(views[-1].grant, item)] if views else []
            else:
                views.append(_view(grant_from_item(item), None))
        if len(views) <= limit:
            return Page(views)
        return Page(views[:limit], {"after": keys.void(views[limit - 1].grant.grant_id)})

    def void(self, org_id: str, identity: str) -> GrantView:
        """End a grant: what is not handed out to users can be spent no more. Doing so again changes nothing.

        Raises `NotFoundError`, and `ConflictError` for a grant that comes with the plan.
        """
        view = self.get(org_id, identity)
        if not view.grant.category.prepaid:
            raise ConflictError(
                f"grant {identity!r} comes with the plan",
                hint="change the organisation's plan instead",
            )
        home = self._directory.get(org_id).home_region
        void = void_to_item(view.grant, home, self._clock())
        self._directory.at_home(home).put_if_absent(self._table, void)
        self._keeper.apply_void(view.grant)
        return self.get(org_id, identity)


def _view(grant: Grant, void: dict[str, Any] | None) -> GrantView:
    return GrantView(grant, from_millis(void["voided"]) if void else None)
