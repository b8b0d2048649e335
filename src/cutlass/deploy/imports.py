"""What a function imports, read off the sources: modules of Cutlass, other packages, contract files.

Nothing is run. An import inside a function counts, for some call may reach it; one for type checkers does not.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cutlass.deploy.errors import PackageError

PACKAGE = "cutlass"
CONTRACTS = f"{PACKAGE}.contracts"
_ZONES = "zoneinfo"
"""The module of the standard library that reads its data from a package, tzdata, where the system has none."""


@dataclass(frozen=True, slots=True)
class Imports:
    """What a function needs beside Python itself.

    Attributes
    ----------
    modules : frozenset of str
        Modules of Cutlass, with the packages around them.
    packages : frozenset of str
        Names under which other distributions are imported.
    contracts : frozenset of str
        Files and folders of `contracts/`.
    """

    modules: frozenset[str]
    packages: frozenset[str]
    contracts: frozenset[str]


@dataclass(slots=True)
class _Module:
    """One module: which it imports, from where it takes which names, and the texts written in it."""

    imports: set[str] = field(default_factory=set)
    taken: set[tuple[str, str]] = field(default_factory=set)
    texts: set[str] = field(default_factory=set)


class Sources:
    """The sources of Cutlass.

    Parameters
    ----------
    folder : Path
        The folder that holds the package `cutlass`.
    contracts : Path
        The folder of the contract files.
    """

    def __init__(self, folder: Path, contracts: Path) -> None:
        self._folder = folder
        self._contracts = contracts
        self._module = cache(self._read)

    def path(self, module: str) -> Path | None:
        """Return a module's file, None where there is no such module of Cutlass."""
        if module.partition(".")[0] != PACKAGE:
            return None
        place = self._folder.joinpath(*module.split("."))
        return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)

    def needed(self, module: str) -> Imports:
        """Return what a module needs, and all it imports need.

        Raises
        ------
        PackageError
            There is no such module, or one imports another by a relative name.
        """
        if self.path(module) is None:
            raise PackageError(
                f"there is no module {module}", hint="correct the handler in contracts/functions.yaml"
            )
        modules = self._closure([module])
        packages = {
            name.partition(".")[0]
            for inner in modules
            for name in self._module(inner).imports
            if self.path(name) is None
        }
        zones = {"tzdata"} if _ZONES in packages else set()
        loaded = {
            file
            for inner in modules
            if not inner.startswith(CONTRACTS)
            for source, name in self._module(inner).taken
            if source == CONTRACTS
            for file in self._files(name)
        }
        return Imports(
            frozenset(modules), frozenset(packages - sys.stdlib_module_names | zones), frozenset(loaded)
        )

    def _files(self, name: str) -> Iterator[str]:
        """Give the contract files that a name of `cutlass.contracts` reads: those named where it is defined."""
        for source, taken in self._module(CONTRACTS).taken:
            if taken == name:
                for module in self._closure([source], within=f"{CONTRACTS}."):
                    texts = self._module(module).texts
                    yield from (text for text in texts if (self._contracts / text).exists())

    def _closure(self, modules: Iterable[str], within: str = "") -> set[str]:
        found: set[str] = set()
        waiting = list(modules)
        while waiting:
            module = waiting.pop()
            if module in found or not module.startswith(within) or self.path(module) is None:
                continue
            found.add(module)
            waiting += self._module(module).imports
            waiting.append(module.rpartition(".")[0])  # importing a module runs the packages around it
        return found

    def _read(self, module: str) -> _Module:
        path = self.path(module)
        if path is None:
            raise PackageError(f"there is no module {module}")
        read = _Module()
        for node in _run(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                read.imports |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                if node.level or node.module is None:
                    raise PackageError(
                        f"{module} imports by a relative name, in line {node.lineno}", hint="write the full name"
                    )
                read.imports.add(node.module)
                read.taken |= {(node.module, alias.name) for alias in node.names}
                submodules = (f"{node.module}.{alias.name}" for alias in node.names)
                read.imports |= {name for name in submodules if self.path(name) is not None}
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_name(node.value):
                read.texts.add(node.value)
        return read


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Give all nodes but those for type checkers."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for node in child.orelse:
                yield from _run(node)
        else:
            yield from _run(child)


def _is_name(text: str) -> bool:
    """Return whether a text may be the name of a file, not a path or a sentence."""
    return bool(text) and all(letter.isalnum() or letter in "._-" for letter in text) and text.strip(".") != ""
