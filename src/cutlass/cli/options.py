"""Options and arguments that several commands share."""

from typing import Annotated, Any

import typer


def _known(environment: str | None) -> str | None:
    """Return an environment that the checkout has variable files of; without a checkout nobody can tell.

    Raises
    ------
    TargetError
        There is none of that name.
    """
    from cutlass.deploy.errors import DeployError  # noqa: PLC0415
    from cutlass.deploy.source import find_root, load_project  # noqa: PLC0415
    from cutlass.deploy.targets import parse_environment  # noqa: PLC0415

    if environment is None:
        return None
    try:
        root = find_root()
    except DeployError:
        return environment
    return parse_environment(environment, load_project(root))


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Region = Annotated[str | None, typer.Option("--region", help="Which region to ask; the first one if left out.")]
Org = Annotated[str, typer.Option("--org", help="The organisation's id.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, max=100, help="How many at most.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Where the page before ended (its `next`).")]
Environment = Annotated[
    str | None,
    typer.Option(
        "--environment",
        callback=_known,
        help="One in AWS, such as dev; the platform on this machine if left out.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Start = Annotated[str | None, typer.Option("--from", help="The first moment, RFC 3339; 30 days ago if left out.")]
End = Annotated[str | None, typer.Option("--to", help="The first moment no more; now if left out.")]


def given(**values: Any) -> dict[str, Any]:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}
