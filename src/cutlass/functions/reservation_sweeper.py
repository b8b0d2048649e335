"""On a schedule: gives back this region's reservations whose deadline has passed."""

from cutlass.storage import open_store

PER_SHARD = 250
"""Deadlines of each shard that one run looks at, so that it ends in its time; the next run goes on."""


def handler(_event: object, _context: object) -> None:
    """End what is overdue; a failure is raised behind all that could be ended."""
    open_store().reservations.expire_overdue(PER_SHARD)
