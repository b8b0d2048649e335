"""Commands that write what a new region, environment or layer needs."""

from typing import TYPE_CHECKING, Annotated

import typer

from cutlass.cli.options import Json
from cutlass.cli.output import print_json, print_line

if TYPE_CHECKING:
    from cutlass.deploy.scaffold import Draft

scaffold = typer.Typer(no_args_is_help=True, help="Write what a new region, environment or layer needs.")

Name = Annotated[str, typer.Argument(help="Its name.")]


@scaffold.command()
def region(
    name: Name,
    *,
    aws_region: Annotated[str, typer.Option("--aws-region", help="AWS's name of it, such as ap-northeast-1.")],
    title: Annotated[str | None, typer.Option("--title", help="As people read it; the name if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Add a region: its entry in contracts/regions.yaml, and a variable file per environment."""
    from cutlass.deploy.scaffold import region_draft  # noqa: PLC0415
    from cutlass.deploy.source import find_root, load_project  # noqa: PLC0415

    root = find_root()
    _write(region_draft(root, load_project(root), name, aws_region, title or name.capitalize()), as_json=as_json)


@scaffold.command()
def environment(
    name: Name,
    *,
    account: Annotated[str, typer.Option("--account", help="Its AWS account: twelve digits.")],
    as_json: Json = False,
) -> None:
    """Add an environment: its variable files, and where it keeps its state."""
    from cutlass.deploy.scaffold import environment_draft  # noqa: PLC0415
    from cutlass.deploy.source import find_root, load_project  # noqa: PLC0415

    root = find_root()
    _write(environment_draft(root, load_project(root), name, account), as_json=as_json)


@scaffold.command()
def layer(name: Name, *, as_json: Json = False) -> None:
    """Add a layer, named with its number as 250-search: the links and files every layer has."""
    from cutlass.deploy.scaffold import layer_draft  # noqa: PLC0415
    from cutlass.deploy.source import find_root, load_project  # noqa: PLC0415

    root = find_root()
    _write(layer_draft(root, load_project(root), name), as_json=as_json)


def _write(draft: "Draft", *, as_json: bool) -> None:
    paths = draft.write()
    if as_json:
        print_json({"written": paths, "left_to_do": draft.left})
        return
    for path in paths:
        print_line(f"wrote {path}")
    for left in draft.left:
        print_line(f"left to do: {left}")
