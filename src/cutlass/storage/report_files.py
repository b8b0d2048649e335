"""The files of reports: written into the bucket of the region that made them, read from there or from its copy."""

from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from cutlass.domain.errors import NotFoundError, UnavailableError
from cutlass.domain.periods import from_millis
from cutlass.domain.plans import Topology
from cutlass.domain.report_jobs import KEEP_MS, Job
from cutlass.storage.objects import Bucket
from cutlass.storage.settings import Settings
from cutlass.storage.transport import find_credentials

BUCKET = "reports"

LINK_SECONDS = 900
"""How long a link lives that a caller gets; the next answer has a new one."""


class FileBucket(Bucket):
    """A bucket whose objects are handed out by signed links."""

    def put_file(self, key: str, path: Path, content_type: str) -> None:
        """Write a file as an object, over one that is there; raises `UnavailableError`."""
        try:
            self._send("PUT", key, data=path.read_bytes(), headers={"content-type": content_type})
        except NotFoundError as error:
            raise UnavailableError("there is no bucket to write to") from error

    def exists(self, key: str) -> bool:
        """Look for an object; one that cannot be seen, for whatever reason, is not there."""
        try:
            self._send("HEAD", key)
        except (NotFoundError, UnavailableError):
            return False
        return True

    def link(self, key: str, *, seconds: int, filename: str) -> str:
        """Return a link to an object: whoever has it may read the object, for so many seconds.

        It ends earlier where the credentials do that it was signed with. The object need not be there.
        """
        saved_as = urlencode({"response-content-disposition": f'attachment; filename="{quote(filename)}"'})
        self._credentials = self._credentials or find_credentials()
        signed = AWSRequest("GET", f"{self._base}/{quote(key)}?{saved_as}")
        S3SigV4QueryAuth(self._credentials, "s3", self._region, expires=seconds).add_auth(signed)
        return str(signed.url)


class ReportFiles:
    """The files as one region reaches them; threads may share it."""

    def __init__(self, settings: Settings, topology: Topology, credentials: Credentials | None = None) -> None:
        self._here = settings.region
        regions = list(topology.regions.values())
        self._buckets: dict[str, FileBucket] = {}
        self._copies: dict[str, FileBucket] = {}
        for place, region in enumerate(regions):
            # The next region of the contract has the copy, and after the last the first.
            copier = regions[(place + 1) % len(regions)]
            at, name = region.aws_region, settings.bucket(BUCKET, region.name)
            self._buckets[region.name] = FileBucket(name, at, endpoint=settings.endpoint, credentials=credentials)
            if copier.name == self._here and copier is not region:
                at, name = copier.aws_region, settings.bucket(BUCKET, region.name, copy=True)
                self._copies[region.name] = FileBucket(
                    name, at, endpoint=settings.endpoint, credentials=credentials
                )

    def put(self, job: Job, path: Path, *, filename: str, content_type: str) -> str:
        """Write the file of a job that is being made, and return its key; raises `UnavailableError`.

        Every attempt has a key of its own: a worker that comes back late writes over nobody's file.
        """
        key = f"{job.org_id}/{job.name}/{job.attempt}/{filename}"
        self._buckets[self._here].put_file(key, path, content_type)
        return key

    def link(self, job: Job, now: datetime, *, seconds: int = LINK_SECONDS) -> tuple[str, datetime] | None:
        """Return a link to a report and when it ends; None where there is no file (any more).

        Of another region's report it leads to the copy in this one, where it has arrived: that works also while
        the other region does not.
        """
        if job.result is None or now >= from_millis(job.ended_ms + KEEP_MS):
            return None
        key, bucket = job.result.key, self._buckets[job.region]
        copy = self._copies.get(job.region)
        if copy is not None and copy.exists(key):
            bucket = copy
        return bucket.link(key, seconds=seconds, filename=job.result.filename), now + timedelta(seconds=seconds)
