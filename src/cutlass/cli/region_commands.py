"""Commands about regions that are gone: status, fence, claim, readmit (docs/region-loss.md)."""

import getpass
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutlass.cli.ask import confirm
from cutlass.cli.options import Environment, Json, Yes
from cutlass.cli.output import print_error, print_json, print_line, print_table

if TYPE_CHECKING:
    from cutlass.storage.claims import Moved
    from cutlass.storage.region_loss import RegionLoss

regions = typer.Typer(help="What to do about a region that is gone.", no_args_is_help=True)

Gone = Annotated[str, typer.Argument(help="The region that is gone.")]
From = Annotated[
    str | None, typer.Option("--from", help="The region to stand in; another one than the one that is gone.")
]
By = Annotated[str | None, typer.Option("--by", help="Who decides; your login name if left out.")]


@regions.command()
def status(*, stand: From = None, environment: Environment = None, as_json: Json = False) -> None:
    """Show what is decided of every region, and what waits to be settled."""
    desk = _desk(None, stand, environment)
    views = desk.status()
    rows = [
        {
            "region": view.state.region,
            "state": str(view.state.standing),
            "epoch": view.state.epoch,
            "reachable": view.reachable,
            "heartbeat_seconds": view.heartbeat_seconds,
            "unsettled_claims": view.unsettled,
            "by": view.state.by,
            "why": view.state.why,
        }
        for view in views
    ]
    if as_json:
        print_json({"from": desk.region, "regions": rows})
        return
    columns = list(rows[0])
    print_table(f"as seen from {desk.region}", columns, [[row[column] for column in columns] for row in rows])


