"""The command that builds the functions' packages."""

from typing import Annotated

import typer

from cutlass.cli.options import Json
from cutlass.cli.output import print_json, print_line, print_table
from cutlass.cli.progress import Progress
from cutlass.contracts import load_functions
from cutlass.deploy.wheels import Architecture


def package(
    *,
    architecture: Annotated[
        Architecture,
        typer.Option("--architecture", help="The processors of Lambda; `local` for an emulator on this machine."),
    ] = Architecture.ARM64,
    function: Annotated[
        list[str] | None, typer.Option("--function", help="Only this one; may be given several times.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Build the functions' packages for AWS, those that changed."""
    from cutlass.deploy.packages import Builder, Checkout  # noqa: PLC0415 (most commands do without)

    builder = Builder(Checkout.of_this_code(), architecture)
    total = len(function) if function else len(load_functions())
    packages = builder.build(function, Progress("packages", total))
    if as_json:
        print_json(
            [
                {
                    "name": built.name,
                    "path": str(builder.folder / built.path),
                    "bytes": built.bytes,
                    "sha256": built.sha256,
                }
                for built in packages
            ]
        )
        return
    rows = [[built.name, built.bytes, built.unpacked_bytes, built.sha256[:12]] for built in packages]
    print_table("", ["function", "bytes", "unpacked", "sha256"], rows)
    print_line(f"{len(packages)} packages in {builder.folder}")
