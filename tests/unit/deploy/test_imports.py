"""What a function needs, read off its sources."""

import shutil
from pathlib import Path

import pytest

from cutlass import contracts
from cutlass.contracts.nodes import Document
from cutlass.deploy.errors import PackageError
from cutlass.deploy.imports import Sources
from cutlass.deploy.packages import Checkout

CONTRACTS_PACKAGE = """
from cutlass.contracts.plans import load_plans
from cutlass.contracts.regions import load_regions
"""

TREE = {
    "cutlass/__init__.py": "",
    "cutlass/functions/__init__.py": "",
    "cutlass/functions/late.py": "def handler():\n    import yaml.nodes\n    from cutlass import helper\n",
    "cutlass/functions/typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import pydantic\n",
    "cutlass/functions/near.py": "from . import late\n",
    "cutlass/functions/zoned.py": "from zoneinfo import ZoneInfo\n",
    "cutlass/functions/planned.py": "from cutlass.contracts import load_plans\nPATH = 'regions.yaml'\n",
    "cutlass/helper.py": "import json, urllib3\n",
    "cutlass/contracts/__init__.py": CONTRACTS_PACKAGE,
    "cutlass/contracts/plans.py": "def load_plans():\n    return 'plans.yaml', 'no.yaml', 'mails', 'a b', '..'\n",
    "cutlass/contracts/regions.py": "def load_regions():\n    return 'regions.yaml'\n",
}


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    for name, text in TREE.items():
        path = tmp_path / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    contracts = tmp_path / "contracts"
    (contracts / "mails").mkdir(parents=True)
    for name in ("plans.yaml", "regions.yaml"):
        (contracts / name).touch()
    return Sources(tmp_path / "src", contracts)


def test_an_import_inside_a_function_counts_and_the_standard_library_does_not(sources: Sources) -> None:
    needed = sources.needed("cutlass.functions.late")
    assert needed.packages == {"yaml", "urllib3"}
    assert needed.modules == {"cutlass", "cutlass.functions", "cutlass.functions.late", "cutlass.helper"}


def test_an_import_for_type_checkers_does_not_count(sources: Sources) -> None:
    assert sources.needed("cutlass.functions.typed").packages == set()


def test_time_zones_bring_their_data(sources: Sources) -> None:
    assert sources.needed("cutlass.functions.zoned").packages == {"tzdata"}


def test_contract_files_are_those_of_the_loaders_that_are_used(sources: Sources) -> None:
    assert sources.needed("cutlass.functions.planned").contracts == {"plans.yaml", "mails"}
    assert sources.needed("cutlass.functions.late").contracts == set()


def test_what_cannot_be_followed_is_refused(sources: Sources) -> None:
    with pytest.raises(PackageError, match="imports by a relative name, in line 1"):
        sources.needed("cutlass.functions.near")
    with pytest.raises(PackageError, match=r"no module cutlass\.functions\.gone"):
        sources.needed("cutlass.functions.gone")


def test_the_decision_function_brings_neither_models_nor_other_functions() -> None:
    checkout = Checkout.of_this_code()
    needed = Sources(checkout.sources, checkout.contracts).needed("cutlass.functions.usage_check")
    assert needed.packages == {"aws_lambda_powertools", "botocore", "tzdata", "urllib3", "yaml"}
    assert needed.contracts == {"plans.yaml", "regions.yaml"}
    functions = {name for name in needed.modules if name.startswith("cutlass.functions.")}
    assert functions == {"cutlass.functions.usage_check"}
    assert not any(
        name.startswith(("cutlass.cli", "cutlass.platform", "cutlass.deploy")) for name in needed.modules
    )


@pytest.mark.parametrize("name", [name for name in dir(contracts) if name.startswith("load_")])
def test_what_a_loader_reads_is_in_the_package_of_who_takes_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = Checkout.of_this_code()
    folder = shutil.copytree(checkout.contracts, tmp_path / "contracts")  # not read before
    monkeypatch.setenv(contracts.FOLDER_VARIABLE, str(folder))
    read: set[str] = set()
    compose = Document._compose

    def noted(document: Document, path: Path) -> object:
        read.add(path.relative_to(folder).parts[0])
        return compose(document, path)

    monkeypatch.setattr(Document, "_compose", noted)
    getattr(contracts, name)()
    assert read
    assert read <= set(Sources(checkout.sources, checkout.contracts)._files(name))
