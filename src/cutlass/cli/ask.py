"""Asking the person at the keyboard before something is changed."""

import sys

import typer


def confirm(question: str, *, yes: bool) -> None:
    """Ask, unless `yes`; ends with 1 on a no, and with 2 where there is nobody to ask."""
    if yes:
        return
    _somebody("give --yes to go ahead")
    if not typer.confirm(question, err=True):
        raise typer.Exit(1)


def confirm_name(name: str, given: str | None) -> None:
    """Ask for a name to be typed, unless it was `given` as an option; ends with 1 on another one."""
    if given is None:
        _somebody(f"give --confirm {name} to go ahead")
        given = typer.prompt(f"Type {name} to go ahead", err=True, default="", show_default=False)
    if given != name:
        raise typer.BadParameter(f"{given!r} is not {name}: nothing was changed")


def _somebody(instead: str) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"there is nobody to ask: {instead}")
