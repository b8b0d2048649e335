"""One zip per function, for Lambda: only what the function imports, and the same bytes for the same sources."""

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import cutlass
from cutlass.contracts import Function, contracts_folder, load_functions, load_python
from cutlass.deploy.errors import PackageError
from cutlass.deploy.imports import Imports, Sources
from cutlass.deploy.wheels import Architecture, Lock, Pin, Wheelhouse

MANIFEST = "manifest.json"

ZIP_LIMIT, UNPACKED_LIMIT = 50 * 2**20, 250 * 2**20
"""Lambda's limits, in bytes: of a zip that is sent with the request, and of what it unpacks to."""

_FORM = 1
"""Raised when zips are put together in another way, so that those that are there are made again."""

_TIME = (1980, 1, 1, 0, 0, 0)  # the first a zip can name
_MODE = 0o100644 << 16
_LEVEL = 6

_LEFT_OUT = (
    "botocore/data/*",  # models of every service, 20 MB: clients read them, and we make none (decision 0003)
    "*.pyi",
    "*/py.typed",
    "*.dist-info/RECORD",  # lists what is left out too
    "*.dist-info/INSTALLER",
    "*.data/*",  # scripts and headers, for an installation
    "*/__pycache__/*",
)

Contents = dict[str, bytes]
"""What goes into a zip, by its path there."""

Tell = Callable[[str, int], None]
"""Is told a function's name and how many packages are done."""


@dataclass(frozen=True, slots=True)
class Package:
    """A function's zip.

    Attributes
    ----------
    name, path : str
        The function, and the file in the architecture's folder.
    bytes, unpacked_bytes : int
        The size of the zip, and of what is in it.
    sha256 : str
        The zip's hash, in hexadecimal.
    inputs : str
        The hash of all it was made of.
    """

    name: str
    path: str
    bytes: int
    unpacked_bytes: int
    sha256: str
    inputs: str


@dataclass(frozen=True, slots=True)
class Checkout:
    """The folders that packages are made from and put into."""

    root: Path
    contracts: Path

    @classmethod
    def of_this_code(cls) -> "Checkout":
        """Return the checkout this code runs from.

        Raises
        ------
        PackageError
            It runs from an installed copy, which has no lock file.
        """
        root = Path(cutlass.__file__).resolve().parents[2]
        if not (root / "requirements" / "lock.txt").is_file():
            raise PackageError(
                "packages are built from a checkout, and this is an installed copy of Cutlass",
                hint="run `.venv/bin/cutlass package` in a clone of the repository",
            )
        return cls(root, contracts_folder())

    @property
    def sources(self) -> Path:
        """The folder of the package `cutlass`."""
        return self.root / "src"

    @property
    def lock(self) -> Path:
        """The lock file."""
        return self.root / "requirements" / "lock.txt"

    @property
    def wheels(self) -> Path:
        """Where wheels are kept."""
        return self.root / "build" / "wheels"

    def zips(self, architecture: Architecture) -> Path:
        """Where the packages of an architecture are put."""
        return self.root / "build" / "lambda" / architecture


