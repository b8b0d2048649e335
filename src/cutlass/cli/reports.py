"""Commands about reports: `cutlass report …`, `cutlass reports …`, `cutlass demo`."""

import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutlass.cli.options import Cursor, End, Json, Limit, Org, Region, Start, given
from cutlass.cli.output import print_json, print_line, print_table, shown
from cutlass.domain.errors import CutlassError

if TYPE_CHECKING:
    from cutlass.cli.session import Session

_ASK_SECONDS = 0.3
_SPAN = timedelta(days=30)

reports = typer.Typer(
    no_args_is_help=True, help="List, fetch and cancel reports, and have them made on a schedule."
)

Kind = Annotated[str, typer.Argument(help="usage, credit-statement, limits-and-refusals, forecast or summary.")]
Identity = Annotated[str, typer.Argument(help="The report's id.", metavar="ID")]
Name = Annotated[str, typer.Argument(help="The schedule's id, of your choice.", metavar="NAME")]
Format = Annotated[str, typer.Option("--format", help="json, csv, parquet, xlsx, html or pdf.")]
Grouping = Annotated[
    list[str] | None, typer.Option("--group-by", help="user, feature, meter, region …; may be repeated.")
]
Filter = Annotated[list[str] | None, typer.Option("--filter", help="NAME=VALUE; may be repeated.")]
Granularity = Annotated[str | None, typer.Option("--granularity", help="hour, day, week, month or total.")]
Out = Annotated[Path | None, typer.Option("--out", help="The file to write; its own name if left out.")]
Open = Annotated[bool, typer.Option("--open", help="Show it in the browser.")]
Payer = Annotated[str | None, typer.Option("--user", help="Who pays; the organisation if left out.")]


class ReportFailedError(CutlassError):
    """There is no report, and will be none."""


