"""`cutlass alerts`: what an organisation is told of, what was told, and a test of the way."""

from typing import Annotated, Any

import typer

from cutlass.cli.options import Cursor, Json, Limit, Org, Region, given
from cutlass.cli.output import print_json, print_line, print_table

alerts = typer.Typer(no_args_is_help=True, help="Show and set what an organisation is told of.")

_COLUMNS = ["at", "scope", "what", "period", "value", "told"]


@alerts.command("show")
def show(*, org: Org, region: Region = None, as_json: Json = False) -> None:
    """Show an organisation's thresholds, and who is told how."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    _print(Session(region).call("GET", "orgs", org, "alerts"), as_json=as_json)


@alerts.command("set")
def set_alerts(
    *,
    org: Org,
    percent: Annotated[
        list[int] | None, typer.Option("--percent", help="A share of a limit; may be repeated.")
    ] = None,
    units: Annotated[list[int] | None, typer.Option("--units", help="Units the organisation has spent.")] = None,
    balance: Annotated[list[int] | None, typer.Option("--balance", help="Fewer units of credit left.")] = None,
    meters: Annotated[list[str] | None, typer.Option("--meter", help="Only this meter; may be repeated.")] = None,
    owners: Annotated[list[str] | None, typer.Option("--owner", help="Mail of an owner.")] = None,
    billing: Annotated[list[str] | None, typer.Option("--billing", help="Mail of who pays.")] = None,
    technical: Annotated[list[str] | None, typer.Option("--technical", help="Mail of who operates.")] = None,
    webhook: Annotated[str | None, typer.Option("--webhook", help="Where to post them.")] = None,
    quiet: Annotated[str | None, typer.Option("--quiet", help="Hours without, like 22:00-07:00.")] = None,
    time_zone: Annotated[str | None, typer.Option("--time-zone", help="Of the quiet hours; UTC if not.")] = None,
    digest: Annotated[str | None, typer.Option("--digest", help="off, hourly or daily.")] = None,
    realert: Annotated[str | None, typer.Option("--realert", help="never in a period, or on_resolve.")] = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Replace what an organisation is told of; what is not given takes its default."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    kinds = {"percent": percent, "units": units, "balance": balance}
    body = given(
        meters=meters or None,
        webhook={"url": webhook} if webhook else None,
        quiet_hours=_quiet(quiet, time_zone),
        digest=digest,
        realert=realert,
    )
    body["thresholds"] = [{"kind": kind, "value": value} for kind in kinds for value in kinds[kind] or []]
    body["recipients"] = {"owner": owners or [], "billing": billing or [], "technical": technical or []}
    _print(Session(region).call("PUT", "orgs", org, "alerts", body=body), as_json=as_json)


@alerts.command("history")
def history(
    *, org: Org, limit: Limit = None, cursor: Cursor = None, region: Region = None, as_json: Json = False
) -> None:
    """Show an organisation's alerts, the newest first."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    page = Session(region).call("GET", "orgs", org, "alerts", "history", query=given(limit=limit, cursor=cursor))
    if as_json:
        print_json(page)
        return
    if not page["items"]:
        print_line(f"alerts of {org}: none yet")
        return
    print_table(f"alerts of {org}", _COLUMNS, [_row(item) for item in page["items"]])
    if page["next"]:
        print_line(f"more with --cursor {page['next']}")


@alerts.command("test")
def try_way(*, org: Org, region: Region = None, as_json: Json = False) -> None:
    """Tell everyone who would be told an alert that says it is a test."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    made = Session(region).call("POST", "orgs", org, "alerts", "test")
    if as_json:
        print_json(made)
    else:
        print_line(f"a test is on its way to the recipients of {org} (alert {made['id']})")


@alerts.command("secret")
def secret(*, org: Org, region: Region = None, as_json: Json = False) -> None:
    """Give the webhook a new secret, and show it this once; the one before holds for a day."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    made = Session(region).call("POST", "orgs", org, "alerts", "webhook", "secret")
    if as_json:
        print_json(made)
    else:
        print_line(f"the new secret of {made['webhook']['url']}: {made['webhook']['secret']}")


def _quiet(text: str | None, time_zone: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    start, dash, end = text.partition("-")
    if not dash:
        raise typer.BadParameter(f"--quiet {text!r} must look like 22:00-07:00")
    return given(start=start, end=end, time_zone=time_zone)


def _print(settings: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(settings)
        return
    names = [f"{_threshold(t)}" for t in settings["thresholds"]]
    rows = [
        ["thresholds", ", ".join(names) + (" (the plan's)" if settings["defaults"] else "")],
        ["meters", ", ".join(settings["meters"]) if settings["meters"] else "all of the plan"],
        *([role, ", ".join(addresses)] for role, addresses in settings["recipients"].items()),
        ["webhook", settings["webhook"]["url"] if settings["webhook"] else None],
        ["quiet hours", _hours(settings["quiet_hours"])],
        ["digest", settings["digest"]],
        ["again in a period", settings["realert"]],
    ]
    print_table(f"alerts of {settings['org_id']}", ["what", "value"], rows)
    if settings["webhook"] and settings["webhook"].get("secret"):
        print_line(f"the webhook's secret, shown this once: {settings['webhook']['secret']}")


def _threshold(threshold: dict[str, Any]) -> str:
    value = threshold["value"]
    name = {"percent": f"{value}%", "units": f"{value} units", "balance": f"credits below {value}"}
    return name[threshold["kind"]] + (f" of {threshold['meter']}" if threshold["meter"] else "")


def _row(item: dict[str, Any]) -> list[Any]:
    kind = item["kind"].replace("_", " ")
    what = kind if kind == "test" else f"{item['threshold']} of {item['meter']} {kind}"
    return [item["at"], item["scope"], what, item["period"], item["current_value"], item["told"]]


def _hours(quiet: dict[str, Any] | None) -> str | None:
    return f"{quiet['start']} to {quiet['end']} {quiet['time_zone']}" if quiet else None
