"""`contracts/regions.yaml`: the regions, and how a grant is divided over them."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from cutlass.contracts.folder import contracts_folder
from cutlass.contracts.nodes import Document, Node
from cutlass.domain.plans import Region, Topology

_AWS_REGION = r"[a-z]{2}(-[a-z]+)+-[1-9]"
_CONTINENT = r"AF|AN|AS|EU|NA|OC|SA"  # Route 53's codes


def load_topology(folder: Path | None = None) -> Topology:
    """Return the regions, in order, and the home region's share of a grant.

    Parameters
    ----------
    folder : Path, optional
        Another folder of contract files than this process's own.

    Raises
    ------
    ContractError
        The file is missing or wrong; the message begins with file, line and key.
    """
    return _load(folder or contracts_folder())


@cache
def _load(folder: Path) -> Topology:
    document = Document(folder, "regions.yaml")
    fields = document.root.fields(["regions", "home_percent"])
    # A region's name begins every key and ends every resource name, so it is a plain word.
    regions = {name: _region(name, node) for name, node in fields["regions"].entries(r"[a-z][a-z0-9]*").items()}
    if not regions:
        fields["regions"].problem("there must be at least one region")
    taken: dict[str, str] = {}
    for region in regions.values():
        if region.aws_region in taken:
            fields["regions"].problem(
                f"is in {region.aws_region}, as is {taken[region.aws_region]}", key=region.name
            )
        taken[region.aws_region] = region.name
    _check_continents(fields["regions"], regions)
    home_percent = fields["home_percent"].integer(0, 100)
    document.finish()
    return Topology(regions=MappingProxyType(regions), home_percent=home_percent)


def _region(name: str, node: Node) -> Region:
    fields = node.fields(["title", "aws_region"], ["continents"])
    continents = fields.get("continents")
    return Region(
        name=name,
        title=fields["title"].text(),
        aws_region=fields["aws_region"].text(_AWS_REGION),
        continents=tuple(item.text(_CONTINENT) for item in continents.items()) if continents else (),
    )


def _check_continents(node: Node, regions: Mapping[str, Region]) -> None:
    taken: dict[str, str] = {}
    for region in regions.values():
        for continent in region.continents:
            if continent in taken:
                node.problem(f"{continent} is {taken[continent]}'s already", key=f"{region.name}.continents")
            taken[continent] = region.name