def report(
    *,
    kind: Kind,
    org: Org,
    start: Start = None,
    end: End = None,
    form: Format = "json",
    group_by: Grouping = None,
    only: Filter = None,
    granularity: Granularity = None,
    time_zone: Annotated[str | None, typer.Option("--time-zone", help="IANA name; UTC if left out.")] = None,
    user: Payer = None,
    request_id: Annotated[str | None, typer.Option("--request-id", help="Makes a repetition safe.")] = None,
    out: Out = None,
    show: Open = False,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Ask for a report, wait for it, and fetch it."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    now = datetime.now(UTC).replace(second=0, microsecond=0)
    session = Session(region)
    body = _described(kind, form, group_by, only, granularity) | given(
        time_zone=time_zone, user_id=user, request_id=request_id
    )
    body |= {"from": start or (now - _SPAN).isoformat(), "to": end or now.isoformat()}
    made = session.call("POST", "orgs", org, "reports", body=body)
    _fetched(session, org, made, out, show=show, as_json=as_json)


@reports.command("list")
def list_reports(
    *, org: Org, limit: Limit = None, cursor: Cursor = None, region: Region = None, as_json: Json = False
) -> None:
    """List an organisation's reports, the newest first."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    page = Session(region).call("GET", "orgs", org, "reports", query=given(limit=limit, cursor=cursor))
    if as_json:
        print_json(page)
        return
    columns = ["id", "type", "format", "from", "to", "status", "charged"]
    rows = [[_cell(item, column) for column in columns] for item in page["items"]]
    print_table(f"reports of {org}", columns, rows)
    if page["next"]:
        print_line(f"more with --cursor {page['next']}")


@reports.command("get")
def get_report(
    *,
    identity: Identity,
    org: Org,
    out: Out = None,
    show: Open = False,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Wait for a report that was asked for, and fetch it."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    session = Session(region)
    _fetched(session, org, session.call("GET", "orgs", org, "reports", identity), out, show=show, as_json=as_json)


@reports.command("cancel")
def cancel_report(*, identity: Identity, org: Org, region: Region = None, as_json: Json = False) -> None:
    """Give a report up, and have its units back."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    answer = Session(region).call("POST", "orgs", org, "reports", identity, "cancel")
    if as_json:
        print_json(answer)
    else:
        print_line(f"{identity} is cancelled; {shown(answer['units'])} {answer['meter']} are given back")


@reports.command("schedule")
def schedule(
    *,
    name: Name,
    org: Org,
    every: Annotated[str, typer.Option("--every", help="day, week or month.")],
    kind: Annotated[str, typer.Option("--type", help="The type of report.")],
    user: Annotated[str, typer.Option("--user", help="Who pays.")],
    at: Annotated[str | None, typer.Option("--at", help="Local time of day, like 06:00.")] = None,
    form: Format = "pdf",
    group_by: Grouping = None,
    only: Filter = None,
    granularity: Granularity = None,
    region: Region = None,
    as_json: Json = False,
) -> None:
    """Have a report made every day, week or month, and mailed as a link."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    body = given(every=every, at=at, user_id=user, report=_described(kind, form, group_by, only, granularity))
    answer = Session(region).call("PUT", "orgs", org, "report-schedules", name, body=body)
    if as_json:
        print_json(answer)
    else:
        print_line(f"{name} runs every {every}, next at {answer['next_at']}")


@reports.command("schedules")
def list_schedules(*, org: Org, region: Region = None, as_json: Json = False) -> None:
    """List an organisation's schedules."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    page = Session(region).call("GET", "orgs", org, "report-schedules")
    if as_json:
        print_json(page)
        return
    rows = [
        [item["id"], item["every"], item["at"], item["report"]["type"], item["next_at"], _outcome(item["last"])]
        for item in page["items"]
    ]
    print_table(f"schedules of {org}", ["id", "every", "at", "type", "next", "last run"], rows)


@reports.command("unschedule")
def unschedule(*, name: Name, org: Org, region: Region = None, as_json: Json = False) -> None:
    """End a schedule."""
    from cutlass.cli.session import Session  # noqa: PLC0415

    answer = Session(region).call("DELETE", "orgs", org, "report-schedules", name)
    if as_json:
        print_json(answer)
    else:
        print_line(f"{name} runs no more")


def demo(
    *,
    org: Annotated[str, typer.Option("--org", help="The organisation to make up.")] = "demo",
    as_json: Json = False,
) -> None:
    """Make up an organisation and a year of its usage, for reports to look at."""
    from cutlass.cli.session import Session  # noqa: PLC0415
    from cutlass.platform.demo import PLAN, fill  # noqa: PLC0415
    from cutlass.reporting.demo import USERS  # noqa: PLC0415

    session = Session(None)
    session.call("PUT", "orgs", org, body={"plan": PLAN})
    for user in USERS:
        session.call("PUT", "orgs", org, "users", user, body={"limits": {}})
    with _bar(f"a year of {org}", quiet=as_json) as told:
        filled = fill(session.running.endpoint, org, datetime.now(UTC).date(), told)
    if as_json:
        print_json({"org_id": org, "entries": filled.entries, "files": filled.files})
        return
    first = datetime.now(UTC).date() - timedelta(days=365)
    print_line(f"{org} has a year of usage, made up: {shown(filled.entries)} entries. See it with")
    print_line(f"  cutlass report usage --org {org} --from {first} --granularity month --format html --open")


def _described(
    kind: str, form: str, group_by: list[str] | None, only: list[str] | None, granularity: str | None
) -> dict[str, Any]:
    filters: dict[str, list[str]] = {}
    for text in only or []:
        name, equals, value = text.partition("=")
        if not name or not equals or not value:
            raise typer.BadParameter(f"--filter {text!r} must look like user=test123")
        filters.setdefault(name, []).append(value)
    body = {"type": kind, "format": form}
    return body | given(group_by=group_by or None, filters=filters or None, granularity=granularity)


def _fetched(
    session: "Session", org: str, made: dict[str, Any], out: Path | None, *, show: bool, as_json: bool
) -> None:
    """Follow a report to its end and write its file."""
    with _bar(f"{made['report']['type']} of {org}", quiet=as_json) as told:
        while made["status"] in {"queued", "running"}:
            told(made["progress"])
            time.sleep(_ASK_SECONDS)
            made = session.call("GET", "orgs", org, "reports", made["id"])
    if made["status"] == "succeeded" and made["url"] is None:
        made = session.call("GET", "orgs", org, "reports", made["id"])
    if made["status"] != "succeeded" or made["url"] is None:
        why = made["error"]["message"] if made["error"] else made["status"]
        raise ReportFailedError(f"there is no report {made['id']}: {why}", hint="its units are not charged")
    path = out or Path(made["file"]["name"])
    _download(made["url"], path)
    if as_json:
        print_json({**made, "path": str(path)})
    else:
        print_line(f"{path}: {shown(made['file']['rows'])} rows ({made['id']})")
    if show:
        webbrowser.open(path.absolute().as_uri())


def _download(url: str, path: Path) -> None:
    import urllib3  # noqa: PLC0415

    answer = urllib3.request("GET", url, retries=False)
    if answer.status != 200:
        raise ReportFailedError(f"the file could not be fetched ({answer.status})", hint="ask for it again")
    path.write_bytes(answer.data)


@contextmanager
def _bar(what: str, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show on stderr how far something is, where somebody looks."""
    if quiet or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda done: bar.update(task, completed=done)


def _cell(item: dict[str, Any], column: str) -> Any:
    return item[column] if column in item else item["report"].get(column)


def _outcome(last: dict[str, Any] | None) -> str | None:
    return None if last is None else f"{last['outcome']} {last['report_id'] or ''}".strip()
