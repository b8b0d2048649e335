"""A YAML file as nodes that know their line and key path, read with the types the contract asks for.

Hand-made on PyYAML's node graph, because the decision function reads the catalogue on its cold start: a
model library would add four times the start-up cost, and knows no line numbers.

A wrong value is noted as a problem and replaced by a harmless one, so that one run reports every problem;
`Document.finish` raises if there were any.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import yaml

from cutlass.domain.errors import ContractError

MAX_INTEGER = 10**12

_INTEGER, _FLOAT, _FLAG, _NULL, _TEXT = (
    f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null", "str")
)
_KINDS = {
    _INTEGER: "a whole number",
    _FLOAT: "a fraction",
    _FLAG: "true or false",
    _NULL: "nothing",
    _TEXT: "text",
}

EnumT = TypeVar("EnumT", bound=Enum)
T = TypeVar("T")


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML as JSON has it: no dates, no `yes` and `no`, no octal or sexagesimal numbers."""

    # PyYAML's own table would turn 2026-12-01 into a date and `on` into true, Terraform's reader would not.
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (PyYAML's attribute)


def _resolve_like_json() -> None:
    rules = [
        (_INTEGER, r"-?(0|[1-9][0-9]*)", "-0123456789"),
        (_FLOAT, r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", "-0123456789"),
        (_FLAG, r"true|false", "tf"),
        (_NULL, r"null|~|", ["n", "~", ""]),
    ]
    for tag, pattern, first in rules:
        _Loader.add_implicit_resolver(tag, re.compile(f"^(?:{pattern})$"), list(first))


_resolve_like_json()


class Document:
    """One contract file, and the problems found in it so far."""

    def __init__(self, folder: Path, file: str) -> None:
        self.folder = folder
        self.file = f"contracts/{file}"
        self.problems: list[str] = []
        self.root = Node(self, self._compose(folder / file), "")

    def _compose(self, path: Path) -> yaml.Node | None:
        try:
            with path.open("rb") as stream:
                node: yaml.Node | None = yaml.compose(stream, Loader=_Loader)
        except FileNotFoundError:
            raise ContractError(f"{self.file}: the file is missing", hint=self._where()) from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            what = getattr(error, "problem", None) or str(error).splitlines()[0]
            raise ContractError(f"{self.file}{line}: not YAML: {what}", hint=self._where()) from None
        if node is None:
            raise ContractError(f"{self.file}:1: the file is empty", hint=self._where())
        return node

    def _where(self) -> str:
        return f"the contracts are read from {self.folder}"

    def finish(self) -> None:
        """Raise a `ContractError` with every problem, one a line, if there is any."""
        if self.problems:
            raise ContractError("\n".join(self.problems), hint=self._where())


def read_named(folder: Path, file: str, read: Callable[[str, "Node"], T]) -> Mapping[str, T]:
    """Read a file that holds one mapping and is named like it; returns its values by name."""
    document = Document(folder, file)
    what = file.partition(".")[0]
    found = {name: read(name, node) for name, node in document.root.fields([what])[what].entries().items()}
    document.finish()
    return MappingProxyType(found)


class Node:
    """One value of a contract file. A node without a value is one that was missing, already reported."""

    __slots__ = ("_document", "_node", "path")

    def __init__(self, document: Document, node: yaml.Node | None, path: str) -> None:
        self._document = document
        self._node = node
        self.path = path

    @property
    def line(self) -> int:
        """The line the value begins on, from 1."""
        return 1 if self._node is None else self._node.start_mark.line + 1

    def problem(self, message: str, *, line: int | None = None, key: str | None = None) -> None:
        """Note that this value, or the `key` in it, is wrong; what is missing was noted before."""
        if self._node is None:
            return
        path = self.path if key is None else _join(self.path, key)
        where = f"{path}: " if path else ""
        text = f"{self._document.file}:{line or self.line}: {where}{message}"
        # A value that is read in two ways is still wrong once.
        if text not in self._document.problems:
            self._document.problems.append(text)

    def fields(self, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, "Node"]:
        """Return the mapping's values by name: each required one, and the optional ones that are given."""
        required = tuple(required)
        known = {*required, *optional}
        found: dict[str, Node] = {}
        for name, line, value in self._pairs():
            if name in known:
                found[name] = value
            else:
                self.problem(f"unknown key; known here: {', '.join(sorted(known))}", line=line, key=name)
        for name in required:
            if name not in found:
                if isinstance(self._node, yaml.MappingNode):
                    self.problem("missing", key=name)
                found[name] = Node(self._document, None, _join(self.path, name))
        return found

    def entries(self, pattern: str = r"[a-z][a-z0-9-]*") -> dict[str, "Node"]:
        """Return a mapping whose keys are names of the contract's own, each matching `pattern`."""
        found = {}
        for name, line, value in self._pairs():
            if re.fullmatch(pattern, name):
                found[name] = value
            else:
                self.problem(f"a name here must match {pattern}", line=line, key=name)
        return found

    def items(self) -> list["Node"]:
        """Return the values of a list."""
        if self._node is None:
            return []
        if not isinstance(self._node, yaml.SequenceNode):
            self._wrong("a list")
            return []
        return [Node(self._document, item, f"{self.path}[{index}]") for index, item in enumerate(self._node.value)]

    def text(self, pattern: str | None = None) -> str:
        """Return text that is not empty, and matches `pattern` where one is given."""
        value = self._scalar(_TEXT, "text")
        if value is None:
            return ""
        if not value.strip():
            self.problem("must not be empty")
        elif pattern is not None and not re.fullmatch(pattern, value):
            self.problem(f"{value!r} does not match {pattern}")
        return value

    def integer(self, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
        """Return a whole number within the bounds, both included."""
        value = self._scalar(_INTEGER, "a whole number")
        if value is None:
            return minimum
        # Python refuses to parse absurdly long digits; their count alone puts them out of bounds.
        number = int(value) if len(value) <= 20 else (-1 if value.startswith("-") else 10**20)
        if not minimum <= number <= maximum:
            self.problem(f"{value[:24]} is not between {minimum} and {maximum}")
            return minimum
        return number

    def flag(self) -> bool:
        """Return true or false."""
        return self._scalar(_FLAG, "true or false") == "true"

    def choice(self, options: type[EnumT]) -> EnumT:
        """Return the member of `options` whose value is this text."""
        first, *_ = options
        value = self._scalar(_TEXT, "text")
        for option in options:
            if option.value == value:
                return option
        if value is not None:
            self.problem(f"{value!r} is not one of {', '.join(str(option.value) for option in options)}")
        return first

    def reference(self, targets: Mapping[str, object], kind: str) -> str:
        """Return text that is the name of one of `targets`."""
        value = self._scalar(_TEXT, "text")
        if value is not None and value not in targets:
            self.problem(f"there is no {kind} {value!r}; there are: {', '.join(sorted(targets)) or 'none'}")
        return value or ""

    def is_text(self, value: str) -> bool:
        """Tell whether this is exactly that text."""
        return isinstance(self._node, yaml.ScalarNode) and self._node.tag == _TEXT and self._node.value == value

    def plain(self) -> Any:
        """Return the value as JSON would have it."""
        if isinstance(self._node, yaml.MappingNode):
            return {name: value.plain() for name, _, value in self._pairs()}
        if isinstance(self._node, yaml.SequenceNode):
            return [item.plain() for item in self.items()]
        if isinstance(self._node, yaml.ScalarNode):
            return self._plain_scalar(self._node)
        return None

    def mappings(self) -> Iterator["Node"]:
        """Yield every mapping at or below this value."""
        children: Iterable[Node] = ()
        if isinstance(self._node, yaml.MappingNode):
            yield self
            children = (value for _, _, value in self._pairs())
        elif isinstance(self._node, yaml.SequenceNode):
            children = self.items()
        for child in children:
            yield from child.mappings()

    def _plain_scalar(self, node: yaml.ScalarNode) -> Any:
        if node.tag == _TEXT:
            return node.value
        if node.tag == _INTEGER:
            return int(node.value)
        if node.tag == _FLOAT:
            return float(node.value)
        if node.tag == _FLAG:
            return node.value == "true"
        if node.tag != _NULL:
            self.problem(f"unknown tag {node.tag}")
        return None

    def _pairs(self) -> Iterable[tuple[str, int, "Node"]]:
        if self._node is None:
            return
        if not isinstance(self._node, yaml.MappingNode):
            self._wrong("a mapping")
            return
        seen: dict[str, int] = {}
        for key, value in self._node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode) or key.tag != _TEXT:
                self.problem(f"the key {key.value!r} must be text; put it in quotes", line=line)
            elif key.value in seen:
                self.problem(f"given twice, first on line {seen[key.value]}", line=line, key=key.value)
            else:
                seen[key.value] = line
                yield key.value, line, Node(self._document, value, _join(self.path, key.value))

    def _scalar(self, tag: str, expected: str) -> str | None:
        if self._node is None:
            return None
        if isinstance(self._node, yaml.ScalarNode) and self._node.tag == tag:
            return str(self._node.value)
        self._wrong(expected)
        return None

    def _wrong(self, expected: str) -> None:
        node = self._node
        if isinstance(node, yaml.ScalarNode):
            kind = _KINDS.get(node.tag, node.tag)
            given = kind if node.tag == _NULL else f"{kind} ({node.value[:40]})"
        else:
            given = "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
        self.problem(f"must be {expected}, not {given}")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
