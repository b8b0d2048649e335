"""The mails of `contracts/emails/` are what SES can fill in; what is wrong is named by file, line and key."""

import re
import shutil
from pathlib import Path

import pytest

from cutlass.contracts import FOLDER_VARIABLE, contracts_folder, load_emails
from cutlass.contracts.__main__ import main
from cutlass.domain.errors import ContractError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the contracts, in use, with one small mail."""
    copy = tmp_path / "contracts"
    shutil.copytree(contracts_folder(), copy)
    for mail in (copy / "emails").iterdir():
        mail.unlink()
    (copy / "emails/greeting.yaml").write_text(GREETING, encoding="utf-8")
    monkeypatch.setenv(FOLDER_VARIABLE, str(copy))
    return copy


GREETING = """\
title: A greeting
variables:
  name: {title: Who is greeted, example: Ann}
subject: "Hello {{name}}"
html: <p>Hello {{name}}</p>
text: Hello {{name}}
"""


def test_the_mails_are_as_written() -> None:
    emails = load_emails()
    assert sorted(emails) == [
        "alert-test",
        "alerts-digest",
        "balance-low",
        "balance-restored",
        "report-ready",
        "threshold-crossed",
        "threshold-resolved",
    ]
    crossed = emails["threshold-crossed"]
    assert crossed.resource("dev", "london") == "cutlass-tech-threshold-crossed-dev-london"
    assert crossed.subject == "{{organisation}}: {{threshold}} of {{meter}} used"
    assert crossed.variables["threshold"].example == "80%"


def test_a_mail_filled_with_its_examples_has_nothing_left_to_fill() -> None:
    for email in load_emails().values():
        for part in (email.subject, email.html, email.text):
            filled = part
            for name, variable in email.variables.items():
                filled = filled.replace(f"{{{{{name}}}}}", variable.example)
            assert not re.search(r"[{}]{2}", filled), f"{email.name}: {filled}"


def test_names_fit_into_what_ses_takes() -> None:
    longest = [email.resource("staging", "a-long-region") for email in load_emails().values()]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in longest), longest


BROKEN = [
    ("text: Hello {{name}}", "text: Hello {{nam}}", "text: there is no variable 'nam'; there are: name"),
    ("text: Hello {{name}}", "text: Hello", "text: does not use 'name', as html does"),
    ("html: <p>Hello {{name}}</p>", "html: <p>Hello</p>", "html: does not use 'name', as text does"),
    ("variables:\n", "variables:\n  age: {title: Age, example: 7 years}\n", "variables.age: is used neither"),
    ("example: Ann", 'example: ""', "variables.name.example: must not be empty"),
    ("{title: Who is greeted, example: Ann}", "{title: Who is greeted}", "variables.name.example: missing"),
    ('"Hello {{name}}"', '"Hello\\n{{name}}"', "subject: must be one line"),
    ("<p>Hello {{name}}</p>", "<p>{{#if name}}Hello {{name}}</p>", "html: only {{name}} is understood, not"),
    ("<p>Hello {{name}}</p>", "<p>Hello {{{name}}}</p>", "html: only {{name}} is understood, not"),
    ("<p>Hello {{name}}</p>", "<p>Hello {{name}</p>", "html: only {{name}} is understood, not"),
    ("title: A greeting\n", "", "title: missing"),
    ("title: A greeting\n", "titel: A greeting\n", "titel: unknown key"),
    ("  name: {", "  Name: {", "variables.Name: a name here must match"),
]


@pytest.mark.parametrize(("old", "new", "expected"), BROKEN)
def test_a_wrong_mail_is_refused_by_file_line_and_key(folder: Path, old: str, new: str, expected: str) -> None:
    file = folder / "emails/greeting.yaml"
    assert old in GREETING
    file.write_text(GREETING.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        load_emails()
    lines = caught.value.message.splitlines()
    assert all(re.match(r"contracts/emails/greeting\.yaml:\d+: ", line) for line in lines), lines
    assert any(expected in line for line in lines), lines


def test_the_small_mail_is_good(folder: Path) -> None:
    assert list(load_emails()) == ["greeting"]


def test_the_wrong_mails_are_all_told_at_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("first", "second"):
        (folder / f"emails/{name}.yaml").write_text(GREETING.replace("title: A greeting\n", ""), encoding="utf-8")
    (folder / "emails/Third.yaml").write_text(GREETING, encoding="utf-8")
    assert main() == 1
    told = capsys.readouterr().err
    for expected in (
        "first.yaml:1: title: missing",
        "second.yaml:1: title: missing",
        "Third.yaml:1: the file's name",
    ):
        assert f"contracts/emails/{expected}" in told


def test_no_mails_at_all_are_refused(folder: Path) -> None:
    (folder / "emails/greeting.yaml").unlink()
    with pytest.raises(ContractError, match="contracts/emails: there are no mails"):
        load_emails()
