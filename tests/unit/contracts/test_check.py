"""`python -m cutlass.contracts` says of every file at once what is wrong in it."""

import re
import subprocess
import sys
from pathlib import Path

from cutlass.contracts import FOLDER_VARIABLE
from tests.unit.contracts.test_loader import edit, folder

__all__ = ["folder"]


def run_check(folder: Path | None) -> subprocess.CompletedProcess[str]:
    environment = {} if folder is None else {FOLDER_VARIABLE: str(folder)}
    source = str(Path(__file__).parents[3] / "src")
    return subprocess.run(
        [sys.executable, "-m", "cutlass.contracts"],
        env={"PYTHONPATH": source, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_check_passes_on_what_is_committed():
    done = run_check(None)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_check_prints_one_line_per_problem(folder: Path):
    edit(folder / "plans.yaml", "included: 10000,", "included: x,")
    edit(folder / "tables.yaml", "  ledger:\n", "  leger:\n")
    done = run_check(folder)
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines
    assert all(re.match(r"contracts/\w+\.yaml:\d+: ", line) for line in lines), lines
    assert len(lines) == len(set(lines))
