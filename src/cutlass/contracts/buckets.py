"""`contracts/buckets.yaml`: the S3 buckets every region has."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cutlass.contracts.folder import read_once
from cutlass.contracts.nodes import Node, read_named

_MAX_DAYS = 3660
_PREFIX = r"[a-z][a-z0-9-]*/"


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, whose objects are deleted after `expire_days` and cheaper after `glacier_days`; None for never.

    Only objects are copied whose keys begin with `copy_prefix`. Those whose keys begin with `scratch_prefix`, None
    for none, are deleted after a day.
    """

    name: str
    title: str
    expire_days: int | None = None
    glacier_days: int | None = None
    copy_prefix: str = ""
    scratch_prefix: str | None = None

    def resource(self, environment: str, region: str, account: str, *, copy: bool = False) -> str:
        """Return the bucket's name in AWS, or that of its copy in another region."""
        what = f"{self.name}-copy" if copy else self.name
        return f"cutlass-tech-{what}-{environment}-{region}-{account}"


@read_once
def load_buckets(folder: Path) -> Mapping[str, Bucket]:
    """Return the buckets by name."""
    return read_named(folder, "buckets.yaml", _bucket)


def _bucket(name: str, node: Node) -> Bucket:
    fields = node.fields(["title"], ["expire_days", "glacier_days", "copy_prefix", "scratch_prefix"])
    expire, glacier = fields.get("expire_days"), fields.get("glacier_days")
    copied, scratch = fields.get("copy_prefix"), fields.get("scratch_prefix")
    return Bucket(
        name=name,
        title=fields["title"].text(),
        expire_days=expire.integer(1, _MAX_DAYS) if expire else None,
        glacier_days=glacier.integer(1, _MAX_DAYS) if glacier else None,
        copy_prefix=copied.text(_PREFIX) if copied else "",
        scratch_prefix=scratch.text(_PREFIX) if scratch else None,
    )
