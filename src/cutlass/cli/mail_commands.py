"""Commands about what is told: `cutlass emails preview`, `cutlass mailbox` (docs/alert-delivery.md)."""

from pathlib import Path
from typing import Annotated

import typer

from cutlass.cli.options import Json
from cutlass.cli.output import print_json, print_line, print_table

emails = typer.Typer(no_args_is_help=True, help="The mails that are sent.")


@emails.callback()
def _emails() -> None:
    """The mails that are sent."""


@emails.command()
def preview(
    *,
    out: Annotated[Path, typer.Option("--out", help="The folder to write to.")],
    as_json: Json = False,
) -> None:
    """Render every mail, in HTML and text, with examples, into a folder."""
    from cutlass.notifications.preview import write_previews  # noqa: PLC0415
    from cutlass.platform.errors import PlatformError  # noqa: PLC0415

    try:
        written = write_previews(out)
    except OSError as error:
        raise PlatformError(f"{out} cannot be written: {error.strerror}") from error
    if as_json:
        print_json([str(path) for path in written])
    else:
        print_line(f"{len(written) - 1} files; begin with {written[-1]}")


def mailbox(
    *,
    to: Annotated[str | None, typer.Option("--to", help="Only what went to this address.")] = None,
    last: Annotated[int, typer.Option("--last", min=1, help="How many at most, the newest.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the mails and webhook calls of the platform on this machine."""
    from cutlass.platform.mailbox import read_mailbox  # noqa: PLC0415

    found = [sent for sent in read_mailbox() if to is None or sent.to.lower() == to.lower()][-last:]
    if as_json:
        print_json(
            [
                {
                    "at": f"{sent.at:%Y-%m-%dT%H:%M:%S.%f}Z",
                    "kind": sent.kind,
                    "to": sent.to,
                    "status": sent.status,
                    "subject": sent.subject,
                    "text": sent.text,
                    "html": sent.html or None,
                    "reference": sent.reference or None,
                }
                for sent in found
            ]
        )
    elif not found:
        print_line("nothing was sent")
    else:
        rows = [[f"{sent.at:%H:%M:%S}", sent.kind, sent.to, sent.status, sent.subject] for sent in found]
        print_table("", ["at", "kind", "to", "status", "what"], rows)
