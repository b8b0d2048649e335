"""Creating and changing organisations and users, at the organisation's home region."""

from collections.abc import Callable, Mapping
from datetime import datetime

from cutlass.domain.errors import ConflictError, InvalidRequestError, UnavailableError
from cutlass.domain.organisations import Organisation, Status, User, change, change_user, found
from cutlass.domain.periods import PeriodRule
from cutlass.domain.plans import Catalogue
from cutlass.storage import keys
from cutlass.storage.directory import (
    Directory,
    organisation_from_item,
    organisation_to_item,
    user_from_item,
    user_to_item,
)
from cutlass.storage.dynamo import ConditionFailedError, Dynamo
from cutlass.storage.minting import Minting
from cutlass.storage.terms import TermsKeeper

_RACES = 10


class Organisations:
    """The writing side of the directory. What it changes it also carries into this region's allotments."""

    def __init__(
        self,
        directory: Directory,
        minting: Minting,
        keeper: TermsKeeper,
        catalogue: Catalogue,
        table: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._directory = directory
        self._minting = minting
        self._keeper = keeper
        self._catalogue = catalogue
        self._table = table
        self._clock = clock

    def get(self, org_id: str) -> Organisation:
        """Find an organisation; raises `NotFoundError`."""
        return self._directory.get(org_id)

    def get_user(self, org_id: str, user_id: str) -> User:
        """Find a user; raises `NotFoundError`."""
        return self._directory.get_user(org_id, user_id)[1]

    def put(
        self,
        org_id: str,
        *,
        plan: str,
        home_region: str | None = None,
        period: PeriodRule | None = None,
        status: Status = Status.ACTIVE,
    ) -> tuple[Organisation, bool]:
        """Create an organisation or change it; doing so again changes nothing.

        `home_region` None keeps the one there is, or takes this region for a new organisation; `period` None
        is the calendar month (or day) in UTC. Returns the organisation and whether it was created.

        Raises
        ------
        InvalidRequestError
            For a plan or region there is not.
        ConflictError
            When `home_region` is not the one the organisation has: grants are bound to it.
        UnavailableError
            When a region that may know the organisation, or its home region, does not answer.
        """
        if plan not in self._catalogue.plans:
            names = ", ".join(self._catalogue.plans)
            raise InvalidRequestError(f"there is no plan {plan!r}; the plans are {names}", field="plan")
        if home_region is not None and home_region not in self._directory.topology.regions:
            names = ", ".join(self._directory.topology.regions)
            raise InvalidRequestError(
                f"there is no region {home_region!r}; the regions are {names}", field="home_region"
            )
        rule = period or PeriodRule()
        organisation = self._known(org_id)
        created = organisation is None
        if organisation is None:
            organisation, created = self._found(org_id, home_region or self._directory.region, plan, rule, status)
        if not created:
            organisation = self._change(organisation, home_region, plan, rule, status)
        self._minting.open_period(organisation)
        for meter in self._catalogue.plans[plan].meters:
            self._minting.mint(organisation, meter)
        self._keeper.apply_organisation(organisation)
        return organisation, created

    def put_user(
        self, org_id: str, user_id: str, *, limits: Mapping[str, int], usual_region: str | None = None
    ) -> tuple[User, bool]:
        """Create a user or change the user's limits; `{}` takes the plan's.

        Raises `NotFoundError` for an unknown organisation, `InvalidRequestError` for a meter or region there
        is not, `UnavailableError` when the home region does not answer.
        """
        for meter in limits:
            if meter not in self._catalogue.meters:
                names = ", ".join(self._catalogue.meters)
                raise InvalidRequestError(
                    f"there is no meter {meter!r}; the meters are {names}", field=f"limits.{meter}"
                )
        if usual_region is not None and usual_region not in self._directory.topology.regions:
            raise InvalidRequestError(f"there is no region {usual_region!r}", field="usual_region")
        organisation = self._directory.get(org_id)
        home = self._directory.at_home(organisation.home_region)
        wanted = User(org_id, user_id, dict(limits), usual_region)
        met = home.put_if_absent(self._table, user_to_item(wanted, organisation.home_region))
        user, created = wanted, met is None
        if met is not None:
            user = self._change_user(home, organisation, user_from_item(met), wanted)
        self._directory.learn(org_id, user_id)
        self._keeper.apply_user(organisation, user)
        return user, created

    def _known(self, org_id: str) -> Organisation | None:
        """Look for an organisation here, then in every region: one must never be founded twice."""
        organisation = self._directory.look(self._directory.region, org_id)
        if organisation is not None:
            return self._directory.look(organisation.home_region, org_id) or organisation
        for region in self._directory.topology.regions:
            if organisation := self._directory.look(region, org_id):
                return organisation
        return None

    def _found(
        self, org_id: str, home: str, plan: str, rule: PeriodRule, status: Status
    ) -> tuple[Organisation, bool]:
        organisation = found(org_id, home, self._catalogue.plans[plan], rule, status, now=self._clock())
        met = self._directory.at_home(home).put_if_absent(self._table, organisation_to_item(organisation))
        if met is not None:
            return organisation_from_item(met), False
        # Two regions may have founded it at the same time. Each looks again after it wrote, so at least one
        # sees both; the first region in order stays, as every reader takes it.
        for region in self._directory.topology.regions:
            if region == home:
                break
            if (other := self._directory.look(region, org_id)) and other.home_region != home:
                self._directory.at_home(home).delete(self._table, *keys.organisation(home, org_id))
                return other, False
        return organisation, True

    def _change(
        self,
        organisation: Organisation,
        home_region: str | None,
        plan: str,
        rule: PeriodRule,
        status: Status,
    ) -> Organisation:
        if home_region not in {None, organisation.home_region}:
            raise ConflictError(
                f"organisation {organisation.org_id!r} has its home in {organisation.home_region}",
                hint="a home region stays as it is: grants are divided from there",
            )
        home = self._directory.at_home(organisation.home_region)
        for _ in range(_RACES):
            changed = change(organisation, self._catalogue, plan=plan, rule=rule, status=status, now=self._clock())
            if changed is organisation:
                return organisation
            try:
                home.put_if_revision(self._table, organisation_to_item(changed), organisation.rev)
            except ConditionFailedError as failed:
                if failed.item is None:
                    break
                organisation = organisation_from_item(failed.item)
            else:
                return changed
        raise UnavailableError("the organisation is being changed by others", hint="send the request again")

    def _change_user(self, home: Dynamo, organisation: Organisation, user: User, wanted: User) -> User:
        now = self._clock()
        period = organisation.period_at(self._catalogue, now)
        for _ in range(_RACES):
            changed = change_user(
                user, limits=wanted.limits, usual_region=wanted.usual_region, period=period, now=now
            )
            if changed is user:
                return user
            item = user_to_item(changed, organisation.home_region)
            try:
                home.put_if_revision(self._table, item, user.rev)
            except ConditionFailedError as failed:
                if failed.item is None:
                    break
                user = user_from_item(failed.item)
            else:
                return changed
        raise UnavailableError("the user is being changed by others", hint="send the request again")
