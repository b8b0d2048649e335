"""HTML: one page without anything from elsewhere, for reading, for screen readers and for print."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from cutlass.reporting.formats.drawing import Shape, draw
from cutlass.reporting.formats.values import heading, person, said, shown
from cutlass.reporting.model import Chart, Kind, Report, Table

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; background: #fff; margin: 0 auto; max-width: 62rem;
  padding: 2rem 1.25rem; }
h1 { font-size: 1.9rem; margin: 0; } h2 { font-size: 1.25rem; margin: 2.25rem 0 .5rem; }
.lead { font-size: 1.15rem; margin: .5rem 0 1.25rem; max-width: 48rem; }
dl.facts { display: flex; flex-wrap: wrap; gap: .25rem 2rem; margin: 0; color: #5f6b76; }
dl.facts div { display: flex; gap: .4rem; } dl.facts dd { margin: 0; color: #1f2933; }
ul.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: .75rem; padding: 0;
  margin: 1.5rem 0; list-style: none; }
ul.figures li { border: 1px solid #dde3e8; border-radius: .5rem; padding: .75rem 1rem; }
ul.figures strong { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
figure { margin: 1.5rem 0; break-inside: avoid; } figcaption { font-weight: 600; margin-bottom: .25rem; }
svg { width: 100%; height: auto; max-width: 40rem; font: 12px system-ui, sans-serif; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: #5f6b76; padding-bottom: .25rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #dde3e8; text-align: left; white-space: nowrap; }
th { border-bottom: 2px solid #5f6b76; } .number { text-align: right; }
tbody tr:nth-child(even) { background: #f6f8fa; }
footer { color: #5f6b76; font-size: .9rem; margin-top: 2rem; }
a:focus, .scroll:focus { outline: 2px solid #0b5cad; }
@media print {
  @page { size: A4 landscape; margin: 14mm; }
  body { font-size: 10.5pt; padding: 0; max-width: none; } .scroll { overflow: visible; }
  thead { display: table-header-group; } tr { break-inside: avoid; } h2 { break-after: avoid; }
}
"""


def write(report: Report, path: Path) -> None:
    """Write the report."""
    path.write_text("\n".join(_page(report)) + "\n", encoding="utf-8")


def _page(report: Report) -> Iterator[str]:
    title = escape(f"{report.title} \N{MIDDLE DOT} {report.spec.org_id}")
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="referrer" content="no-referrer">'
    # Nothing of the page may be fetched or run, whatever a name in it says.
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<header>"
    yield f'<h1>{escape(report.title)}</h1>\n<p class="lead">{escape(report.headline)}</p>\n<dl class="facts">'
    for name, fact in report.facts:
        yield f"<div><dt>{escape(name)}</dt><dd>{escape(fact)}</dd></div>"
    yield "</dl>\n</header>\n<main>"
    if report.figures:
        yield '<ul class="figures">'
        for name, figure in report.figures:
            yield f"<li>{escape(name)}<strong>{escape(figure)}</strong></li>"
        yield "</ul>"
    for number, chart in enumerate(report.charts):
        yield from _chart(chart, number)
    for table in report.tables:
        yield from _table(table)
    yield "</main>\n<footer>"
    for note in report.notes:
        yield f"<p>{escape(note)}</p>"
    if report.until:
        yield f"<p>Newest entry: {report.until:%Y-%m-%d %H:%M:%S} UTC.</p>"
    yield "</footer>\n</body>\n</html>"


def _chart(chart: Chart, number: int) -> Iterator[str]:
    drawing = draw(chart)
    yield f"<figure>\n<figcaption>{escape(chart.title)} ({escape(chart.unit)})</figcaption>"
    yield (
        f'<svg viewBox="0 0 {drawing.width} {drawing.height}" role="img" '
        f'aria-labelledby="chart-{number}" xmlns="http://www.w3.org/2000/svg">'
    )
    yield f'<title id="chart-{number}">{escape(chart.about)}</title>'
    yield from map(_shape, drawing.shapes)
    yield "</svg>\n</figure>"


def _shape(shape: Shape) -> str:
    if shape.text:
        ((x, y),) = shape.points
        return (
            f'<text x="{x}" y="{y}" fill="{shape.colour}" text-anchor="{shape.anchor}">{escape(shape.text)}</text>'
        )
    points = " ".join(f"{x},{y}" for x, y in shape.points)
    if shape.filled:
        return f'<polygon points="{points}" fill="{shape.colour}"/>'
    return f'<polyline points="{points}" fill="none" stroke="{shape.colour}" stroke-width="{shape.width}"/>'


def _table(table: Table) -> Iterator[str]:
    title = escape(table.title)
    yield f"<section>\n<h2>{title}</h2>"
    if not table.rows:
        yield "<p>Nothing in this period.</p>\n</section>"
        return
    visible = shown(table)
    yield f'<div class="scroll" tabindex="0" role="region" aria-label="{title}">'
    yield f"<table>\n<caption>{escape(said(table))}.</caption>\n<thead><tr>"
    for column in visible.columns:
        yield f'<th scope="col"{_class(column.kind)}>{escape(heading(column))}</th>'
    yield "</tr></thead>\n<tbody>"
    for row in visible.rows:
        cells = (
            f"<td{_class(column.kind)}>{escape(person(column, value))}</td>"
            for column, value in zip(visible.columns, row, strict=True)
        )
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody>\n</table>\n</div>\n</section>"


def _class(kind: Kind) -> str:
    return ' class="number"' if kind is Kind.NUMBER else ""
