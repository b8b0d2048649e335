"""Results for people: a table in the documents between marks, and a chart."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT, in_words
from benchmarks.peers.results import ratios

BEGIN, END = "<!-- peers: begin -->", "<!-- peers: end -->"
"""What stands between these lines of a document is written by `update`."""

CHART = ROOT / "docs" / "images" / "peers.svg"
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md")

COLUMNS = (
    "requests",
    "write units",
    "p50 ms",
    "p99 ms",
    "decisions/s",
    "ours is",
    "oversold, one region",
    "oversold, two regions",
)

_OURS, _THEIRS = "#0b7285", "#adb5bd"
_LEFT, _WIDTH, _ROW, _TOP = 250, 420, 26, 64
_PANELS = (
    ("p50_ms", "Median of one client, ms (less is better)"),
    ("decisions_per_s", "Decisions per second of 16 clients (more is better)"),
)


def update(results: Mapping[str, Any]) -> list[Path]:
    """Rewrite the chart, and the table in every document that has the marks; returns what was written.

    Raises
    ------
    ValueError
        A document has lost its marks.
    """
    block = "\n".join([BEGIN, "", *table(results), "", END])
    for document in DOCUMENTS:
        document.write_text(between_marks(document.read_text(encoding="utf-8"), block), encoding="utf-8")
    CHART.write_text(chart(results), encoding="utf-8")
    return [*DOCUMENTS, CHART]


def between_marks(text: str, block: str) -> str:
    """Put a block, marks and all, in the place of the one that is there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no place for the table: the lines {BEGIN} and {END}")
    return before + block + after


def table(results: Mapping[str, Any]) -> Iterator[str]:
    """The rows as a Markdown table, with where and when they were measured below it."""
    yield f"| | {' | '.join(COLUMNS)} |"
    yield "| --- |" + " ---: |" * len(COLUMNS)
    rows = results["rows"]
    for place, (row, (_, throughput)) in enumerate(zip(rows, ratios(rows), strict=True)):
        cells = [
            f"{row['requests_per_decision']:.2f}",
            f"{row['write_units']:.2f}",
            f"{row['p50_ms']:.1f}",
            f"{row['p99_ms']:.1f}",
            f"{row['decisions_per_s']:,.0f}",
            "" if place == 0 or not throughput else f"{1 / throughput:.1f} ×",
            _oversold(row["cap_in_one_region"]),
            _oversold(row["cap_in_two_regions"]),
        ]
        name = row["name"] if place else f"**{row['name']}**"
        yield f"| {name} | {' | '.join(cells)} |"
    yield ""
    yield f"{results['engine']}; {in_words(results['machine'])}."
    for line in results["skipped"]:
        yield f"Left out: {line}."


def _oversold(capped: Mapping[str, Any]) -> str:
    return f"{capped['oversold']:,} of {capped['cap']:,}"


def chart(results: Mapping[str, Any]) -> str:
    """Draw medians and throughput as bars, each with its figure, in an SVG of its own."""
    rows = results["rows"]
    panel = _TOP - 20 + len(rows) * _ROW
    width, height = _LEFT + _WIDTH + 80, 24 + len(_PANELS) * panel
    words = "; ".join(f"{row['name']}: {row['p50_ms']} ms, {row['decisions_per_s']} per second" for row in rows)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
            'font-size="12" role="img" aria-labelledby="title words">'
        ),
        '<title id="title">Cutlass and other ways to keep a limit on DynamoDB</title>',
        f'<desc id="words">{escape(words)}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for place, (figure, title) in enumerate(_PANELS):
        parts += _panel(rows, figure, title, 12 + place * panel)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(rows: Sequence[Mapping[str, Any]], figure: str, title: str, top: int) -> Iterator[str]:
    values = [float(row[figure]) for row in rows]
    most = max((value for value in values if math.isfinite(value)), default=1.0) or 1.0
    yield f'<text x="12" y="{top + 16}" font-size="14" font-weight="bold">{escape(title)}</text>'
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        y = top + 28 + place * _ROW
        length = _WIDTH * value / most if math.isfinite(value) else 0.0
        yield f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(row["name"])}</text>'
        yield f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="18" fill="{_THEIRS if place else _OURS}"/>'
        yield f'<text x="{_LEFT + length + 6:.1f}" y="{y + 13}">{value:,g}</text>'
