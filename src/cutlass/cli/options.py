"""Options and arguments that several commands share."""

from typing import Annotated, Any

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Region = Annotated[str | None, typer.Option("--region", help="Which region to ask; the first one if left out.")]
Org = Annotated[str, typer.Option("--org", help="The organisation's id.")]
Limit = Annotated[int | None, typer.Option("--limit", min=1, max=100, help="How many at most.")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="Where the page before ended (its `next`).")]
Environment = Annotated[
    str | None,
    typer.Option("--environment", help="dev, staging or prod in AWS; the platform on this machine if left out."),
]
Start = Annotated[str | None, typer.Option("--from", help="The first moment, RFC 3339; 30 days ago if left out.")]
End = Annotated[str | None, typer.Option("--to", help="The first moment no more; now if left out.")]


def given(**values: Any) -> dict[str, Any]:
    """Return the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}
