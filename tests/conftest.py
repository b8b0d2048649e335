"""Settings of every test.

A random failure is reproducible: Hypothesis prints the smallest failing example and, in the `ci` profile, a
`@reproduce_failure(...)` line; put that above the test (of a state machine: above its `TestCase` class) and it
fails again. pytest's `--hypothesis-seed=N` repeats a whole run; each run's seed is printed with its failure.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.terraform import LAYERS

DEPLOY = Path(__file__).parent / "deploy"

LONG = (
    "tests/e2e/test_alerts.py",
    "tests/e2e/test_platform_faults.py",
    "tests/e2e/test_region_loss.py",
    "test_kills_in_the_middle_of_load",
    "tests/integration/test_archive_buckets.py",
    "tests/integration/test_packages.py",
    "tests/integration/test_peers.py",
    "tests/integration/platform/test_alert_delivery.py",
)
"""Parts of the names of tests that `make test` leaves to CI, beside those of further engines."""

_LAYER_OF = {"test_compute.py": "200-compute-layer", "test_interface.py": "300-api-layer"}
"""Whose plans the tests of a file look at that do not name it."""

settings.register_profile(
    "ci",
    max_examples=60,
    deadline=None,  # machines differ, and a slow example is no wrong one
    derandomize=False,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("ci"), max_examples=2_000)
settings.load_profile("ci")


class Together(LoadScopeScheduling):
    """Keeps tests that share something costly in one process: a platform, packages, a year, a layer's plans.

    xdist's own `loadgroup` cannot: it writes the group into an attribute that pytest 9.2 no longer reads.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/e2e/"):
            return "e2e"
        if nodeid.startswith(("tests/integration/test_packages.py", "tests/integration/test_statement_year.py")):
            return nodeid.partition("::")[0]
        if nodeid.startswith("tests/infra/"):
            path = nodeid.partition("::")[0]
            return next((name for name in LAYERS if name in nodeid), _LAYER_OF.get(Path(path).name, path))
        return nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Replace `--dist loadgroup`."""
    return Together(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave tests/deploy out unless it is asked for: it takes minutes, and `make test-deploy` runs it."""
    if collection_path != DEPLOY:
        return None
    asked = (config.invocation_params.dir / argument.partition("::")[0] for argument in config.args)
    return not any(path.resolve().is_relative_to(DEPLOY) for path in asked) or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what takes long."""
    for item in items:
        if any(part in item.nodeid for part in LONG):
            item.add_marker(pytest.mark.long)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say once, not once per test, why tests were skipped and what to install for them."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.stats.get("skipped", ()))
    for reason, tests in reasons.items():
        terminalreporter.write_line(f"{tests} skipped: {reason.removeprefix('Skipped: ')}")
