"""The archive's contract: what is wrong is named by file, line and key, and the code keeps to it."""

from pathlib import Path

import pytest

from cutlass.contracts import load_archive, load_buckets, load_functions
from cutlass.domain.errors import ContractError
from cutlass.reporting.layout import ROOT
from cutlass.reporting.rows import rows_of
from tests.unit.contracts.test_loader import edit, folder
from tests.unit.reporting.samples import PAID, PLAN, entry

__all__ = ["folder"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("from_megabytes: 1024", "from_megabytes: -1", "athena.from_megabytes"),
        ("from_megabytes: 1024", "from_bytes: 1024", "from_bytes: unknown key"),
        ("most_gigabytes: 200", "most_gigabytes: 0", "athena.most_gigabytes"),
        ("most_gigabytes: 200", "most_gigabytes: 1", None),
        ("from_megabytes: 1024", "from_megabytes: 204801", "no query would be answered"),
        ("type: INTEGER", "type: DOUBLE", "'DOUBLE' is not one of VARCHAR, BIGINT, INTEGER, BOOLEAN"),
        ("name: meter", "name: Meter", "does not match"),
        ("name: meter", "name: feature", "the column 'feature' is given twice"),
        ('about: "feature"', 'about: ""', "must not be empty"),
    ],
)
def test_what_is_wrong_with_the_archive_is_named(folder: Path, old: str, new: str, expected: str | None) -> None:
    edit(folder / "archive.yaml", old, new)
    if expected is None:
        assert load_archive().athena_most_bytes == 1024**3
        return
    with pytest.raises(ContractError, match=r"contracts/archive.yaml:[0-9]+: ") as wrong:
        load_archive()
    assert expected in wrong.value.message


def test_a_function_that_asks_athena_reads_the_archive(folder: Path) -> None:
    edit(
        folder / "functions.yaml",
        "    title: The plan catalogue\n",
        "    title: The plan catalogue\n    athena: true\n",
    )
    with pytest.raises(ContractError, match=r"functions\.plans\.athena: asks the archive"):
        load_functions()


def test_a_row_has_a_value_for_each_column() -> None:
    rows = list(rows_of(entry(1, units=7, spent=((PLAN, 3), (PAID, 2)))))
    assert len(rows) == 3
    names = [column.name for column in load_archive().columns]
    for row in rows:
        found = dict(zip(names, row, strict=True))
        assert (found["org_id"], found["user_id"], found["meter"]) == ("org1", "ann", "requests")
    assert [dict(zip(names, row, strict=True))["units"] for row in rows] == [3, 2, 2]


def test_the_archive_is_where_the_bucket_says_and_answers_are_not_in_it() -> None:
    bucket = load_buckets()["archive"]
    assert bucket.copy_prefix == ROOT
    assert bucket.scratch_prefix is not None
    assert not bucket.scratch_prefix.startswith(ROOT)
