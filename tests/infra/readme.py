"""Writes inputs and outputs into the layers' READMEs: `python -m tests.infra.readme` (`make infra-docs`)."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.terraform import INFRA, LAYERS

BEGIN, END = "<!-- begin: make infra-docs -->", "<!-- end -->"


@dataclass(frozen=True)
class Variable:
    """A variable or an output, as its block has it."""

    name: str
    description: str
    type: str | None
    default: str | None


def variables(path: Path) -> list[Variable]:
    """Return what a file declares. `terraform fmt` has settled how blocks look, so a pattern finds them."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r'^(?:variable|output) "(\w+)" \{\n(.*?)^\}$', text, re.MULTILINE | re.DOTALL)
    return [
        Variable(name, described(block), setting(block, "type"), setting(block, "default"))
        for name, block in blocks
    ]


def setting(block: str, name: str) -> str | None:
    found = re.search(rf"^  {name} += (.+)$", block, re.MULTILINE)
    return found[1] if found else None


def described(block: str) -> str:
    """Return the first paragraph of a description."""
    heredoc = re.search(r"^  description = <<-EOT\n(.*?)^  EOT$", block, re.MULTILINE | re.DOTALL)
    text = heredoc[1] if heredoc else re.sub(r'^"|"$', "", setting(block, "description") or "")
    return " ".join(text.partition("\n\n")[0].split())


def tables(layer: Path) -> str:
    """Return the tables of a layer: the variables its sources use, and its outputs."""
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in layer.glob("*.tf") if path.name != "variables.tf"
    )
    used = [
        variable
        for variable in variables(layer / "variables.tf")
        if re.search(rf"\bvar\.{variable.name}\b", sources)
    ]
    inputs = [f"| `{variable.name}` | `{variable.type}` | {variable.description} |" for variable in used]
    outputs = [f"| `{output.name}` | {output.description} |" for output in variables(layer / "outputs.tf")]
    lines = ["## Inputs", "", "| name | type | what it is |", "| --- | --- | --- |", *inputs, ""]
    return "\n".join([*lines, "## Outputs", "", "| name | what it is |", "| --- | --- |", *outputs])


def filled(page: Path) -> str:
    """Return the page with the tables of its layer between the two marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n{tables(page.parent)}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    for layer in LAYERS:
        page = INFRA / layer / "README.md"
        page.write_text(filled(page), encoding="utf-8")


if __name__ == "__main__":
    main()
