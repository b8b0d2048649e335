"""What every file of the repository has to keep."""

import ast
import re
import tomllib

from tests.unit.project.repository import ROOT, files, texts

LOCK = ROOT / "requirements" / "lock.txt"

LONGEST_FILE = 420
"""Lines of a Python file; "under 400" with a little grace for one that is about to be divided."""

# Written in pieces, so that this file does not name what it looks for.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("proxy", "golang", "org"),
        ("crates", "io"),
        ("registry", "terraform", "io"),
    )
]
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|Users|root|opt|work)/[\w.-]+")

RANK = {
    "domain": 0,
    "contracts": 1,
    "storage": 2,
    "api": 3,
    "notifications": 3,
    "reporting": 3,
    "functions": 4,
    "platform": 5,
    "deploy": 5,
    "simulation": 5,
    "cli": 6,
}
"""The packages from the rules up to the command: each may import what stands below it."""


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    found = []
    for name, text in texts():
        for number, line in enumerate(text.splitlines(), 1):
            hosts = [host for host in REGISTRY_HOSTS if host in line]
            if hosts or MACHINE_PATHS.search(line):
                found.append(f"{name}:{number}: {line.strip()[:120]}")
    assert not found, "a registry's host or one machine's path is written down:\n" + "\n".join(found)


def test_the_lock_file_has_hashes_and_no_address() -> None:
    text = LOCK.read_text(encoding="utf-8")
    assert "://" not in text, "the lock file names an address"
    assert not re.search(r"^\s*--(index-url|extra-index-url|find-links|trusted-host)", text, re.MULTILINE)
    requirements = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert requirements, "the lock file is empty"
    bare = [block.splitlines()[0] for block in requirements if "--hash=sha256:" not in block]
    assert not bare, f"locked without a hash: {bare}"


def test_every_dependency_is_locked() -> None:
    locked = set(re.findall(r"^([A-Za-z0-9._-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    missing = [name for name in dependencies() if name not in locked]
    assert not missing, f"not in the lock file, run `make lock`: {missing}"


def test_python_files_stay_short() -> None:
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines()) for path in files() if path.suffix == ".py"
    }
    long = [
        f"{path.relative_to(ROOT)} has {lines} lines" for path, lines in lengths.items() if lines > LONGEST_FILE
    ]
    assert not long, "divide them: " + "; ".join(long)


def test_packages_import_one_way() -> None:
    wrong = []
    for path in files():
        parts = path.relative_to(ROOT).parts
        if parts[:2] != ("src", "cutlass") or path.suffix != ".py" or len(parts) < 4:
            continue
        rank = RANK[parts[2]]
        for module in imported(path.read_text(encoding="utf-8")):
            package = module.split(".")[1] if module.startswith("cutlass.") else None
            if package in RANK and RANK[package] > rank:
                wrong.append(f"{'/'.join(parts)} imports {module}")
    assert not wrong, "\n".join(wrong)


def dependencies() -> list[str]:
    """Return the names of all dependencies of pyproject.toml, those for development too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    return [re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower() for requirement in wanted]


def imported(source: str) -> list[str]:
    """Return the modules a file imports, inside functions too."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
    return names
