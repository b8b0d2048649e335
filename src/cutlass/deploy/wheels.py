"""The third-party part of a package: wheels of the locked versions, for the platform the functions run on."""

import hashlib
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from cutlass.deploy.errors import PackageError

_RUNTIME_LIBC = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
"""Wheels that run in AWS: Lambda's Amazon Linux 2023 has glibc 2.34."""

_DOWNLOAD_SECONDS = 600


class Architecture(StrEnum):
    """What packages are built for: the processors of Lambda, or the machine and the Python that build them."""

    ARM64 = "arm64"
    X86_64 = "x86_64"
    LOCAL = "local"


_MACHINES = {Architecture.ARM64: "aarch64", Architecture.X86_64: "x86_64"}


@dataclass(frozen=True, slots=True)
class Pin:
    """A distribution in the lock file: its version, the hashes of its files, and the entry as it stands there."""

    name: str
    version: str
    hashes: frozenset[str]
    entry: str


class Lock:
    """The lock file: which distributions there are, and which needs which.

    Parameters
    ----------
    text : str
        The lock file as `uv pip compile` writes it; the comments `via` tell who needs an entry.
    """

    def __init__(self, text: str) -> None:
        self.pins: dict[str, Pin] = {}
        self._needs: dict[str, set[str]] = {}
        for entry in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]:
            name, version = re.match(r"([\w.-]+)==([^\s;]+)", entry).groups()  # type: ignore[union-attr]
            hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))
            requirement = entry.partition("# via")[0].rstrip() + "\n"
            self.pins[normal(name)] = Pin(normal(name), version, hashes, requirement)
            for needing in re.findall(r"^ +# +(?:via )?([\w.-]+)", entry, re.MULTILINE):
                self._needs.setdefault(normal(needing), set()).add(normal(name))

    def closure(self, names: Iterable[str]) -> list[Pin]:
        """Return distributions and all they need, in order of their names.

        Raises
        ------
        PackageError
            One of them is not locked.
        """
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in self.pins:
                raise PackageError(f"{name} is not in requirements/lock.txt", hint="lock it with `make lock`")
            if name not in found:
                found.add(name)
                waiting += self._needs.get(name, ())
        return [self.pins[name] for name in sorted(found)]

    def distribution(self, package: str) -> str:
        """Return the locked distribution that a package is imported from.

        Raises
        ------
        PackageError
            None of the installed and locked ones has such a package.
        """
        providers = [normal(name) for name in _installed().get(package, [])]
        locked = [name for name in providers if name in self.pins]
        if not locked:
            raise PackageError(
                f"no locked distribution provides the package {package}",
                hint="add it to pyproject.toml and run `make lock setup`",
            )
        return locked[0]


@cache
def _installed() -> Mapping[str, list[str]]:
    """Return which distributions have which package; a look into every one that is installed."""
    return packages_distributions()


def normal(name: str) -> str:
    """Return a distribution's name in the one spelling that compares."""
    return re.sub(r"[-_.]+", "-", name).lower()


class Wheelhouse:
    """The wheels of one platform, kept in a folder and downloaded once.

    Parameters
    ----------
    folder : Path
        Where wheels are kept, by platform and version of Python.
    architecture : Architecture
        The platform.
    python : str
        The version of Python in AWS, such as `3.13`; `LOCAL` takes the one that runs.
    """

    def __init__(self, folder: Path, architecture: Architecture, python: str) -> None:
        local = architecture is Architecture.LOCAL
        self.python = f"{sys.version_info.major}.{sys.version_info.minor}" if local else python
        self._architecture = architecture
        self._folder = folder / f"{architecture}-{self.python}"

    def fetch(self, pins: list[Pin]) -> Mapping[str, Path]:
        """Return the wheel of each distribution by name, downloading with pip those that are not kept yet.

        Raises
        ------
        PackageError
            pip is absent or fails: there is no wheel for the platform, or the index does not answer.
        """
        kept = self._kept(pins)
        missing = [pin for pin in pins if pin.name not in kept]
        if missing:
            self._download(missing)
            kept |= self._kept(missing)
        absent = [pin.name for pin in pins if pin.name not in kept]
        if absent:
            raise PackageError(f"pip downloaded no wheel of {', '.join(absent)}", hint="run `make lock` again")
        return kept

    def _kept(self, pins: list[Pin]) -> dict[str, Path]:
        found = {}
        for pin in pins:
            for path in self._folder.glob(f"*-{pin.version}-*.whl"):
                named = normal(path.name.partition("-")[0])
                if named == pin.name and hashlib.sha256(path.read_bytes()).hexdigest() in pin.hashes:
                    found[pin.name] = path
        return found

    def _download(self, pins: list[Pin]) -> None:
        if importlib.util.find_spec("pip") is None:
            raise PackageError(f"{sys.executable} has no pip", hint="run `make setup`, or `python -m ensurepip`")
        self._folder.mkdir(parents=True, exist_ok=True)
        wanted = self._folder / "wanted.txt"
        wanted.write_text("".join(pin.entry for pin in pins), encoding="utf-8")
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
            *("--require-hashes", "--only-binary=:all:", "--dest", str(self._folder), "-r", str(wanted)),
            *self._platform(),
        ]
        done = subprocess.run(  # noqa: S603 (our own arguments)
            command, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_SECONDS
        )
        if done.returncode:
            platform = f"{self._architecture}, Python {self.python}"
            raise PackageError(
                f"pip cannot download the wheels for {platform}: {_reason(done.stderr)}",
                hint="without a connection, `cutlass package` works once the wheels are in build/wheels",
            )

    def _platform(self) -> list[str]:
        if self._architecture is Architecture.LOCAL:
            return []
        machine = _MACHINES[self._architecture]
        tags = [f"--platform={libc}_{machine}" for libc in _RUNTIME_LIBC]
        return [*tags, "--implementation=cp", f"--python-version={self.python}"]


def _reason(said: str) -> str:
    """Return the last error pip printed."""
    lines = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    return lines[-1] if lines else said.strip().rpartition("\n")[2] or "it said nothing"
