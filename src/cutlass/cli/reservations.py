"""Commands that set units aside, and end that with a charge or without: `cutlass reservation …`."""

from typing import Annotated, Any

import typer

from cutlass.cli.options import Json, Org, Region, given
from cutlass.cli.output import print_json, print_line, print_table, shown

app = typer.Typer(no_args_is_help=True, help="Set units aside for work whose cost is known at its end.")

Identity = Annotated[str, typer.Argument(help="The reservation's id.", metavar="ID")]


@app.command("reserve")
def reserve(
    *,
    org: Org,
    user: Annotated[str, typer.Option("--user", help="The user's id.")],
    feature: Annotated[str | None, typer.Option("--feature", help="What the user does.")] = None,
    units: Annotated[int | None, typer.Option("--units", min=1, help="Units to set aside.")] = None,
    ttl: Annotated[int | None, typer.Option("--ttl", min=1, help="Seconds to hold them; 300 if left out.")] = None,
    request_id: Annotated[
        str | None, typer.Option("--request-id", help="Makes a repetition safe: it reserves once.")
    ] = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Set units aside for a user."""
    body = given(org_id=org, user_id=user, feature=feature, units=units, ttl_seconds=ttl, request_id=request_id)
    answer = _call(region, "POST", body=body)
    if as_json:
        print_json(answer)
    elif not answer["allowed"]:
        print_line(f"refused: {answer['reason']}: {shown(answer['units'])} {answer['meter'] or 'units'}")
    else:
        made = answer["reservation"]
        what = f"{shown(made['units'])} {answer['meter']} {made['state']} until {made['expires_at']}"
        print_line(f"{made['id']}: {what}")


@app.command("commit")
def commit(
    *,
    identity: Identity,
    units: Annotated[int | None, typer.Option("--units", min=0, help="What it cost; all if left out.")] = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Charge what the work cost, and give the rest back."""
    answer = _call(region, "POST", identity, "commit", body=given(units=units))
    if as_json:
        print_json(answer)
    else:
        again = " (answered before, charged once)" if answer["replayed"] else ""
        of = shown(answer["reservation"]["units"])
        print_line(f"charged {shown(answer['units'])} of {of} {answer['meter']} set aside{again}")


@app.command("release")
def release(*, identity: Identity, region: Region = None, as_json: Json = False) -> None:
    """Give back all that was set aside."""
    answer = _call(region, "POST", identity, "release")
    if as_json:
        print_json(answer)
    else:
        print_line(f"{answer['id']} is {answer['state']}: {shown(answer['units'])} {answer['meter']} given back")


@app.command("show")
def show(*, identity: Identity, region: Region = None, as_json: Json = False) -> None:
    """Show a reservation."""
    answer = _call(region, "GET", identity)
    if as_json:
        print_json(answer)
    else:
        print_table("", ["what", "value"], [[name, value] for name, value in answer.items()])


def _call(region: str | None, method: str, *path: str, body: Any = None) -> Any:
    from cutlass.cli.session import Session  # noqa: PLC0415 - slow to import, and not needed for help

    return Session(region).call(method, "reservations", *path, body=body)
