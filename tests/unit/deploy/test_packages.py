"""The functions' zips: what is in them, that their bytes depend on nothing else, and what goes wrong."""

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cutlass.cli.main import main
from cutlass.contracts import contracts_folder, load_functions, load_python
from cutlass.deploy import packages, wheels
from cutlass.deploy.errors import PackageError
from cutlass.deploy.packages import MANIFEST, Builder, Checkout
from cutlass.deploy.wheels import Architecture, Lock
from tests.unit.project.repository import ROOT

ARM64 = Architecture.ARM64
DISTRIBUTIONS = {
    "botocore": ["botocore/__init__.py", "botocore/data/s3/service-2.json", "botocore/auth.pyi"],
    "PyYAML": ["yaml/__init__.py", "yaml/_yaml.so", "pyyaml-1.0.dist-info/licenses/LICENSE"],
    "tzdata": ["tzdata/zones", "tzdata-1.0.dist-info/RECORD"],
    "urllib3": ["urllib3/__init__.py"],
    "six": ["six.py"],
}

Make = Callable[[str], Checkout]


def wheel(files: list[str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in files:
            archive.writestr(zipfile.ZipInfo(name), f"# {name}\n")  # with the same time, whenever it is made
    return made.getvalue()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make checkouts with our own sources and a lock file of wheels that are already there."""

    def made(name: str) -> Checkout:
        root = tmp_path / name
        left_out = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src" / "cutlass", root / "src" / "cutlass", ignore=left_out)
        shutil.copytree(contracts_folder(), root / "contracts")
        checkout = Checkout(root, root / "contracts")
        kept = checkout.wheels / f"{ARM64}-{load_python()}"
        for folder in (kept, checkout.lock.parent):
            folder.mkdir(parents=True)
        lock = ""
        for distribution, files in DISTRIBUTIONS.items():
            data = wheel(files)
            (kept / f"{distribution.lower()}-1.0-py3-none-any.whl").write_bytes(data)
            needing = "botocore" if distribution == "six" else "cutlass (pyproject.toml)"
            hashed = hashlib.sha256(data).hexdigest()
            lock += f"{distribution}==1.0 \\\n    --hash=sha256:{hashed}\n    # via {needing}\n"
        checkout.lock.write_text(lock, encoding="utf-8")
        return checkout

    return made


def names(checkout: Checkout, function: str) -> set[str]:
    with zipfile.ZipFile(checkout.zips(ARM64) / f"{function}.zip") as archive:
        return set(archive.namelist())


def test_a_package_holds_what_the_function_imports_and_no_more(make: Make) -> None:
    checkout = make("one")
    (built,) = Builder(checkout, ARM64).build(["heartbeat"])
    held = names(checkout, "heartbeat")
    assert {"cutlass/__init__.py", "cutlass/functions/heartbeat.py", "cutlass/storage/usage.py"} <= held
    contracts = {name for name in held if name.startswith("cutlass/contracts/data/")}
    assert contracts == {"cutlass/contracts/data/plans.yaml", "cutlass/contracts/data/regions.yaml"}
    assert not {name for name in held if name.startswith(("cutlass/cli", "cutlass/api", "cutlass/platform"))}
    assert {name for name in held if not name.startswith("cutlass/")} == {
        *("botocore/__init__.py", "yaml/__init__.py", "yaml/_yaml.so", "tzdata/zones", "urllib3/__init__.py"),
        *("six.py", "pyyaml-1.0.dist-info/licenses/LICENSE"),
    }
    assert built.bytes == (checkout.zips(ARM64) / built.path).stat().st_size


def test_the_same_sources_give_the_same_bytes_wherever_and_whenever(make: Make) -> None:
    one, other = make("one"), make("other")
    for path in other.root.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    found = [Builder(checkout, ARM64).build(["heartbeat"])[0] for checkout in (one, other)]
    assert found[0] == found[1]
    zips = [(checkout.zips(ARM64) / "heartbeat.zip").read_bytes() for checkout in (one, other)]
    assert zips[0] == zips[1]
    with zipfile.ZipFile(one.zips(ARM64) / "heartbeat.zip") as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {(entry.date_time, entry.external_attr) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644 << 16)
    }


def test_nothing_is_built_again_until_something_changes(make: Make) -> None:
    checkout = make("one")
    wanted = ["heartbeat", "reservation-sweeper"]

    def build() -> dict[str, int]:
        Builder(checkout, ARM64).build(wanted)
        return {name: (checkout.zips(ARM64) / f"{name}.zip").stat().st_ino for name in wanted}

    first = build()
    assert build() == first
    source = checkout.sources / "cutlass/functions/heartbeat.py"
    source.write_text(source.read_text(encoding="utf-8") + "# more\n", encoding="utf-8")
    second = build()
    assert second["heartbeat"] != first["heartbeat"]
    assert second["reservation-sweeper"] == first["reservation-sweeper"]


def test_a_damaged_zip_and_a_manifest_nobody_can_read_are_made_again(make: Make) -> None:
    checkout = make("one")
    (built,) = Builder(checkout, ARM64).build(["heartbeat"])
    target, manifest = checkout.zips(ARM64) / "heartbeat.zip", checkout.zips(ARM64) / MANIFEST
    target.write_bytes(target.read_bytes()[:-1])
    assert Builder(checkout, ARM64).build(["heartbeat"]) == [built]
    assert hashlib.sha256(target.read_bytes()).hexdigest() == built.sha256
    manifest.write_text("{", encoding="utf-8")
    assert Builder(checkout, ARM64).build(["heartbeat"]) == [built]
    assert json.loads(manifest.read_text(encoding="utf-8"))["functions"]["heartbeat"]["sha256"] == built.sha256


def test_the_manifest_keeps_what_was_built_before_and_drops_what_is_gone(make: Make) -> None:
    checkout = make("one")
    Builder(checkout, ARM64).build(["heartbeat"])
    manifest = checkout.zips(ARM64) / MANIFEST
    told = json.loads(manifest.read_text(encoding="utf-8"))
    assert (told["architecture"], told["python"]) == ("arm64", load_python())
    told["functions"]["gone"] = told["functions"]["heartbeat"] | {"path": "gone.zip"}
    manifest.write_text(json.dumps(told), encoding="utf-8")
    (checkout.zips(ARM64) / "gone.zip").touch()
    Builder(checkout, ARM64).build(["reservation-sweeper"])
    told = json.loads(manifest.read_text(encoding="utf-8"))
    assert list(told["functions"]) == ["heartbeat", "reservation-sweeper"]
    assert not (checkout.zips(ARM64) / "gone.zip").exists()


@pytest.mark.parametrize("limit", ["ZIP_LIMIT", "UNPACKED_LIMIT"])
def test_a_package_too_large_for_lambda_is_not_made(
    make: Make, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    checkout = make("one")
    monkeypatch.setattr(packages, limit, 1000)
    with pytest.raises(PackageError, match=r"heartbeat has .* bytes, unpacked .*; Lambda takes"):
        Builder(checkout, ARM64).build(["heartbeat"])
    assert not (checkout.zips(ARM64) / "heartbeat.zip").exists()


def test_a_wheel_with_other_bytes_than_the_lock_files_is_not_used(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = make("one")
    (kept,) = checkout.wheels.glob("*/six-1.0-*.whl")
    kept.write_bytes(wheel(["other.py"]))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(PackageError, match=r"pip cannot download the wheels for arm64, Python 3\.13: .*six==1\.0"):
        Builder(checkout, ARM64).build(["heartbeat"])


def test_without_pip_the_error_says_how_to_get_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = make("one")
    shutil.rmtree(checkout.wheels)
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(PackageError, match="has no pip") as told:
        Builder(checkout, ARM64).build(["heartbeat"])
    assert "make setup" in (told.value.hint or "")


def test_an_installed_copy_says_that_it_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.cutlass, "__file__", str(tmp_path / "lib/site/cutlass/__init__.py"))
    with pytest.raises(PackageError, match="built from a checkout"):
        Checkout.of_this_code()


def test_the_command_names_the_functions_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["package", "--function", "usage-chek"]) == 1
    told = capsys.readouterr().err
    assert "there is no function 'usage-chek'" in told
    assert "usage-check" in told


def test_every_function_has_locked_packages() -> None:
    lock = Lock((ROOT / "requirements/lock.txt").read_text(encoding="utf-8"))
    builder = Builder(Checkout.of_this_code(), ARM64)
    for function in load_functions().values():
        imports = builder._needed(function)
        assert {lock.distribution(package) for package in imports.packages} <= lock.pins.keys()


def test_a_distribution_brings_all_it_needs() -> None:
    lock = Lock((ROOT / "requirements/lock.txt").read_text(encoding="utf-8"))
    needed = {pin.name for pin in lock.closure(["joserfc"])}
    assert {"joserfc", "cryptography", "cffi"} <= needed
    assert {pin.name for pin in lock.closure(["botocore"])} == {
        *("botocore", "jmespath", "python-dateutil", "six", "urllib3")
    }
    with pytest.raises(PackageError, match=r"nonesuch is not in requirements/lock\.txt"):
        lock.closure(["nonesuch"])
