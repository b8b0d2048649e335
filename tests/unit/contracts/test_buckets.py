"""Buckets, and what functions do with them and with queues: what is wrong is named by file, line and key."""

import re
from pathlib import Path

import pytest

from cutlass.contracts import load_buckets, load_functions
from cutlass.domain.errors import ContractError
from tests.unit.contracts.test_loader import edit, folder

__all__ = ["folder"]


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("functions.yaml", "buckets: {reports: read}", "buckets: {report: read}", "there is no bucket 'report'"),
        (
            "functions.yaml",
            "buckets: {reports: read}",
            "buckets: {reports: own}",
            "functions.notifier.buckets.reports",
        ),
        ("functions.yaml", "sends: [reports, ", "sends: [report, ", "there is no queue 'report'"),
        ("functions.yaml", "ephemeral_mb: 4096", "ephemeral_mb: 256", "ephemeral_mb"),
        ("buckets.yaml", "expire_days: 90", "expire_days: 0", "buckets.reports.expire_days"),
        ("buckets.yaml", "glacier_days: 90", "ice_days: 90", "ice_days"),
    ],
)
def test_what_is_wrong_with_buckets_and_queues_is_named(
    folder: Path, file: str, old: str, new: str, expected: str
):
    edit(folder / file, old, new)
    with pytest.raises(ContractError, match=f"contracts/{re.escape(file)}:.*{re.escape(expected)}"):
        (load_buckets if file == "buckets.yaml" else load_functions)()


def test_a_bucket_and_its_copy_are_named_after_their_region() -> None:
    bucket = load_buckets()["reports"]
    assert bucket.resource("dev", "london", "111111111111") == "cutlass-tech-reports-dev-london-111111111111"
    copy = bucket.resource("dev", "london", "111111111111", copy=True)
    assert copy == "cutlass-tech-reports-copy-dev-london-111111111111"
