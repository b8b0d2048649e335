"""Every function's package runs by itself: its handler is imported, its store opened, with nothing else there."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cutlass.contracts import load_functions
from cutlass.deploy.errors import PackageError
from cutlass.deploy.packages import Builder, Checkout, Package
from cutlass.deploy.wheels import Architecture

TRY = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
module = importlib.import_module(sys.argv[2])
assert callable(module.handler)
if hasattr(module, "open_store"):
    module.open_store()
foreign = sorted(
    name for name, found in sys.modules.items()
    if getattr(found, "__file__", None) and "site-packages" in found.__file__
)
print(json.dumps(foreign))
"""


@pytest.fixture(scope="module")
def packages() -> dict[str, Package]:
    """The packages for this machine, as `cutlass package --architecture local` leaves them."""
    builder = Builder(Checkout.of_this_code(), Architecture.LOCAL)
    try:
        return {package.name: package for package in builder.build()}
    except PackageError as error:
        if "pip cannot download" not in error.message:
            raise
        pytest.skip(error.message)


@pytest.mark.parametrize("name", load_functions())
def test_a_package_needs_nothing_beside_it(name: str, packages: dict[str, Package], tmp_path: Path) -> None:
    folder = Checkout.of_this_code().zips(Architecture.LOCAL)
    with zipfile.ZipFile(folder / packages[name].path) as archive:
        archive.extractall(tmp_path)
    module = load_functions()[name].handler.rpartition(".")[0]
    environment = {
        "CUTLASS_ENVIRONMENT": "dev",
        "CUTLASS_REGION": "london",
        "AWS_ACCESS_KEY_ID": "111111111111",
        "AWS_SECRET_ACCESS_KEY": "local",
        "POWERTOOLS_SERVICE_NAME": "cutlass",
        "POWERTOOLS_METRICS_NAMESPACE": "Cutlass",
    }
    # Isolated, and without the site packages of this environment.
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", TRY, str(tmp_path), module]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout) == [], "these did not come from the package"


def test_a_package_lacks_what_its_function_does_not_import(packages: dict[str, Package]) -> None:
    folder = Checkout.of_this_code().zips(Architecture.LOCAL)
    with zipfile.ZipFile(folder / packages["usage-check"].path) as archive:
        roots = {name.partition("/")[0] for name in archive.namelist()}
    assert "botocore" in roots
    assert not roots & {"pydantic", "pydantic_core", "cryptography", "boto3", "ministack", "typer"}
