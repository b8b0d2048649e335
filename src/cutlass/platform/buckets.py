"""Makes the buckets of every region in the emulator, and has each copied to the next region."""

from collections.abc import Mapping

from botocore.credentials import Credentials

from cutlass.contracts import Bucket as Contract
from cutlass.contracts import load_buckets
from cutlass.domain.plans import Region
from cutlass.platform.local import ACCOUNT, ENVIRONMENT
from cutlass.storage.objects import Bucket

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_THERE = 409


class _Made(Bucket):
    """A bucket that is made and set up."""

    def make(self) -> None:
        """Make it, unless it is there; it keeps versions, for only such are copied."""
        place = f"<LocationConstraint>{self._region}</LocationConstraint>"
        self._put("", f"<CreateBucketConfiguration xmlns='{_NAMESPACE}'>{place}</CreateBucketConfiguration>")
        on = "<Status>Enabled</Status>"
        self._put("versioning", f"<VersioningConfiguration xmlns='{_NAMESPACE}'>{on}</VersioningConfiguration>")

    def copy_to(self, copy: str, prefix: str) -> None:
        """Have every object copied that is written from now on under a key with that prefix."""
        rule = (
            "<Rule><ID>all</ID><Priority>1</Priority><Status>Enabled</Status>"
            f"<Filter><Prefix>{prefix}</Prefix></Filter>"
            "<DeleteMarkerReplication><Status>Enabled</Status></DeleteMarkerReplication>"
            f"<Destination><Bucket>arn:aws:s3:::{copy}</Bucket></Destination></Rule>"
        )
        role = f"<Role>arn:aws:iam::{ACCOUNT}:role/cutlass-tech-replication-{ENVIRONMENT}</Role>"
        body = f"<ReplicationConfiguration xmlns='{_NAMESPACE}'>{role}{rule}</ReplicationConfiguration>"
        self._put("replication", body)

    def _put(self, what: str, body: str) -> None:
        headers = {"content-type": "application/xml"}
        query = {what: ""} if what else None
        self._send("PUT", "", query=query, data=body.encode(), headers=headers, also=() if what else (_THERE,))


def ensure_buckets(endpoint: str, regions: Mapping[str, Region]) -> None:
    """Make the buckets and their copies, unless they are there; raises `UnavailableError`."""
    names = list(regions)
    for place, region in enumerate(regions.values()):
        copier = regions[names[(place + 1) % len(names)]]
        for contract in load_buckets().values():
            own = _bucket(endpoint, contract, region, region)
            own.make()
            if copier is not region:
                _bucket(endpoint, contract, region, copier).make()
                own.copy_to(contract.resource(ENVIRONMENT, region.name, ACCOUNT, copy=True), contract.copy_prefix)


def archives(region: str, regions: Mapping[str, Region]) -> list[str]:
    """Where the archive lies for a region: its own bucket, then the copies here of other regions'."""
    names = list(regions)
    before = names[(names.index(region) - 1) % len(names)]
    archive = load_buckets()["archive"]
    found = [archive.resource(ENVIRONMENT, region, ACCOUNT)]
    if before != region:
        found.append(archive.resource(ENVIRONMENT, before, ACCOUNT, copy=True))
    return [f"s3://{name}" for name in found]


def _bucket(endpoint: str, contract: Contract, of: Region, at: Region) -> _Made:
    name = contract.resource(ENVIRONMENT, of.name, ACCOUNT, copy=at is not of)
    return _Made(name, at.aws_region, endpoint=endpoint, credentials=Credentials(ACCOUNT, "local"))
