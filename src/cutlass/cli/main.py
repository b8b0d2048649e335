"""The `cutlass` command."""

import sys
from typing import Annotated

import typer
from typer.exceptions import Abort, TyperException

from cutlass import __version__
from cutlass.cli import (
    alerts,
    api_commands,
    dead_letters,
    deploy_commands,
    inspect_commands,
    mail_commands,
    package,
    platform_commands,
    reconcile,
    region_commands,
    reports,
    reservations,
    scaffold_commands,
    simulate,
)
from cutlass.cli.output import print_error, print_line
from cutlass.deploy.errors import TargetError
from cutlass.domain.errors import CutlassError

USAGE_EXIT_CODE, FAILED_EXIT_CODE, INTERRUPTED_EXIT_CODE = 2, 1, 130
_USAGE_HINT = "`cutlass --help` shows the commands, `cutlass COMMAND --help` their options"

app = typer.Typer(
    name="cutlass",
    help="Usage limits, prepaid credits and reports that hold exactly across AWS regions.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    platform_commands.up,
    platform_commands.down,
    platform_commands.status,
    platform_commands.token,
    api_commands.check,
    api_commands.grant,
    api_commands.refund,
    api_commands.balance,
    api_commands.usage,
    api_commands.ledger,
    reports.report,
    reports.demo,
    platform_commands.partition,
    platform_commands.network,
    platform_commands.openapi,
    simulate.simulate,
    reconcile.reconcile,
    package.package,
    deploy_commands.bootstrap,
    deploy_commands.plan,
    deploy_commands.apply,
    deploy_commands.deploy,
    deploy_commands.destroy,
    deploy_commands.promote,
    deploy_commands.unlock,
    inspect_commands.envs,
    inspect_commands.drift,
    inspect_commands.outputs,
    inspect_commands.logs,
    inspect_commands.cost,
    inspect_commands.doctor,
    inspect_commands.graph,
    inspect_commands.smoke,
    mail_commands.mailbox,
):
    app.command()(command)
app.add_typer(reservations.app, name="reservation")
app.add_typer(reports.reports, name="reports")
app.add_typer(api_commands.organisations, name="org")
app.add_typer(api_commands.users, name="user")
app.add_typer(alerts.alerts, name="alerts")
app.add_typer(region_commands.regions, name="region")
app.add_typer(scaffold_commands.scaffold, name="scaffold")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(mail_commands.emails, name="emails")


def _version(*, wanted: bool) -> None:
    if wanted:
        print_line(f"cutlass {__version__}")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=lambda value: _version(wanted=value)
        ),
    ] = False,
) -> None:
    """Usage limits, prepaid credits and reports that hold exactly across AWS regions."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 failed, 2 wrong usage, 130 Ctrl-C.

    What is not a `CutlassError` is a bug, and shows its traceback.
    """
    try:
        result = app(_with_base(sys.argv[1:] if arguments is None else arguments), standalone_mode=False)
    except TyperException as error:
        message = error.format_message().rstrip(".")
        if message:  # the help, shown where there are no arguments, has none
            wrong_usage = error.exit_code == USAGE_EXIT_CODE
            print_error(message, _USAGE_HINT if wrong_usage else None)
        return error.exit_code
    except CutlassError as error:
        print_error(error.message, error.hint)
        return USAGE_EXIT_CODE if isinstance(error, TargetError) else FAILED_EXIT_CODE
    except (KeyboardInterrupt, Abort):
        return INTERRUPTED_EXIT_CODE
    return result if isinstance(result, int) else 0


def _with_base(arguments: list[str]) -> list[str]:
    """Give `--affected` its value where it stands alone: Typer has no options whose value may be left out."""
    following = [*arguments[1:], "-"]
    return [
        "--affected=deployed" if argument == "--affected" and after.startswith("-") else argument
        for argument, after in zip(arguments, following, strict=False)
    ]


if __name__ == "__main__":
    sys.exit(main())
