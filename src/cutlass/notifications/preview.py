"""All mails as their readers would get them, as files to look at."""

import html
from pathlib import Path

from cutlass.contracts import load_emails
from cutlass.notifications.render import examples, render


def write_previews(folder: Path) -> list[Path]:
    """Render every mail with the examples of the contract; returns the files, `index.html` last.

    Raises
    ------
    TemplateError
        A mail cannot be filled in.
    OSError
        The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written, rows = [], []
    for name, email in load_emails().items():
        mail = render(email, examples(email))
        for suffix, text in ((".html", mail.html), (".txt", f"Subject: {mail.subject}\n\n{mail.text}")):
            path = folder / f"{name}{suffix}"
            path.write_text(text, encoding="utf-8")
            written.append(path)
        rows.append(_ROW.format(name=name, title=html.escape(email.title), subject=html.escape(mail.subject)))
    index = folder / "index.html"
    index.write_text(_INDEX.format(rows="\n".join(rows)), encoding="utf-8")
    return [*written, index]


_ROW = """\
      <tr>
        <td><a href="{name}.html">{name}</a> (<a href="{name}.txt">text</a>)</td><td>{title}</td><td>{subject}</td>
      </tr>"""

_INDEX = """\
<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>The mails of Cutlass</title>
  </head>
  <body style="font-family: sans-serif;">
    <h1>The mails of Cutlass</h1>
    <table cellpadding="8">
      <tr><th align="left">mail</th><th align="left">what it is for</th><th align="left">subject</th></tr>
{rows}
    </table>
  </body>
</html>
"""