class Builder:
    """Builds packages of one architecture.

    Parameters
    ----------
    checkout : Checkout
        Where from and where to.
    architecture : Architecture
        For what they are.
    """

    def __init__(self, checkout: Checkout, architecture: Architecture) -> None:
        self._checkout = checkout
        self._architecture = architecture
        self._sources = Sources(checkout.sources, checkout.contracts)
        self._lock = Lock(checkout.lock.read_text(encoding="utf-8"))
        self._wheelhouse = Wheelhouse(checkout.wheels, architecture, load_python())
        self.folder = checkout.zips(architecture)

    def build(self, names: Iterable[str] | None = None, tell: Tell = lambda _name, _done: None) -> list[Package]:
        """Build the named functions' packages, or all; what is there already and is still right is kept.

        Raises
        ------
        PackageError
            There is no such function, a wheel cannot be had, or a package is too large for Lambda.
        """
        functions = load_functions()
        wanted = [_known(functions, name) for name in names] if names else list(functions.values())
        needs = {function.name: self._needed(function) for function in wanted}
        pins = {name: self._pins(imports) for name, imports in needs.items()}
        wheels = self._wheelhouse.fetch(list({pin.name: pin for found in pins.values() for pin in found}.values()))
        before = self._before()
        packages = []
        for done, function in enumerate(wanted):
            tell(function.name, done)
            packages.append(self._package(function, needs[function.name], pins[function.name], wheels, before))
        self._tell_all({**before, **{package.name: package for package in packages}}, functions)
        return packages

    def _needed(self, function: Function) -> Imports:
        return self._sources.needed(function.handler.rpartition(".")[0])

    def _pins(self, imports: Imports) -> list[Pin]:
        return self._lock.closure(self._lock.distribution(package) for package in imports.packages)

    def _package(
        self,
        function: Function,
        imports: Imports,
        pins: list[Pin],
        wheels: Mapping[str, Path],
        before: Mapping[str, Package],
    ) -> Package:
        contents = self._own(imports)
        locked = [f"{pin.name} {pin.version} {sorted(pin.hashes)}" for pin in pins]
        inputs = _digest([str(_FORM), self._architecture, self._wheelhouse.python, *locked], contents)
        kept, target = before.get(function.name), self.folder / f"{function.name}.zip"
        if kept is not None and kept.inputs == inputs and _sha256(target) == kept.sha256:
            return kept
        for pin in pins:
            contents |= _unpacked(wheels[pin.name])
        zipped = _zipped(contents)
        unpacked = sum(map(len, contents.values()))
        if len(zipped) > ZIP_LIMIT or unpacked > UNPACKED_LIMIT:
            sizes = f"{len(zipped):,} bytes, unpacked {unpacked:,}"
            raise PackageError(
                f"{function.name} has {sizes}; Lambda takes {ZIP_LIMIT:,} and {UNPACKED_LIMIT:,}",
                hint="leave out of its imports what it does not need",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        _write(target, zipped)
        return Package(function.name, target.name, len(zipped), unpacked, _hash(zipped), inputs)

    def _own(self, imports: Imports) -> Contents:
        """Return the modules and contract files of Cutlass that go into a package."""
        paths = {
            path.relative_to(self._checkout.sources).as_posix(): path
            for path in map(self._sources.path, imports.modules)
            if path is not None
        }
        for name in imports.contracts:
            for path in _files(self._checkout.contracts / name):
                paths[f"cutlass/contracts/data/{path.relative_to(self._checkout.contracts).as_posix()}"] = path
        return {name: path.read_bytes() for name, path in paths.items()}

    def _before(self) -> dict[str, Package]:
        """Return what the manifest tells of packages built before; one that cannot be read tells of none."""
        try:
            told = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))["functions"]
            return {name: Package(name=name, **facts) for name, facts in told.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _tell_all(self, packages: Mapping[str, Package], functions: Mapping[str, Function]) -> None:
        """Write the manifest; what is no function any more is taken away, with its zip."""
        for name in packages.keys() - functions.keys():
            (self.folder / packages[name].path).unlink(missing_ok=True)
        manifest = {
            "architecture": str(self._architecture),
            "python": self._wheelhouse.python,
            "functions": {
                name: {key: value for key, value in asdict(packages[name]).items() if key != "name"}
                for name in sorted(packages.keys() & functions.keys())
            },
        }
        text = json.dumps(manifest, indent=2) + "\n"
        _write(self.folder / MANIFEST, text.encode())


def _known(functions: Mapping[str, Function], name: str) -> Function:
    if name not in functions:
        raise PackageError(f"there is no function {name!r}", hint=f"there are: {', '.join(sorted(functions))}")
    return functions[name]


def _files(path: Path) -> Iterator[Path]:
    """Give a file, or those in a folder."""
    yield from [path] if path.is_file() else (inner for inner in path.rglob("*") if inner.is_file())


@cache
def _unpacked(wheel: Path) -> Contents:
    """Return what of a wheel goes into a package."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        return {
            name: archive.read(name)
            for name in names
            if not any(fnmatchcase(name, pattern) for pattern in _LEFT_OUT)
        }


def _zipped(contents: Contents) -> bytes:
    """Return a zip in which nothing tells when, where and by whom it was made."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _TIME)
            entry.create_system = 3  # Unix, on every machine
            entry.external_attr = _MODE
            archive.writestr(entry, contents[name], zipfile.ZIP_DEFLATED, _LEVEL)
    return made.getvalue()


def _digest(words: list[str], contents: Contents) -> str:
    files = [[name, _hash(contents[name])] for name in sorted(contents)]
    return _hash(json.dumps([words, files]).encode())


def _sha256(path: Path) -> str | None:
    try:
        return _hash(path.read_bytes())
    except OSError:
        return None


def _write(target: Path, data: bytes) -> None:
    """Put a file in place whole, also beside another run that writes the same one."""
    partial = target.with_suffix(f".{os.getpid()}.part")
    partial.write_bytes(data)
    partial.replace(target)


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
