"""The model of rights between two regions, checked in every state it can reach by Spin (`escrow.pml`).

The state machines of `tests/property` draw histories of the production rules; this one leaves no history of
its small world out. Both must notice the same mistakes.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

MODEL = Path(__file__).with_name("escrow.pml")
MISTAKES = (
    "BUG_BORN_TWICE",
    "BUG_CLAIM_TWICE",
    "BUG_DELTA",
    "BUG_EARLY_READMIT",
    "BUG_LATE_ACCEPT",
    "BUG_SETTLE_DELTA",
    "BUG_UNFENCED_CLAIM",
)

needs_spin = pytest.mark.skipif(
    not (shutil.which("spin") and shutil.which("gcc")),
    reason="the model checker is not installed: apt-get install spin gcc",
)


def errors(folder: Path, *defined: str, nearest: bool = False) -> tuple[int, int]:
    """Search the states of the model; returns the errors found (at most 1) and the number of states.

    `nearest` goes by the number of steps, which finds an error soon but takes longer where there is none.
    """
    flags = [f"-D{name}" for name in defined]
    subprocess.run(["spin", *flags, "-a", MODEL], cwd=folder, check=True, capture_output=True)
    build = ["gcc", "-O1" if nearest else "-O2", "-w", "-DSAFETY", "-o", "pan", "pan.c"]
    subprocess.run([*build, "-DBFS"] if nearest else build, cwd=folder, check=True, capture_output=True)
    search = ["./pan", "-E", "-m1000000", "-w22"]
    report = subprocess.run(search, cwd=folder, check=True, capture_output=True, text=True).stdout
    assert "Search not completed" not in report or "assertion violated" in report, report
    found, states = re.search(r"errors: (\d+)", report), re.search(r"(\d+) states, stored", report)
    assert found, report
    assert states, report
    return int(found[1]), int(states[1])


@needs_spin
@pytest.mark.parametrize("claims", [(), ("UNPROVEN", "MINTED0=1")], ids=["proven", "unproven"])
def test_nothing_is_oversold_in_any_state(tmp_path: Path, claims: tuple[str, ...]) -> None:
    found, states = errors(tmp_path, *claims)
    assert found == 0
    assert states > 100_000, "the model hardly moves: something in it is stuck"


@needs_spin
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(tmp_path: Path, mistake: str) -> None:
    found, _ = errors(tmp_path, mistake, nearest=True)
    assert found == 1, f"no state shows {mistake}"


def test_every_mistake_of_the_model_is_tried() -> None:
    assert set(re.findall(r"\bBUG_\w+", MODEL.read_text(encoding="utf-8"))) == set(MISTAKES)
