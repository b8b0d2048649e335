"""`contracts/emails/`: one file per mail that Cutlass sends, in the form SES's templates have.

SES replaces `{{name}}` in subject, HTML and text with what a message gives for it. It sends nothing if a name is
missing, and escapes nothing in HTML (https://docs.aws.amazon.com/ses/latest/dg/send-personalized-email-api.html).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from cutlass.contracts.folder import read_once
from cutlass.contracts.nodes import Document, Node
from cutlass.domain.errors import ContractError

FOLDER = "emails"

_NAME = r"[a-z][a-z0-9-]{0,29}"  # with project and workspace around it, SES's limit of 64 characters
_VARIABLE = r"[a-z][a-z0-9_]*"
_PLACEHOLDER = re.compile(r"(?<!\{)\{\{(" + _VARIABLE + r")\}\}(?!\})")


@dataclass(frozen=True, slots=True)
class EmailVariable:
    """What a mail is filled with: what it is, and an example for previews."""

    title: str
    example: str


@dataclass(frozen=True, slots=True)
class Email:
    """One mail: subject, HTML and text with `{{name}}` for each of its variables."""

    name: str
    title: str
    variables: Mapping[str, EmailVariable]
    subject: str
    html: str
    text: str

    def resource(self, environment: str, region: str) -> str:
        """Return the template's name in SES."""
        return f"cutlass-tech-{self.name}-{environment}-{region}"


@read_once
def load_emails(folder: Path) -> Mapping[str, Email]:
    """Return the mails by name."""
    hint = f"the contracts are read from {folder}"
    paths = sorted((folder / FOLDER).glob("*.yaml"))
    if not paths:
        raise ContractError(f"contracts/{FOLDER}: there are no mails", hint=hint)
    emails, problems = {}, []
    for path in paths:
        try:
            emails[path.stem] = _email(folder, path.stem)
        except ContractError as error:
            problems += error.message.splitlines()
    if problems:
        raise ContractError("\n".join(problems), hint=hint)
    return MappingProxyType(emails)


def _email(folder: Path, name: str) -> Email:
    document = Document(folder, f"{FOLDER}/{name}.yaml")
    if not re.fullmatch(_NAME, name):
        document.root.problem(f"the file's name must match {_NAME}")
    fields = document.root.fields(["title", "variables", "subject", "html", "text"])
    variables = {key: _variable(node) for key, node in fields["variables"].entries(_VARIABLE).items()}
    parts = {key: _part(fields[key], variables) for key in ("subject", "html", "text")}
    if "\n" in parts["subject"]:
        fields["subject"].problem("must be one line")
    _check_uses(fields, variables, {key: set(_PLACEHOLDER.findall(part)) for key, part in parts.items()})
    title = fields["title"].text()
    document.finish()
    return Email(name, title, MappingProxyType(variables), **parts)


def _variable(node: Node) -> EmailVariable:
    fields = node.fields(["title", "example"])
    return EmailVariable(fields["title"].text(), fields["example"].text())


def _part(node: Node, variables: Mapping[str, EmailVariable]) -> str:
    text = node.text()
    for name in sorted(set(_PLACEHOLDER.findall(text)) - variables.keys()):
        node.problem(f"there is no variable {name!r}; there are: {', '.join(sorted(variables)) or 'none'}")
    # SES would take a block or an escape for Handlebars, and refuse it only when a message is sent.
    left = re.search(r".{,9}(\{\{|\}\}).{,30}", _PLACEHOLDER.sub("", text))
    if left:
        node.problem(f"only {{{{name}}}} is understood, not {left[0]!r}")
    return text


def _check_uses(
    fields: Mapping[str, Node], variables: Mapping[str, EmailVariable], uses: Mapping[str, set[str]]
) -> None:
    """Readers of text learn what readers of HTML do, and nothing is asked of the sender that no one reads."""
    for part, other in (("html", "text"), ("text", "html")):
        for name in sorted((uses[part] - uses[other]) & variables.keys()):
            fields[other].problem(f"does not use {name!r}, as {part} does")
    for name in variables.keys() - uses["html"] - uses["text"]:
        fields["variables"].problem("is used neither in html nor in text", key=name)
