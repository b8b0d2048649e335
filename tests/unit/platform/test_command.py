"""The command's own manners: exit codes, errors in one line, help."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from cutlass import __version__
from cutlass.cli import main as command
from cutlass.cli.main import main
from cutlass.cli.output import shown
from cutlass.storage.dynamo import DynamoError


@pytest.fixture(autouse=True)
def _no_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTLASS_HOME", str(tmp_path / "home"))


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("cutlass: ")
    return line


def test_tables_that_cannot_be_read_are_one_line_and_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*, home: str) -> list[str]:
        raise DynamoError("ResourceNotFoundException", f"no table in {home}")

    stores = {"london": SimpleNamespace(directory=SimpleNamespace(every=refuse))}
    monkeypatch.setattr("cutlass.platform.operator.open_stores", lambda _: stores)
    assert main(["reconcile", "--environment", "dev"]) == 1
    assert "no table in london; is the environment deployed" in error_line(capsys)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cutlass {__version__}\n"


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in (
        "up",
        "down",
        "status",
        "token",
        "check",
        "grant",
        "balance",
        "usage",
        "ledger",
        "partition",
        "report",
        "reports",
        "demo",
        "reservation",
        "dead-letters",
        "emails",
        "mailbox",
    ):
        assert f" {name} " in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["check", "--org", "a"],
        ["check", "--org", "a", "--user", "b", "--units", "many"],
        ["check", "--org", "a", "--user", "b", "--units", "-1"],
        ["partition", "maybe"],
        ["reservation", "reserve", "--org", "a", "--user", "b", "--units", "0"],
        ["reservation", "commit"],
        ["reservation", "commit", "london-1", "--units", "-1"],
        ["token", "--org", "a"],
        ["token", "--service", "--org", "a", "--user", "b"],
        ["token", "--org", "a", "--user", "b", "--role", "king"],
        ["user", "put", "a", "b", "--limit", "requests"],
        ["user", "put", "a", "b", "--limit", "requests=-5"],
        ["up", "--port", "99999"],
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "--help" in error_line(capsys)


@pytest.mark.parametrize("command", [["reconcile"], ["dead-letters", "list"], ["region", "status"]])
def test_an_environment_that_is_not_there_is_wrong_usage(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--environment", "nowhere"]) == 2
    assert "there is no environment 'nowhere'; there are: dev, staging, prod" in error_line(capsys)


@pytest.mark.parametrize(
    "arguments",
    [
        ["status"],
        ["token"],
        ["partition", "on"],
        ["check", "--org", "a", "--user", "b"],
        ["balance", "--org", "a"],
        ["org", "show", "a"],
    ],
)
def test_without_a_platform_the_error_says_how_to_start_one(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    assert "cutlass up" in error_line(capsys)


def test_down_without_a_platform_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["down", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"stopped": False}


def test_openapi_is_printed_as_it_is_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["openapi"]) == 0
    assert "openapi: 3.0" in capsys.readouterr().out
    assert main(["openapi", "--json"]) == 0
    assert "/usage-check" in json.loads(capsys.readouterr().out)["paths"]


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "app", interrupted)
    assert main([]) == 130


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(command, "app", broken)
    with pytest.raises(ZeroDivisionError):
        main([])


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (True, "yes"), (1234567, "1,234,567"), ("x", "x")])
def test_values_are_shown_as_people_read_them(value: object, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    "arguments",
    [
        ["region"],
        ["region", "fence", "sydney"],
        ["region", "claim", "sydney", "--unproven"],
        ["region", "claim", "sydney", "--margin-seconds", "-1"],
    ],
)
def test_a_region_command_that_lacks_something_is_wrong_usage(arguments: list[str]) -> None:
    assert main(arguments) == 2


@pytest.mark.parametrize("act", ["status", "claim", "fence", "readmit"])
def test_a_region_command_needs_a_platform(act: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = {"status": [], "fence": ["sydney", "--why", "dark", "--yes"], "readmit": ["sydney", "--yes"]}
    assert main(["region", act, *arguments.get(act, ["sydney"])]) == 1
    assert "cutlass up" in error_line(capsys)
