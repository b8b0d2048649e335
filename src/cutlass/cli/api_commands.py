"""Commands that call the interface: check, grant, refund, balance, usage, ledger, org, user."""

from typing import Annotated, Any

import typer

from cutlass.cli.options import Cursor, End, Json, Limit, Org, Region, Start, given
from cutlass.cli.output import print_json, print_line, print_table, shown

REFUSED_EXIT_CODE = 3

OrgId = Annotated[str, typer.Argument(help="The organisation's id.")]
UserId = Annotated[str, typer.Argument(help="The user's id.")]

_TOO_WIDE = (
    "id",
    "org_id",
    "plan",
    "feature",
    "request_id",
    "grants",
)  # of ledger entries on a terminal; JSON has them

organisations = typer.Typer(no_args_is_help=True, help="Create, change and show organisations.")
users = typer.Typer(no_args_is_help=True, help="Create, change and show users.")


def check(
    *,
    org: Org,
    user: Annotated[str, typer.Option("--user", help="The user's id.")],
    feature: Annotated[str | None, typer.Option("--feature", help="What the user does.")] = None,
    units: Annotated[int | None, typer.Option("--units", min=0, help="Units to charge; 0 only looks.")] = None,
    region: Region = None,
    request_id: Annotated[
        str | None, typer.Option("--request-id", help="Makes a repetition safe: it is charged once.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 3 when refused, for scripts.")] = False,
    as_json: Json = False,
) -> None:
    """Ask whether a user may do something now, and charge it."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    body = given(org_id=org, user_id=user, feature=feature, units=units, request_id=request_id)
    decision = Session(region).call("POST", "usage-check", body=body)
    if as_json:
        print_json(decision)
    else:
        left = decision["user"]["remaining"] if decision.get("user") else None
        answer = "allowed" if decision["allowed"] else f"refused: {decision['reason']}"
        again = " (answered before, charged once)" if decision["replayed"] else ""
        meter = decision["meter"] or "units"
        rest = (
            ""
            if left is None
            else f", {shown(left)} {meter} left to the user until {shown(decision['resets_at'])}"
        )
        print_line(f"{answer}{again}: {shown(decision['units'])} {meter} in {decision['region']}{rest}")
    if exit_code and not decision["allowed"]:
        raise typer.Exit(REFUSED_EXIT_CODE)


def grant(
    *,
    org: Org,
    meter: Annotated[str, typer.Option("--meter", help="The meter the units are of.")],
    amount: Annotated[int, typer.Option("--amount", min=1, help="How many units.")],
    priority: Annotated[int | None, typer.Option("--priority", help="The lowest is spent first.")] = None,
    category: Annotated[str | None, typer.Option("--category", help="paid or promotional.")] = None,
    effective_at: Annotated[str | None, typer.Option("--effective-at", help="RFC 3339; now if left out.")] = None,
    expires_at: Annotated[str | None, typer.Option("--expires-at", help="RFC 3339; never if left out.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="The one user who may spend them.")] = None,
    key: Annotated[
        str | None, typer.Option("--idempotency-key", help="Makes a repetition safe: granted once.")
    ] = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Give an organisation credits."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    body = given(
        meter=meter,
        amount=amount,
        priority=priority,
        category=category,
        effective_at=effective_at,
        expires_at=expires_at,
        user_id=user,
    )
    headers = given(**{"Idempotency-Key": key})
    made = Session(region).call("POST", "orgs", org, "grants", body=body, headers=headers)
    if as_json:
        print_json(made)
    else:
        until = f" until {made['expires_at']}" if made["expires_at"] else ""
        print_line(f"granted {shown(made['amount'])} {made['meter']} to {org}{until} (grant {made['id']})")


def refund(
    *,
    org: Org,
    user: Annotated[str, typer.Option("--user", help="The user who was charged.")],
    request_id: Annotated[str, typer.Option("--request-id", help="The request that was charged.")],
    units: Annotated[int | None, typer.Option("--units", min=1, help="How many; all that is left if not.")] = None,
    meter: Annotated[
        str | None, typer.Option("--meter", help="Where the request was charged on several meters.")
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="For the ledger.")] = None,
    refund_id: Annotated[
        str | None, typer.Option("--refund-id", help="Makes a repetition safe: given back once.")
    ] = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Give back what a request was charged, or a part of it."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    body = given(request_id=request_id, units=units, meter=meter, reason=reason, refund_id=refund_id)
    made = Session(region).call("POST", "orgs", org, "users", user, "refunds", body=body)
    if as_json:
        print_json(made)
    else:
        whole = f"{shown(made['refunded'])} of {shown(made['charged'])}"
        print_line(f"gave back {shown(made['units'])} {made['meter']} to {user} of {org}, {whole} of the charge")


def balance(
    *,
    org: Org,
    user: Annotated[str | None, typer.Option("--user", help="This user's balance.")] = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Show what an organisation, or one of its users, has left."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    path = ["orgs", org, *(["users", user] if user else []), "balance"]
    answer = Session(region).call("GET", *path)
    if as_json:
        print_json(answer)
        return
    columns = ["limit", "used", "reserved", "remaining", "credits", "resets_at"]
    rows = [[name, *(meter.get(column) for column in columns)] for name, meter in answer["meters"].items()]
    who = f"{user} of {org}" if user else org
    print_table(f"{who}, plan {answer.get('plan')}", ["meter", *columns], rows)


def usage(
    *,
    org: Org,
    group_by: Annotated[str | None, typer.Option("--group-by", help="user, feature, region, day or hour.")] = None,
    meter: Annotated[str | None, typer.Option("--meter", help="Only this meter.")] = None,
    start: Start = None,
    end: End = None,
    limit: Limit = None,
    cursor: Cursor = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Show an organisation's usage over time."""
    query = given(group_by=group_by, meter=meter, to=end, limit=limit, cursor=cursor, **{"from": start})
    _page(region, ["orgs", org, "usage"], query, f"usage of {org}", as_json=as_json)


