"""The documents hold together: links resolve, pages have their form, tables are complete."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.unit.project.repository import ROOT, files
from tests.unit.project.test_repository import dependencies

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [path for path in files() if path.suffix == ".md"]
DECISIONS = [path for path in PAGES if path.parent.name == "decisions"]

_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("command", ["make up", "make test"])
def test_the_readme_names_the_two_commands(command: str) -> None:
    assert re.search(rf"^{command}\b", README, re.MULTILINE), f"README.md does not show `{command}`"


def test_the_readme_says_why_each_dependency_is_there() -> None:
    rows = dict(re.findall(r"^\| ([A-Za-z0-9._-]+) \| (.+) \|$", README, re.MULTILINE))
    missing = [name for name in dependencies() if not rows.get(name)]
    left = sorted(rows.keys() - set(dependencies()) - {"package", "---"})
    assert not missing, f"no row in README.md for {missing}"
    assert not left, f"README.md has rows for what is no dependency: {left}"


def test_make_has_the_targets_the_documents_name() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    for page in PAGES:
        shown = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert shown <= targets, f"{named(page)} names targets that are not there: {sorted(shown - targets)}"


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_inside_the_repository_resolve(page: Path) -> None:
    broken = []
    for target in _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        found = (page.parent / path).resolve() if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert not broken, f"{named(page)} links to what is not there: {broken}"


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_of_docs_can_be_found_from_the_readme() -> None:
    linked = {(ROOT / target).resolve() for target in _LINK.findall(README)}
    pages = [page for page in (ROOT / "docs").glob("*.md") if page.resolve() not in linked]
    assert not pages, f"README.md does not link {[named(page) for page in pages]}"


@pytest.mark.parametrize("page", DECISIONS, ids=named)
def test_a_decision_has_its_form(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    number = page.name[:4]
    assert re.match(rf"# {number} \S", text), "its title begins with its number"
    assert re.search(r"^- Status: (proposed|accepted|rejected|superseded by \S.*)$", text, re.MULTILINE)
    assert re.search(r"^- Date: \d{4}-\d{2}-\d{2}$", text, re.MULTILINE)
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert sections == ["Context", "Decision", "Consequences"]


def test_decisions_are_numbered_without_a_gap() -> None:
    numbers = sorted(int(page.name[:4]) for page in DECISIONS)
    assert numbers == list(range(1, len(numbers) + 1))


def test_code_and_documents_name_files_that_exist() -> None:
    wanted = re.compile(r"(?<![\w/])(?:docs|contracts|tests)/[\w/-]+\.(?:md|yaml|py)")
    sources = [path for path in files() if path.suffix in {".py", ".md"} and path.parent.name != "project"]
    missing = [
        f"{named(path)} names {name}"
        for path in sources
        for name in wanted.findall(path.read_text(encoding="utf-8"))
        if not (ROOT / name).exists()
    ]
    assert not missing, "\n".join(missing)


def test_ci_is_a_program_that_runs_the_test_command() -> None:
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, ".ci/run is not executable"
    text = script.read_text(encoding="utf-8")
    assert "set -euo pipefail" in text
    assert re.search(r"^make test\b", text, re.MULTILINE)
    subprocess.run(["bash", "-n", script], check=True)
