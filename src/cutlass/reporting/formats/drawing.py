"""Charts as shapes, which HTML writes as SVG and PDF as its own: lines, rectangles and words at places.

One series at a time, few marks, labels where they are needed: what a chart cannot show, its table does.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cutlass.reporting.model import Chart, grouped

WIDTH, HEIGHT = 640, 220
INK, SOFT, ACCENT, FILL = "#1f2933", "#5f6b76", "#0b5cad", "#d6e6f5"
"""Colours: words, rules and small words, what is shown, and its area; each at least 4.5 to 1 where it is text."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 12, 12, 28
_BAR, _GAP, _NAME = 16, 6, 170
_MARKS = 6


@dataclass(frozen=True, slots=True)
class Shape:
    """A line, a polygon, or words (`text`) at a point; x and y are from the top left."""

    points: tuple[tuple[float, float], ...]
    colour: str
    text: str = ""
    anchor: str = "start"
    filled: bool = False
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class Drawing:
    """Shapes on a canvas, in the order of drawing."""

    width: int
    height: int
    shapes: tuple[Shape, ...]


def draw(chart: Chart) -> Drawing:
    """Draw a chart."""
    if chart.sort == "bar":
        height = len(chart.labels) * (_BAR + _GAP) + _GAP
        return Drawing(WIDTH, height, tuple(_bars(chart)))
    return Drawing(WIDTH, HEIGHT, tuple(_line(chart)))


def _line(chart: Chart) -> Iterator[Shape]:
    values = [value or 0 for value in chart.series[0].values]
    low, high = min(0, *values), _ceiling(max(1, *values))
    across, down = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def y(value: float) -> float:
        return round(_TOP + down * (high - value) / (high - low), 1)

    def x(place: int) -> float:
        return round(_LEFT + across * place / max(1, len(values) - 1), 1)

    for share in (0, 1, 2, 3, 4):
        at = low + (high - low) * share // 4
        yield Shape(((_LEFT, y(at)), (WIDTH - _RIGHT, y(at))), "#dde3e8")
        yield Shape(((_LEFT - 6, y(at) + 4),), SOFT, short(at), "end")
    points = tuple((x(place), y(value)) for place, value in enumerate(values))
    yield Shape(((x(0), y(0)), *points, (x(len(values) - 1), y(0))), FILL, filled=True)
    yield Shape(points, ACCENT, width=2.0)
    step = max(1, -(-len(values) // _MARKS))
    for place in range(0, len(values), step):
        anchor = "end" if x(place) > WIDTH - 60 else "middle" if place else "start"
        yield Shape(((x(place), HEIGHT - 9),), SOFT, chart.labels[place][:16], anchor)


def _bars(chart: Chart) -> Iterator[Shape]:
    values = [value or 0 for value in chart.series[0].values]
    high = max(1, *values)
    across = WIDTH - _NAME - 90
    for place, (label, value) in enumerate(zip(chart.labels, values, strict=True)):
        top = _GAP + place * (_BAR + _GAP)
        end = _NAME + round(across * max(value, 0) / high, 1)
        yield Shape(((_NAME - 8, top + 12),), INK, _cut(label), "end")
        yield Shape(((_NAME, top), (end, top), (end, top + _BAR), (_NAME, top + _BAR)), ACCENT, filled=True)
        yield Shape(((end + 6, top + 12),), SOFT, grouped(value))


def _cut(label: str) -> str:
    return label if len(label) <= 24 else f"{label[:21]}..."


def _ceiling(value: int) -> int:
    """The next number with one or two digits that count, so that the scale reads well; divisible by four."""
    step = 1
    while step * 40 < value:
        step *= 10
    return -(-value // (4 * step)) * 4 * step


def short(value: int) -> str:
    """Write a number on a scale: 1.5 M for 1,500,000; the table has it whole."""
    for size, name in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**4, "k")):
        if abs(value) >= size:
            unit = 1000 if name == "k" else size
            whole, rest = divmod(value * 10 // unit, 10)
            return f"{whole}.{rest} {name}" if rest else f"{whole} {name}"
    return grouped(value)