def ledger(
    *,
    org: Org,
    user: Annotated[str | None, typer.Option("--user", help="Only this user's entries.")] = None,
    start: Start = None,
    end: End = None,
    limit: Limit = None,
    cursor: Cursor = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Show an organisation's ledger."""
    query = given(user_id=user, to=end, limit=limit, cursor=cursor, **{"from": start})
    _page(region, ["orgs", org, "ledger"], query, f"ledger of {org}", as_json=as_json, hidden=_TOO_WIDE)


@organisations.command("put")
def put_organisation(
    *,
    org: OrgId,
    plan: Annotated[str, typer.Option("--plan", help="Its plan.")],
    home: Annotated[str | None, typer.Option("--home", help="Its home region.")] = None,
    anchor_day: Annotated[int | None, typer.Option("--anchor-day", min=1, max=31)] = None,
    time_zone: Annotated[str | None, typer.Option("--time-zone", help="IANA name; UTC if left out.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="active or suspended.")] = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Create an organisation, or replace what it is."""
    period = given(anchor_day=anchor_day, time_zone=time_zone)
    body = given(plan=plan, home_region=home, status=status, period=period or None)
    _put(region, ["orgs", org], body, f"{org} is on plan {plan}", as_json=as_json)


@organisations.command("show")
def show_organisation(
    *,
    org: OrgId,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Show an organisation."""
    _show(region, ["orgs", org], as_json=as_json)


@users.command("put")
def put_user(
    *,
    org: OrgId,
    user: UserId,
    limits: Annotated[
        list[str] | None, typer.Option("--limit", help="METER=UNITS per period; may be repeated.")
    ] = None,
    usual_region: Annotated[str | None, typer.Option("--usual-region", help="Where the user usually is.")] = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Create a user, or replace the user's own limits."""
    body = given(limits=dict(_limit(text) for text in limits or []), usual_region=usual_region)
    _put(region, ["orgs", org, "users", user], body, f"{user} of {org} is set", as_json=as_json)


@users.command("show")
def show_user(
    *,
    org: OrgId,
    user: UserId,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Show a user."""
    _show(region, ["orgs", org, "users", user], as_json=as_json)


def _limit(text: str) -> tuple[str, int]:
    meter, equals, units = text.partition("=")
    if not meter or not equals or not units.isdecimal():
        raise typer.BadParameter(f"--limit {text!r} must look like requests=500")
    return meter, int(units)


def _put(region: str | None, path: list[str], body: dict[str, Any], done: str, *, as_json: bool) -> None:
    from cutlass.cli.session import Session  # noqa: PLC0415

    answer = Session(region).call("PUT", *path, body=body)
    if as_json:
        print_json(answer)
    else:
        print_line(done)


def _show(region: str | None, path: list[str], *, as_json: bool) -> None:
    from cutlass.cli.session import Session  # noqa: PLC0415

    answer = Session(region).call("GET", *path)
    if as_json:
        print_json(answer)
    else:
        print_table("", ["what", "value"], [[name, value] for name, value in answer.items()])


def _page(
    region: str | None,
    path: list[str],
    query: dict[str, Any],
    title: str,
    *,
    as_json: bool,
    hidden: tuple[str, ...] = (),
) -> None:
    from cutlass.cli.session import Session  # noqa: PLC0415

    page = Session(region).call("GET", *path, query=query)
    if as_json:
        print_json(page)
        return
    items = page["items"]
    if not items:
        print_line(f"{title}: nothing in this span")
        return
    columns = [
        name for name in items[0] if name not in hidden and any(item.get(name) is not None for item in items)
    ]
    print_table(title, columns, [[item.get(name) for name in columns] for item in items])
    if page["next"]:
        print_line(f"more with --cursor {page['next']}")
