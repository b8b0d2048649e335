"""Commands about the platform itself: up, down, status, token, partition, openapi."""

import signal
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cutlass.cli.options import Json, Region
from cutlass.cli.output import print_json, print_line, print_table

if TYPE_CHECKING:
    from cutlass.platform.running import Running
    from cutlass.platform.supervisor import Supervisor


def up(
    *,
    detach: Annotated[
        bool, typer.Option("--detach", help="Run in the background; return once it is ready.")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget all state and start over.")] = False,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65_000, help="The first port; free ones if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the whole platform on this machine."""
    from cutlass.platform.home import Home  # noqa: PLC0415
    from cutlass.platform.launch import await_ready, start  # noqa: PLC0415
    from cutlass.platform.supervisor import AlreadyRunningError  # noqa: PLC0415

    home = Home.from_environment()
    if detach:
        _announce(start(home, base=port, fresh=fresh), as_json=as_json)
        return
    try:
        _foreground(home, port, fresh=fresh, as_json=as_json)
    except AlreadyRunningError:
        if not as_json or fresh:
            raise
        _announce(await_ready(home), as_json=True)


def _foreground(home: Any, port: int | None, *, fresh: bool, as_json: bool) -> None:
    from cutlass.cli.live import Display  # noqa: PLC0415
    from cutlass.platform.supervisor import Supervisor  # noqa: PLC0415

    display = Display(as_json=as_json)
    supervisor = Supervisor(home, base=port, fresh=fresh, report=display.report)
    interrupted = _stop_on_signals(supervisor)
    with display:
        supervisor.run(display.tick)
    if interrupted:
        raise KeyboardInterrupt


def _stop_on_signals(supervisor: "Supervisor") -> list[int]:
    """Make Ctrl-C and SIGTERM stop the supervisor; the list fills when it was Ctrl-C."""
    interrupted: list[int] = []

    def interrupt(number: int, _: object) -> None:
        interrupted.append(number)
        supervisor.ask_to_stop()

    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.ask_to_stop())
    return interrupted


def _announce(running: "Running", *, as_json: bool) -> None:
    if as_json:
        print_json(running.summary())
        return
    from cutlass.cli.live import quick_start  # noqa: PLC0415

    print_line(quick_start(running.state))


def down(*, as_json: Json = False) -> None:
    """Stop the platform and wait until its state is on disk."""
    from cutlass.platform.home import Home  # noqa: PLC0415
    from cutlass.platform.launch import stop  # noqa: PLC0415

    stopped = stop(Home.from_environment())
    if as_json:
        print_json({"stopped": stopped})
    else:
        print_line("stopped; the state is kept" if stopped else "the platform was not running")


def status(*, as_json: Json = False) -> None:
    """Show what runs, and how far replication is behind."""
    from cutlass.cli.live import status_view  # noqa: PLC0415
    from cutlass.platform.home import Home  # noqa: PLC0415
    from cutlass.platform.running import Running  # noqa: PLC0415
    from cutlass.platform.status import gather  # noqa: PLC0415

    state = gather(Running.find(Home.from_environment()).state)
    if as_json:
        print_json(state)
        return
    from rich.console import Console  # noqa: PLC0415

    Console().print(status_view(state))


def token(
    *,
    region: Region = None,
    service: Annotated[
        bool, typer.Option("--service", help="For a customer's backend, with every scope.")
    ] = False,
    org: Annotated[str | None, typer.Option("--org", help="For a member of this organisation.")] = None,
    user: Annotated[str | None, typer.Option("--user", help="The member.")] = None,
    role: Annotated[str, typer.Option("--role", help="member or admin.")] = "member",
    as_json: Json = False,
) -> None:
    """Print an access token: of a service, or of a member of an organisation."""
    from cutlass.cli.session import Session  # noqa: PLC0415
    from cutlass.platform.home import Home  # noqa: PLC0415
    from cutlass.platform.tokens import member_token, new_service_token  # noqa: PLC0415

    if (org is None) != (user is None):
        raise typer.BadParameter("--org and --user go together")
    if service and org is not None:
        raise typer.BadParameter("--service is no member of an organisation: leave out --org and --user")
    if role not in ("member", "admin"):
        raise typer.BadParameter("--role is member or admin")
    session = Session(region)
    home, endpoint = Home.from_environment(), session.running.endpoint
    if org is None or user is None:
        made = new_service_token(home, endpoint, session.region)
    else:
        made = member_token(home, endpoint, session.region, org_id=org, user_id=user, role=role)
    if as_json:
        print_json({"token": made.jwt, "expires_at": made.expires_at, "region": session.region})
    else:
        print_line(made.jwt)


def partition(
    *,
    state: Annotated[str, typer.Argument(help="on cuts the network between the regions, off heals it.")],
    as_json: Json = False,
) -> None:
    """Cut or heal the network between the regions."""
    from cutlass.platform.home import Home  # noqa: PLC0415
    from cutlass.platform.running import Running  # noqa: PLC0415
    from cutlass.platform.status import set_network  # noqa: PLC0415

    if state not in ("on", "off"):
        raise typer.BadParameter("the state is on or off")
    running = Running.find(Home.from_environment())
    network = set_network(running.control, {"partitioned": state == "on"})
    if as_json:
        print_json({"partitioned": network["partitioned"]})
    else:
        print_line(
            "the regions are cut off from each other" if network["partitioned"] else "the regions are connected"
        )


def network(
    *,
    delay_ms: Annotated[int | None, typer.Option("--delay", min=0, help="How late copies arrive, in ms.")] = None,
    rtt_ms: Annotated[int | None, typer.Option("--rtt", min=0, help="Round trip of a direct call, in ms.")] = None,
    as_json: Json = False,
) -> None:
    """Show or set how slow the network between the regions is."""
    from cutlass.cli.options import given  # noqa: PLC0415
    from cutlass.platform.home import Home  # noqa: PLC0415
    from cutlass.platform.running import Running  # noqa: PLC0415
    from cutlass.platform.status import set_network  # noqa: PLC0415

    running = Running.find(Home.from_environment())
    state = set_network(running.control, given(delay_ms=delay_ms, rtt_ms=rtt_ms))
    if as_json:
        print_json(state)
        return
    columns = ["table", "region", "pending", "lag_seconds", "applied"]
    print_table(
        f"delay {state['delay_ms']} ms, round trip {state['rtt_ms']} ms"
        + (", cut" if state["partitioned"] else ""),
        columns,
        [[table[column] for column in columns] for table in state["tables"]],
    )


def openapi(*, as_json: Json = False) -> None:
    """Print the interface's contract."""
    from cutlass.contracts import contracts_folder, load_openapi  # noqa: PLC0415

    if as_json:
        print_json(load_openapi())
    else:
        sys.stdout.write((contracts_folder() / "openapi.yaml").read_text(encoding="utf-8"))