@regions.command()
def fence(
    *,
    region: Gone,
    why: Annotated[str, typer.Option("--why", help="The reason, kept with the fence.")],
    by: By = None,
    stand: From = None,
    environment: Environment = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take a region out of service: it decides nothing until it is readmitted."""
    desk = _desk(region, stand, environment)
    confirm(f"Fence {region}? It answers every request with 503 until it is readmitted.", yes=yes)
    done = desk.fence(region, by=by or getpass.getuser(), why=why, progress=_progress("organisations"))
    if as_json:
        print_json(
            {
                "region": region,
                "state": str(done.state.standing),
                "epoch": done.state.epoch,
                "exact": done.exact,
                "pools": done.pools,
                "allotments": done.allotments,
                "survivors_away": done.away,
                "organisations_unseen": done.unseen,
            }
        )
    elif done.exact:
        print_line(
            f"{region} is fenced (epoch {done.state.epoch}): {done.pools:,} pools and {done.allotments:,}"
            " allotments closed; nothing can be spent there"
        )
    elif done.unseen:
        names = ", ".join(done.unseen[:5])
        print_line(f"{region} is fenced, but the grants of {names} could not be read: run it again")
    else:
        print_line(
            f"{region} does not answer: its fence (epoch {done.state.epoch}) is known to the survivors only."
            f" Deny its writes by other means, and run this again when it answers"
        )
    if done.away and not as_json:
        print_line(f"not told, since away: {', '.join(done.away)}")


@regions.command()
def claim(
    *,
    region: Gone,
    survivor: Annotated[str | None, typer.Option("--for", help="The region that gets what it held.")] = None,
    org: Annotated[str | None, typer.Option("--org", help="Of this organisation only.")] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="Also what its copies show and nothing proves.")
    ] = False,
    writes_denied: Annotated[
        str | None, typer.Option("--writes-denied", help="How its writes are denied; kept with the fence.")
    ] = None,
    margin_seconds: Annotated[
        int | None,
        typer.Option(
            "--margin-seconds",
            min=0,
            help="How long it may have spent unseen; since its last heartbeat if left out.",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would come; change nothing.")] = False,
    environment: Environment = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take over what a fenced region held: exactly, or with --unproven at a risk that is told first."""
    if unproven and not writes_denied:
        raise typer.BadParameter("--unproven needs --writes-denied: how are the region's writes denied?")
    desk = _desk(region, survivor, environment)
    progress = _progress("organisations")
    if desk.reachable(region):
        if unproven:
            print_error(f"{region}'s DynamoDB answers: what it holds is moved exactly, nothing is claimed")
        moved = desk.move(region, org_id=org, progress=progress, dry_run=dry_run)
        _show_moved(region, desk.region, "exact", moved, as_json=as_json, dry_run=dry_run)
        return
    if not unproven:
        moved = desk.take_proven(region, org_id=org, progress=progress, dry_run=dry_run)
        _show_moved(region, desk.region, "proven", moved, as_json=as_json, dry_run=dry_run)
        if moved.stranded:
            print_error(
                f"{region}'s DynamoDB does not answer: it may have spent all of the {moved.stranded:,} units its"
                " copies show",
                "wait for it, or claim them with --unproven once its writes are denied",
            )
            raise typer.Exit(1)
        return
    how: dict[str, Any] = {"denied": writes_denied, "margin_seconds": margin_seconds, "org_id": org}
    planned = desk.claim(region, **how, progress=progress, dry_run=True)
    if not dry_run:
        confirm(_worst_case(region, planned), yes=yes)
        planned = desk.claim(region, **how, progress=progress, dry_run=False)
    _show_moved(region, desk.region, "unproven", planned, as_json=as_json, dry_run=dry_run)


@regions.command()
def readmit(
    *,
    region: Gone,
    why: Annotated[str, typer.Option("--why", help="The reason, kept with the state.")] = "it is back",
    by: By = None,
    stand: From = None,
    environment: Environment = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Settle every claim against a region, then let it serve again."""
    desk = _desk(region, stand, environment)
    confirm(f"Readmit {region}? Every claim against it is settled, then it serves.", yes=yes)
    done = desk.readmit(region, by=by or getpass.getuser(), why=why, progress=_progress("claims"))
    if as_json:
        print_json(
            {
                "region": region,
                "state": str(done.state.standing),
                "epoch": done.state.epoch,
                "settled": done.settled,
                "overdrafts": [asdict(overdraft) for overdraft in done.overdrafts],
            }
        )
        return
    print_line(f"{region} serves (epoch {done.state.epoch}); {done.settled:,} claims settled")
    if done.overdrafts:
        print_table(
            "overdrawn: claimed elsewhere, and spent here before; in the ledger as overdraft",
            ["organisation", "meter", "user", "units"],
            [[o.org_id, o.meter, o.user_id or None, o.units] for o in done.overdrafts],
        )


def _desk(gone: str | None, stand: str | None, environment: str | None) -> "RegionLoss":
    from cutlass.contracts import load_topology  # noqa: PLC0415
    from cutlass.platform.operator import open_store_from  # noqa: PLC0415
    from cutlass.storage.region_loss import RegionLoss  # noqa: PLC0415

    names = [name for name in load_topology().regions if name != gone]
    return RegionLoss(open_store_from(stand or names[0], environment))


def _worst_case(region: str, planned: "Moved") -> str:
    return (
        f"Claim {planned.claimed:,} units of pools and {planned.claimed_rights:,} rights of users' limits of"
        f" {planned.organisations:,} organisations, which {region} may have spent?"
        f" At worst {planned.claimed:,} units are sold twice, and users exceed their limits by those rights."
    )


def _show_moved(region: str, survivor: str, how: str, moved: "Moved", *, as_json: bool, dry_run: bool) -> None:
    if as_json:
        print_json({"region": region, "for": survivor, "how": how, "dry_run": dry_run} | asdict(moved))
        return
    verb = "would get" if dry_run else "got"
    print_line(
        f"{survivor} {verb} {moved.units:,} units and {moved.rights:,} rights of {region}, of"
        f" {moved.organisations:,} organisations: they are proven"
    )
    if how == "unproven":
        print_line(
            f"{survivor} {verb} {moved.claimed:,} units and {moved.claimed_rights:,} rights in advance: at worst"
            " so many are sold twice, and show as overdrafts when it is readmitted"
        )
    if moved.unseen:
        print_line(f"by the copies here only, since their home does not answer: {', '.join(moved.unseen[:5])}")


def _progress(what: str) -> Any:
    """Tell on stderr how far a long walk is, where a person looks at it."""

    def told(done: int, of: int) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done:,} of {of:,} {what}" + ("\n" if done == of else ""))
            sys.stderr.flush()

    return told
