"""Commands about messages that were given up: `cutlass dead-letters …` (docs/alert-delivery.md)."""

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutlass.cli.options import Environment, Json, Yes
from cutlass.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from cutlass.platform.dead_letters import DeadLetters, Letter

app = typer.Typer(no_args_is_help=True, help="Look at messages that were given up; send them back, or drop them.")

Queue = Annotated[str | None, typer.Option("--queue", help="The queue, or the one it serves; all if left out.")]
In = Annotated[str | None, typer.Option("--region", help="The region; all if left out.")]
All = Annotated[bool, typer.Option("--all", help="All of the queue that --queue names.")]
Ids = Annotated[
    list[str] | None, typer.Argument(help="The messages' ids, as `list` shows them.", metavar="[ID]...")
]


@app.command("list")
def list_letters(
    *,
    queue: Queue = None,
    region: In = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="How many per queue at most.")] = 100,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Show what was given up, with the reason of each."""
    letters = _desk(environment).read(region, queue, limit)
    if as_json:
        print_json([_shown(letter) for letter in letters])
    elif not letters:
        print_line("nothing was given up")
    else:
        columns = ["id", "region", "queue", "age_seconds", "receives", "reason"]
        rows = [[_shown(letter)[column] for column in columns] for letter in letters]
        print_table("", [column.replace("_", " ") for column in columns], rows)


@app.command()
def show(
    *,
    message_id: Annotated[str, typer.Argument(help="The message's id.", metavar="ID")],
    queue: Queue = None,
    region: In = None,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Show one message whole."""
    letter = _desk(environment).find(message_id, region, queue)
    whole = _shown(letter) | {"body": letter.body, "attributes": letter.attributes}
    if as_json:
        print_json(whole)
        return
    for name, value in whole.items():
        print_line(f"{name.replace('_', ' ')}: {value}")


@app.command()
def redrive(
    *,
    ids: Ids = None,
    everything: All = False,
    queue: Queue = None,
    region: In = None,
    environment: Environment = None,
    as_json: Json = False,
) -> None:
    """Send messages back to the queue they came from, where they are tried anew."""
    chosen = _chosen(ids, queue, everything=everything)
    letters = _desk(environment).redrive(chosen, region, queue)
    _tell("sent back", letters, as_json=as_json)


@app.command()
def drop(
    *,
    ids: Ids = None,
    everything: All = False,
    queue: Queue = None,
    region: In = None,
    environment: Environment = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Delete messages for good."""
    chosen = _chosen(ids, queue, everything=everything)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("there is nobody to ask: give --yes to go ahead")
        what = f"all of {queue}" if chosen is None else f"{len(chosen)} messages"
        if not typer.confirm(f"Delete {what} for good?", err=True):
            raise typer.Exit(1)
    letters = _desk(environment).drop(chosen, region, queue)
    _tell("dropped", letters, as_json=as_json)


def _chosen(ids: list[str] | None, queue: str | None, *, everything: bool) -> set[str] | None:
    if bool(ids) == everything:
        raise typer.BadParameter("name messages by their ids, or all of a queue with --all --queue Q")
    if everything and queue is None:
        raise typer.BadParameter("--all needs --queue")
    return set(ids) if ids else None


def _desk(environment: str | None) -> "DeadLetters":
    from cutlass.platform.dead_letters import DeadLetters  # noqa: PLC0415

    return DeadLetters(environment)


def _shown(letter: "Letter") -> dict[str, Any]:
    return {
        "id": letter.message_id,
        "region": letter.region,
        "queue": letter.queue,
        "from": letter.source or None,
        "sent_at": f"{datetime.fromtimestamp(letter.sent_at, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "age_seconds": letter.age_seconds,
        "receives": letter.receives,
        "reason": letter.reason,
    }


def _tell(verb: str, letters: "list[Letter]", *, as_json: bool) -> None:
    if as_json:
        print_json({"messages": [letter.message_id for letter in letters]})
    else:
        print_line(f"{len(letters)} {'message' if len(letters) == 1 else 'messages'} {verb}")
