"""Balances: what an organisation or a user has spent and has left, per region and in total."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from cutlass.domain.allotments import Allotment
from cutlass.domain.grants import Grant
from cutlass.domain.organisations import Organisation
from cutlass.domain.periods import to_millis
from cutlass.domain.plans import Catalogue
from cutlass.domain.pools import Pool, mint
from cutlass.storage import keys
from cutlass.storage.directory import Directory
from cutlass.storage.dynamo import Dynamo
from cutlass.storage.items import allotment_from_item
from cutlass.storage.pools import Pools
from cutlass.storage.usage import Usage


@dataclass(frozen=True, slots=True)
class RegionBalance:
    """What one region has spent and may still hand out.

    `age_seconds` is how old another region's figures may be; None when none of them have arrived.
    """

    used: int
    reserved: int
    remaining: int
    credits: int
    age_seconds: float | None


@dataclass(frozen=True, slots=True)
class MeterBalance:
    """What there is of one meter, over all regions; `limit` and `remaining` are None for no limit.

    `limit` counts the units that come with the plan, `credits` the prepaid ones not yet handed to users.
    """

    limit: int | None
    used: int
    reserved: int
    remaining: int | None
    credits: int
    resets_at: datetime
    regions: dict[str, RegionBalance]


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance of an organisation or, with `user_id`, of one of its users, by meter."""

    org_id: str
    user_id: str | None
    plan: str
    as_of: datetime
    meters: dict[str, MeterBalance]


class Balances:
    """Reads balances in one region."""

    def __init__(
        self,
        dynamo: Dynamo,
        directory: Directory,
        pools: Pools,
        usage: Usage,
        catalogue: Catalogue,
        table: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._dynamo = dynamo
        self._directory = directory
        self._pools = pools
        self._usage = usage
        self._catalogue = catalogue
        self._table = table
        self._clock = clock

    def organisation(self, org_id: str) -> Balance:
        """Read an organisation's balance; raises `NotFoundError`.

        Usage is as far as the stream's consumer has come, usually within a second.
        """
        organisation = self._directory.get(org_id)
        meters = organisation.plan_at(self._catalogue, self._clock()).meters
        ages = self._usage.ages()
        return self._balance(organisation, None, {m: self._of_organisation(organisation, m, ages) for m in meters})

    def user(self, org_id: str, user_id: str) -> Balance:
        """Read a user's balance; raises `NotFoundError`. This region's part of it is exact as of now."""
        organisation, user = self._directory.get_user(org_id, user_id)
        now = self._clock()
        plan, period = organisation.plan_at(self._catalogue, now), organisation.period_at(self._catalogue, now)
        ages = self._usage.ages()
        meters = {}
        for meter in plan.meters:
            limit = user.limit(plan, meter)
            grants = [grant for grant, voided in self._directory.grants(organisation, meter) if not voided]
            parts = {}
            for region, held in self._held(org_id, user_id, meter, period.key).items():
                share = user.share(plan, meter, region, organisation.home_region, self._directory.topology, period)
                born = self._pools.of(org_id, meter, user_id, region=region, own=True)
                own = (*born, *_unborn(grants, born, region, user_id))
                prepaid = sum(p.available for p in own if p.live(to_millis(now)))
                parts[region] = RegionBalance(
                    used=sum(part.kept for part in held),
                    reserved=sum(part.reserved for part in held),
                    remaining=(sum(part.unbacked + part.available for part in held) if held else share) + prepaid,
                    credits=prepaid,
                    age_seconds=ages[region],
                )
            meters[meter] = _total(limit, parts, period.end, unlimited=limit is None)
        return self._balance(organisation, user_id, meters)

    def _held(self, org_id: str, user_id: str, meter: str, period: str) -> dict[str, list[Allotment]]:
        """Read all stripes of a user's allotment, by region; none where it was not born."""

        def read(stripes: Mapping[str, Iterable[int]]) -> dict[str, list[Allotment]]:
            wanted = {
                region: [keys.allotment(region, org_id, user_id, meter, period, number) for number in numbers]
                for region, numbers in stripes.items()
            }
            items = self._dynamo.batch_get({self._table: [key for of in wanted.values() for key in of]})
            found = {region: [items.get((self._table, *key)) for key in of] for region, of in wanted.items()}
            return {region: [allotment_from_item(item) for item in of if item] for region, of in found.items()}

        held = read(dict.fromkeys(self._directory.topology.regions, (0,)))
        more = {region: range(1, of[0].stripes) for region, of in held.items() if of and of[0].stripes > 1}
        for region, of in read(more).items() if more else ():
            held[region] += of
        return held

    def _of_organisation(
        self, organisation: Organisation, meter: str, ages: dict[str, float | None]
    ) -> MeterBalance:
        now = self._clock()
        now_ms = to_millis(now)
        period = organisation.period_at(self._catalogue, now)
        grants = [grant for grant, voided in self._directory.grants(organisation, meter) if not voided]
        granted = [
            grant.amount
            for grant in grants
            if not grant.category.prepaid and (grant.effective_at, grant.expires_at) == (period.start, period.end)
        ]
        parts = {}
        for region in self._directory.topology.regions:
            born = self._pools.of(organisation.org_id, meter, region=region)
            pools = [p for p in (*born, *_unborn(grants, born, region, None)) if p.live(now_ms)]
            totals = self._usage.period_totals(organisation.org_id, meter, period, region)
            parts[region] = RegionBalance(
                used=totals.used,
                reserved=max(0, totals.reserved),
                remaining=sum(p.available for p in pools) + max(0, totals.in_hand),
                credits=sum(p.available for p in pools if p.category.prepaid),
                age_seconds=ages[region],
            )
        return _total(sum(granted), parts, period.end, unlimited=False)

    def _balance(
        self, organisation: Organisation, user_id: str | None, meters: dict[str, MeterBalance]
    ) -> Balance:
        now = self._clock()
        plan = organisation.plan_at(self._catalogue, now)
        return Balance(organisation.org_id, user_id, plan.name, now, meters)


def _unborn(grants: Iterable[Grant], born: Iterable[Pool], region: str, user_id: str | None) -> Iterator[Pool]:
    """A region's pools of the organisation's grants, or one user's, that nobody has drawn from yet."""
    known = {pool.grant_id for pool in born}
    return (mint(grant, region) for grant in grants if grant.user_id == user_id and grant.grant_id not in known)


def _total(
    limit: int | None, parts: dict[str, RegionBalance], resets_at: datetime, *, unlimited: bool
) -> MeterBalance:
    return MeterBalance(
        limit=limit,
        used=sum(p.used for p in parts.values()),
        reserved=sum(p.reserved for p in parts.values()),
        remaining=None if unlimited else sum(p.remaining for p in parts.values()),
        credits=sum(p.credits for p in parts.values()),
        resets_at=resets_at,
        regions=parts,
    )
